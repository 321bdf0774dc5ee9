import type { Vault, Vaults } from '../encryption/vault.js';
import { noteKey, plainVisitKey, seal, seenKey, unseal, wrappedKey } from '../format.js';
import { type Database, type Operation, put } from './database.js';

/** `null` where there is none, or its bytes are damaged. */
export const readNote = (db: Database, name: string): Promise<Uint8Array | null> => readAt(db, noteKey(name));

export const putNote = (name: string, value: Uint8Array): Operation => putAt(noteKey(name), value);

export async function readPlainVisit(db: Database, user: string): Promise<number | null> {
  const bytes = await readAt(db, plainVisitKey(user));
  return bytes === null ? null : Number(Buffer.from(bytes).toString());
}

export const putPlainVisit = (user: string, at: number): Operation =>
  putAt(plainVisitKey(user), Buffer.from(String(at)));

export async function readSeen(db: Database, user: string, vaults: Vaults): Promise<Uint8Array | null> {
  const key = seenKey(user);
  const [sealed, wrapped] = await db.getMany([key, wrappedKey(user)]);
  try {
    return (sealed && vaults.of(user, wrapped).unseal(sealed, key)) ?? null;
  } catch {
    return null; // its key can't be opened: a load says so
  }
}

export function putSeen(user: string, vault: Vault, seen: Uint8Array): Operation {
  const key = seenKey(user);
  return put(key, vault.seal(seen, key));
}

async function readAt(db: Database, key: Uint8Array): Promise<Uint8Array | null> {
  const sealed = await db.get(key);
  return (sealed && unseal(sealed, key)) ?? null;
}

const putAt = (key: Uint8Array, value: Uint8Array): Operation => put(key, seal(value, key));
