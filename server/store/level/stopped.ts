/** A database whose server does not run, copied as it is: without a key, and without changing what it holds. */
import { SyncError } from '../../errors.js';
import type { StoreCopy } from '../store.js';
import { Copies } from './copies.js';
import { type Database, writeDurably } from './database.js';
import { openDatabase } from './folder.js';
import { putNote } from './notes.js';

export interface StoppedDatabase {
  readonly copy: () => Promise<StoreCopy>;
  note(name: string, value: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** Null where a server has it. */
export async function copyStopped(folder: string): Promise<StoppedDatabase | null> {
  const db = await openUnlessRunning(folder);
  if (db === null) return null;
  const copies = new Copies();
  return {
    copy: async () => copies.begin(db),
    note: (name, value) => writeDurably(db, [putNote(name, value)]),
    close: () => db.close(),
  };
}

async function openUnlessRunning(folder: string): Promise<Database | null> {
  try {
    return await openDatabase(folder);
  } catch (error) {
    if (error instanceof SyncError && error.message.includes('in use by another process')) return null;
    throw error;
  }
}
