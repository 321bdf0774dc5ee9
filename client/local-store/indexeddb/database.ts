import { StorageError } from '../../errors.js';
import { withDeadline } from '../deadline.js';
import { asStorageError, toStorageError, unavailable } from '../failures.js';
import type { IndexedDbLimits } from './options.js';
import { answerOf, committed, openDatabase } from './requests.js';

export interface Row {
  /** Given by the database. */
  readonly key?: number;
  readonly bytes: Uint8Array;
  /** Absent unless it is: what an index holds can't be a boolean. */
  readonly pending?: 1;
}

export interface Connection {
  /** `null`: the database is to be deleted; else the version that a newer app wants. */
  onVersionChange(version: number | null): void;
  /** The browser closed it. */
  onTerminated(): void;
}

const VERSION = 1;
const CHANGES = 'changes';
const SETTINGS = 'settings';
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
): Promise<IDBDatabase> {
  const create = (db: IDBDatabase): void => {
    db.createObjectStore(CHANGES, { keyPath: 'key', autoIncrement: true }).createIndex('pending', 'pending');
  };
  return inTime(limits, () => openDatabase(name, VERSION, { create, ...connection }));
}

/** Settings are read and written rarely, so that their database is closed again each time. */
export async function withSettings<T>(
  limits: IndexedDbLimits,
  mode: IDBTransactionMode,
  work: (settings: IDBObjectStore) => Promise<T>,
): Promise<T> {
  const create = (opened: IDBDatabase) => void opened.createObjectStore(SETTINGS);
  const db = await inTime(limits, () => openDatabase(`${limits.prefix}/settings`, VERSION, { create }));
  const carryOut = async (): Promise<T> => {
    const tx = db.transaction(SETTINGS, mode, { durability: 'strict' });
    const [answer] = await Promise.all([work(tx.objectStore(SETTINGS)), committed(tx)]);
    return answer;
  };
  try {
    return await withDeadline(limits.clock, limits.answerTimeout, carryOut(), noAnswer);
  } catch (error) {
    throw toIndexedDbError(error);
  } finally {
    db.close();
  }
}

export async function deleteDatabase(name: string, limits: IndexedDbLimits): Promise<void> {
  await withDeadline(limits.clock, limits.openTimeout, answerOf(indexedDB.deleteDatabase(name)), () =>
    blocked(WAITED.delete),
  );
}

async function inTime(limits: IndexedDbLimits, open: () => Promise<IDBDatabase>): Promise<IDBDatabase> {
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
  db: IDBDatabase,
  limits: IndexedDbLimits,
  work: (changes: IDBObjectStore) => Promise<T>,
): Promise<T> {
  const tx = db.transaction(CHANGES, 'readwrite', { durability: 'strict' });
  const ended = committed(tx);
  ended.catch(() => {}); // awaited below
  const abort = (): void => {
    try {
      tx.abort();
    } catch {} // it has ended already
  };
  const carryOut = async (): Promise<T> => {
    try {
      const result = await work(tx.objectStore(CHANGES));
      await ended;
      return result;
    } catch (error) {
      abort();
      await ended.catch(() => {}); // `tx.error` tells why
      throw tx.error ?? error;
    }
  };
  return withDeadline(limits.clock, limits.answerTimeout, carryOut(), () => {
    abort();
    return noAnswer();
  });
}
