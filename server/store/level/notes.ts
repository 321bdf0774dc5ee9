import { type Database, type Operation, put } from './database.js';
import { noteKey, plainVisitKey, seal, unseal } from './format.js';

/** `null` where there is none, or its bytes are damaged. */
export const readNote = (db: Database, name: string): Promise<Uint8Array | null> => readAt(db, noteKey(name));

export const putNote = (name: string, value: Uint8Array): Operation => putAt(noteKey(name), value);

export async function readPlainVisit(db: Database, user: string): Promise<number | null> {
  const bytes = await readAt(db, plainVisitKey(user));
  return bytes === null ? null : Number(Buffer.from(bytes).toString());
}

export const putPlainVisit = (user: string, at: number): Operation =>
  putAt(plainVisitKey(user), Buffer.from(String(at)));

async function readAt(db: Database, key: Uint8Array): Promise<Uint8Array | null> {
  const sealed = await db.get(key);
  return (sealed && unseal(sealed, key)) ?? null;
}

const putAt = (key: Uint8Array, value: Uint8Array): Operation => put(key, seal(value, key));
