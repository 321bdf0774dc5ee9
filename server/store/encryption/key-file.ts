import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SyncError } from '../../errors.js';
import { KEYS_IN_USE } from '../level/encryption.js';
import { KeyError, KeyRing, keyLines, newKey } from './key-ring.js';

export interface KeySource {
  /** A key; empty for none. */
  readonly encryptionKey: string;
  /** The path of a file of keys; empty for none. */
  readonly encryptionKeyFile: string;
}

/** The master keys, `undefined` where nothing is to be encrypted; throws a sentence that shows no key. */
export function readKeys({ encryptionKey, encryptionKeyFile: file }: KeySource): KeyRing | undefined {
  if (encryptionKey !== '' && file !== '')
    throw refused('Set ENCRYPTION_KEY or ENCRYPTION_KEY_FILE, not both.');
  if (encryptionKey !== '') return parse(encryptionKey, 'ENCRYPTION_KEY');
  return file === '' ? undefined : parse(textOf(file), file);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? cause.code : 'not readable';
    throw refused(`The file of ENCRYPTION_KEY_FILE, ${file}, can't be read (${reason}).`);
  }
}

function parse(text: string, source: string): KeyRing {
  try {
    return KeyRing.parse(text);
  } catch (cause) {
    if (!(cause instanceof KeyError)) throw cause;
    throw refused(`${source}: ${cause.message}`);
  }
}

const refused = (sentence: string): SyncError => new SyncError('STORE_UNAVAILABLE', sentence);

/** Between two looks at the file, in ms: notifications miss a file that is replaced, or lies on another machine. */
const LOOK_INTERVAL = 1_000;

/** Calls at each change of the file; returns what ends it. */
export function watchKeyFile(file: string, onChange: () => void): () => void {
  watchFile(file, { interval: LOOK_INTERVAL, persistent: false }, (now, before) => {
    if (now.mtimeMs !== before.mtimeMs || now.ino !== before.ino) onChange();
  });
  return () => unwatchFile(file);
}

/** Puts a new key before the others of the file; returns its id. */
export async function addKey(file: string): Promise<string> {
  const text = textOf(file);
  parse(text, file);
  const key = newKey();
  await replaceFile(file, `${key} # made ${new Date().toISOString()}\n${text}`);
  return KeyRing.parse(key).current.id;
}

/** Takes a key out of the file; throws a sentence where it is still needed. */
export async function retireKey(file: string, used: UsedKeys, id: string): Promise<void> {
  const status = keyStatus(file, used);
  const state = status.find((each) => each.id === id)?.state;
  if (state === undefined) throw refused(`There is no key ${id} in ${file}.`);
  if (state !== 'unused') throw refused(`The key ${id} is ${SAID[state]}: it stays.`);
  const text = textOf(file);
  const gone = keyLines(text).filter(({ key }) => KeyRing.parse(key).current.id === id);
  const kept = text.split('\n').filter((_, index) => !gone.some(({ number }) => number === index + 1));
  await replaceFile(file, kept.join('\n'));
}

export type KeyState = 'current' | 'used' | 'unused' | 'unknown';

export const SAID: Readonly<Record<KeyState, string>> = {
  current: 'the current one',
  used: 'still in use',
  unused: 'not in use any more',
  unknown: 'perhaps in use: start the server once with this file',
};

/** The ids of the keys that are needed; `undefined` where that is not known. */
export type UsedKeys = readonly string[] | undefined;

/** As the server of this folder noted it last. */
export async function notedKeys(dataDir: string): Promise<UsedKeys> {
  const noted = await readFile(join(dataDir, KEYS_IN_USE), 'utf8').catch(() => undefined);
  return noted?.trim().split('\n');
}

/** Of each key of the file whether it is needed. */
export function keyStatus(file: string, used: UsedKeys): { id: string; state: KeyState }[] {
  const ring = parse(textOf(file), file);
  const isTaken = used?.includes(ring.current.id) ?? false;
  return ring.ids.map((id) => {
    if (id === ring.current.id) return { id, state: 'current' };
    if (used?.includes(id)) return { id, state: 'used' };
    return { id, state: isTaken ? 'unused' : 'unknown' };
  });
}

/** Whole or not at all, also after a power loss. */
async function replaceFile(file: string, text: string): Promise<void> {
  const { mode } = await stat(file);
  const handle = await open(`${file}.new`, 'w', mode & 0o777);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
}
