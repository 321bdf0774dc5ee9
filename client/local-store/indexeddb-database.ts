import { type DBSchema, deleteDB, type IDBPDatabase, type IDBPObjectStore, openDB } from 'idb';
import { StorageError } from '../errors.js';
import { withDeadline } from './deadline.js';
import { asStorageError, toStorageError, unavailable } from './failures.js';
import type { IndexedDbLimits } from './indexeddb.js';

export interface Row {
  /** Given by the database. */
  readonly key?: number;
  readonly bytes: Uint8Array;
  /** Absent unless it is: what an index holds can't be a boolean. */
  readonly pending?: 1;
}

export interface ChangesSchema extends DBSchema {
  changes: { key: number; value: Row; indexes: { pending: number } };
}

export interface SettingsSchema extends DBSchema {
  settings: { key: string; value: string };
}

export type Changes = IDBPObjectStore<ChangesSchema, ['changes'], 'changes', 'readwrite'>;

export interface Connection {
  /** `null`: the database is to be deleted; else the version that a newer app wants. */
  onVersionChange(version: number | null): void;
  /** The browser closed it. */
  onTerminated(): void;
}

const VERSION = 1;
const WAITED = {
  open: 'IndexedDB did not open in time: another tab holds an older version open, or the browser does not answer.',
  delete: 'The database is emptied, but could not be deleted in time: another tab holds it open.',
};

const unknownError = toStorageError('IndexedDB');

export function toIndexedDbError(error: unknown): StorageError {
  if (error instanceof Error && error.name === 'VersionError') {
    return unavailable('A newer version of the app has taken over the data of this device.', error);
  }
  return asStorageError(error, unknownError);
}

export async function openChanges(
  name: string,
  limits: IndexedDbLimits,
  connection: Connection,
): Promise<IDBPDatabase<ChangesSchema>> {
  return inTime(limits, () =>
    openDB<ChangesSchema>(name, VERSION, {
      upgrade(db) {
        const changes = db.createObjectStore('changes', { keyPath: 'key', autoIncrement: true });
        changes.createIndex('pending', 'pending');
      },
      blocking: (_current, wanted) => connection.onVersionChange(wanted),
      terminated: () => connection.onTerminated(),
    }),
  );
}

/** Settings are read and written rarely, so that their database is closed again each time. */
export async function withSettings<T>(
  limits: IndexedDbLimits,
  work: (db: IDBPDatabase<SettingsSchema>) => Promise<T>,
): Promise<T> {
  const db = await inTime(limits, () =>
    openDB<SettingsSchema>(`${limits.prefix}/settings`, VERSION, {
      upgrade: (opened) => void opened.createObjectStore('settings'),
    }),
  );
  try {
    return await withDeadline(limits.clock, limits.answerTimeout, work(db), noAnswer);
  } catch (error) {
    throw toIndexedDbError(error);
  } finally {
    db.close();
  }
}

export async function deleteDatabase(name: string, limits: IndexedDbLimits): Promise<void> {
  await withDeadline(limits.clock, limits.openTimeout, deleteDB(name), () => blocked(WAITED.delete));
}

async function inTime<T>(
  limits: IndexedDbLimits,
  open: () => Promise<IDBPDatabase<T>>,
): Promise<IDBPDatabase<T>> {
  try {
    if (!globalThis.indexedDB) throw unavailable('There is no IndexedDB here.');
    const opening = open();
    return await withDeadline(limits.clock, limits.openTimeout, opening, () => {
      void opening.then((late) => late.close()).catch(() => {}); // left open, it would block others
      return blocked(WAITED.open);
    });
  } catch (error) {
    throw toIndexedDbError(error);
  }
}

const blocked = (message: string): StorageError => new StorageError('BLOCKED', message);
const noAnswer = (): StorageError => unavailable('IndexedDB does not answer any more.');

/**
 * Carries out `work` in one transaction, as durable as the browser can; resolves when it is committed. When it
 * can't be, nothing of it is stored, and the reason is that of the transaction: its requests know less.
 */
export function transact<T>(
  db: IDBPDatabase<ChangesSchema>,
  limits: IndexedDbLimits,
  work: (changes: Changes) => Promise<T>,
): Promise<T> {
  const tx = db.transaction('changes', 'readwrite', { durability: 'strict' });
  tx.done.catch(() => {}); // `ended` tells more
  const ended = new Promise<void>((resolve) => {
    tx.addEventListener('complete', () => resolve());
    tx.addEventListener('abort', () => resolve());
  });
  const abort = (): void => {
    try {
      tx.abort();
    } catch {} // it has ended already
  };
  const carryOut = async (): Promise<T> => {
    try {
      const result = await work(tx.store);
      await ended;
      await tx.done;
      return result;
    } catch (error) {
      abort();
      await ended;
      throw tx.error ?? error;
    }
  };
  return withDeadline(limits.clock, limits.answerTimeout, carryOut(), () => {
    abort();
    return noAnswer();
  });
}
