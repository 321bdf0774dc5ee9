import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SyncError } from '../../errors.js';
import { type KeyRing, wrappedWith } from '../encryption/key-ring.js';
import { CipherVaults, type Vault } from '../encryption/vault.js';
import * as format from '../format.js';
import { type Database, del, type Operation, put, writeDurably } from './database.js';
import { listUsers, type Progress } from './document.js';

/** Says that a database is encrypted, or is about to be, and which master keys its users' keys may need. */
export interface EncryptionMark {
  readonly state: 'encrypting' | 'encrypted';
  readonly keys: readonly string[];
}

/** For `telemed-sync keys`: the ids of the keys in use, which it can't ask a database that is open elsewhere. */
export const KEYS_IN_USE = 'keys-in-use';

/** Rejects with a sentence that names cause and cure where the keys are not those of the database. */
export async function checkKeys(db: Database, ring: KeyRing | null): Promise<EncryptionMark | null> {
  const mark = await readMark(db);
  if (mark === null) return null;
  if (ring === null) {
    throw noKey(mark.keys);
  }
  mustHave(ring, mark);
  return mark;
}

export function mustHave(ring: KeyRing, { keys }: EncryptionMark): void {
  const missing = keys.filter((id) => !ring.has(id));
  if (missing.length === 0) return;
  throw refused(
    `The database is encrypted with the key ${missing.join(', ')}, which is not among those given (${ring.ids.join(', ')}).`,
  );
}

export async function readMark(db: Database): Promise<EncryptionMark | null> {
  const sealed = await db.get(format.ENCRYPTION_KEY);
  const bytes = sealed && format.unseal(sealed, format.ENCRYPTION_KEY);
  if (bytes !== undefined) return JSON.parse(Buffer.from(bytes).toString()) as EncryptionMark;
  const [wrapped] = await db.keys({ ...format.WRAPPED_KEYS, limit: 1 }).all();
  if (sealed === undefined && wrapped === undefined) return null;
  throw refused(
    'The database is encrypted, and its mark that says with which key is damaged: restore it from a backup.',
  );
}

export function putMark(mark: EncryptionMark): Operation {
  const bytes = Buffer.from(JSON.stringify(mark));
  return put(format.ENCRYPTION_KEY, format.seal(bytes, format.ENCRYPTION_KEY));
}

