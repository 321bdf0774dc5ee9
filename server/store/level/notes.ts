import { type Database, type Operation, put } from './database.js';
import { noteKey, seal, unseal } from './format.js';

/** `null` where there is none, or its bytes are damaged. */
export async function readNote(db: Database, name: string): Promise<Uint8Array | null> {
  const key = noteKey(name);
  const sealed = await db.get(key);
  return (sealed && unseal(sealed, key)) ?? null;
}

export function putNote(name: string, value: Uint8Array): Operation {
  const key = noteKey(name);
  return put(key, seal(value, key));
}
