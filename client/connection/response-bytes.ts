/** The bytes of an answer, on platforms of every age. */
import { ClientError } from '../errors.js';
import type { FetchAnswer } from '../platform/platform.js';

/** What the platform's `fetch` does not give, in words that say what helps. */
export const lacking = (what: 'arrayBuffer' | 'headers', cause?: unknown): ClientError =>
  new ClientError(
    'OFFLINE',
    `fetch gives no whole answer here (${what} is missing): use React Native 0.73 or newer, or pass another fetch.`,
    { cause },
  );

/** `arrayBuffer` is not there, or in name only. */
export const isLacking = (error: unknown): boolean => /not implemented|not a function/.test(String(error));

/** @param onProgress called when some of them have come, where that can be seen */
export async function bytesOf(answer: FetchAnswer, onProgress: () => void): Promise<Uint8Array> {
  const reader = answer.body?.getReader?.();
  if (reader !== undefined) return readAll(reader, onProgress);
  try {
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    throw isLacking(error) ? lacking('arrayBuffer', error) : error;
  }
}

async function readAll(
  reader: ReturnType<NonNullable<FetchAnswer['body']>['getReader']>,
  onProgress: () => void,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let { value } = await reader.read(); value !== undefined; { value } = await reader.read()) {
    onProgress();
    parts.push(value);
    size += value.length;
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