export async function noteKeysInUse(folder: string, { keys }: EncryptionMark): Promise<void> {
  const file = join(folder, KEYS_IN_USE);
  await writeFile(`${file}.new`, `${keys.join('\n')}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** The same where the database may not open, by what was noted beside it; nothing where nothing was. */
export async function checkNotedKeys(folder: string, ring: KeyRing | null): Promise<void> {
  const noted = await readFile(join(folder, KEYS_IN_USE), 'utf8').catch(() => null);
  if (noted === null) return;
  const keys = noted.trim().split('\n');
  if (ring === null) throw noKey(keys);
  mustHave(ring, { state: 'encrypted', keys });
}

/** What is read and written at once. */
const CHUNK = 4 * 1024 * 1024;
const KEYS_AT_ONCE = 500;

/**
 * Encrypts a database, user by user, some values at a time. After a kill it goes on: a value says itself whether it
 * was encrypted. What is damaged stays so, and nothing of it stays readable.
 */
export async function encryptDatabase(db: Database, ring: KeyRing, onProgress: Progress): Promise<number> {
  const users = await usersToEncrypt(db);
  const mark = { state: 'encrypting', keys: [ring.current.id] } as const;
  await writeDurably(db, [putMark(mark)]);
  for (const [index, user] of users.entries()) {
    await encryptUser(db, ring, user);
    onProgress(index + 1, users.length);
  }
  return users.length;
}

/** Those too of whom only a device or a deletion is known. */
async function usersToEncrypt(db: Database): Promise<string[]> {
  const users = new Set(await listUsers(db));
  for (const range of format.OWN_KINDS) {
    for await (const key of db.keys(range)) users.add(format.userOfOwn(key));
  }
  for await (const key of db.keys(format.MEMORIES)) users.add(format.userOfMemory(key));
  return [...users];
}

async function encryptUser(db: Database, ring: KeyRing, user: string): Promise<void> {
  const place = format.wrappedKey(user);
  const vault = new CipherVaults(ring).of(user, await db.get(place));
  const wrapped = vault.takeWrapped();
  let operations: Operation[] = wrapped === null ? [] : [put(place, wrapped)];
  let size = 0;
  const own = place.toString('latin1');
  for (const range of format.valueRanges(user)) {
    for await (const entry of db.iterator(range)) {
      if (Buffer.from(entry[0]).toString('latin1') === own) continue;
      operations.push(...encryptEntry(vault, user, entry));
      size += entry[1].length;
      if (size < CHUNK) continue;
      await writeDurably(db, operations);
      [operations, size] = [[], 0];
    }
  }
  await writeDurably(db, operations);
}

type Entry = readonly [key: Uint8Array, stored: Uint8Array];

function encryptEntry(vault: Vault, user: string, entry: Entry): Operation[] {
  const [key, stored] = entry;
  const kind = format.namedKindOf(key, user);
  if (kind !== null) return encryptNamed(vault, user, kind, entry);
  if (vault.unseal(stored, key) !== undefined) return [];
  const value = isStateVector(key) ? stored : format.unseal(stored, key);
  return [put(key, value === undefined ? damaged(vault, stored, key) : vault.seal(value, key))];
}

function encryptNamed(vault: Vault, user: string, kind: format.NamedKind, [key, stored]: Entry): Operation[] {
  if (vault.unsealNamed(stored, key, kind, user) !== undefined) return [];
  const name = format.nameOf(key, kind, user);
  const hidden = vault.namedKey(kind, user, name);
  const value = format.unseal(stored, key);
  const sealed = value === undefined ? damaged(vault, stored, hidden) : vault.sealNamed(value, hidden, name);
  return [del(key), put(hidden, sealed)];
}

/** Encrypted for another place, so that it is found damaged where it lies. */
const damaged = (vault: Vault, stored: Uint8Array, key: Uint8Array): Buffer =>
  vault.seal(stored, Buffer.concat([Buffer.from('damaged '), key]));

const isStateVector = (key: Uint8Array): boolean => Buffer.from(key).indexOf(format.STATE_VECTORS.gte) === 0;

/**
 * What wraps the data keys of some users anew, with the current master key.
 *
 * @returns the operations, and the user after which to go on; `null` at the end
 */
export async function rewrapSome(
  db: Database,
  ring: KeyRing,
  after: string | null,
): Promise<{ operations: Operation[]; next: string | null }> {
  const { gte, lt } = format.WRAPPED_KEYS;
  const from = after === null ? { gte } : { gt: format.wrappedKey(after) };
  const stored = await db.iterator({ ...from, lt, limit: KEYS_AT_ONCE }).all();
  const operations = stored.flatMap(([key, wrapped]): Operation[] => {
    if (wrappedWith(wrapped) === ring.current.id) return [];
    const dataKey = ring.unwrap(wrapped, key); // one that is damaged stays so
    return dataKey === undefined ? [] : [put(key, ring.wrap(dataKey, key))];
  });
  const last = stored.length < KEYS_AT_ONCE ? undefined : stored.at(-1)?.[0];
  return { operations, next: last === undefined ? null : format.userOfWrapped(last) };
}

const noKey = (keys: readonly string[]): SyncError =>
  refused(`The database is encrypted (key ${keys.join(', ')}): set ENCRYPTION_KEY or ENCRYPTION_KEY_FILE.`);

const refused = (sentence: string): SyncError => new SyncError('STORE_UNAVAILABLE', sentence);
