import { StorageError, type StorageErrorCode } from '../errors.js';

/** What platforms call the same thing, by name, code or sentence. */
const SIGNS: readonly (readonly [RegExp, StorageErrorCode, string])[] = [
  [
    /quota|no space|ENOSPC|EDQUOT|(disk|database) (is )?full|full disk|SQLITE_FULL/i,
    'QUOTA',
    'has no room left',
  ],
  [/corrupt|malformed|not a database|NotReadableError/i, 'CORRUPT', 'can not read what was stored'],
];

export const unavailable = (message: string, cause?: unknown): StorageError =>
  new StorageError('UNAVAILABLE', message, { cause });

export const corrupt = (message: string, cause?: unknown): StorageError =>
  new StorageError('CORRUPT', message, { cause });

export const asStorageError = (error: unknown, map: (error: unknown) => StorageError): StorageError =>
  error instanceof StorageError ? error : map(error);

/** Maps what a platform throws to one of the four codes. */
export const toStorageError =
  (storage: string) =>
  (cause: unknown): StorageError => {
    const said = wordsOf(cause);
    const [, code, what] = SIGNS.find(([sign]) => sign.test(said)) ?? [/./, 'UNAVAILABLE', 'failed'];
    return new StorageError(code as StorageErrorCode, `${storage} ${what}: ${said}`, { cause });
  };

/** Some libraries hide the reason in the cause. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? `${error.code} ` : '';
  const below = error.cause === undefined ? '' : ` (${wordsOf(error.cause)})`;
  return `${code}${error.name}: ${error.message}${below}`;
}
