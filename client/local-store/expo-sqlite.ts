import { asStorageError, toStorageError } from './failures.js';
import { safeName } from './safe-name.js';
import { openSole, type Rows, type RowsWrite } from './sole-store.js';
import type { DeviceStorage, StoredChange } from './store.js';

type SqliteValue = string | number | Uint8Array | null;

/** What is used of a database of `expo-sqlite`. */
export interface ExpoDatabase {
  execAsync(sql: string): Promise<void>;
  runAsync(sql: string, ...values: SqliteValue[]): Promise<unknown>;
  getAllAsync<Row>(sql: string, ...values: SqliteValue[]): Promise<Row[]>;
  /** Whatever else is asked of the database meanwhile becomes part of it: callers take turns. */
  withTransactionAsync(task: () => Promise<void>): Promise<void>;
  closeAsync(): Promise<void>;
}

/** What is used of the module `expo-sqlite`. */
export interface ExpoSqlite {
  openDatabaseAsync(name: string): Promise<ExpoDatabase>;
  deleteDatabaseAsync(name: string): Promise<void>;
}

const SAFE = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;';
const CHANGES =
  'CREATE TABLE IF NOT EXISTS changes (key INTEGER PRIMARY KEY, bytes BLOB NOT NULL, pending INTEGER NOT NULL);';
const SETTINGS = 'CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);';

/**
 * Keeps data in SQLite by `expo-sqlite`: a database for each user, and one for settings. Every change is on the
 * disk before its promise resolves.
 *
 * @example
 * import * as SQLite from 'expo-sqlite';
 * const storage = expoSqliteStorage(SQLite);
 */
export function expoSqliteStorage(sqlite: ExpoSqlite): DeviceStorage {
  let settings: Promise<unknown> = Promise.resolve();
  const withSettings = <T>(work: (db: ExpoDatabase) => Promise<T>): Promise<T> => {
    const result = settings.then(() => useSettings(sqlite, work));
    settings = result.catch(() => {});
    return result;
  };
  return {
    name: 'SQLite',
    durable: true,
    async open(name) {
      const file = fileName(name);
      return openSole(sqlite, file, 'SQLite', () => SqliteRows.open(sqlite, file));
    },
    remove: (name) => removeDatabase(sqlite, fileName(name)),
    readSetting: (name) => withSettings((db) => readSetting(db, name)),
    writeSetting: (name, value) => withSettings((db) => writeSetting(db, name, value)),
  };
}

const fileName = (name: string): string => `telemed-sync-${safeName(name)}.db`;

async function removeDatabase(sqlite: ExpoSqlite, file: string): Promise<void> {
  try {
    await sqlite.deleteDatabaseAsync(file);
  } catch (error) {
    throw asStorageError(error, toStorageError('SQLite'));
  }
}

async function openDatabase(sqlite: ExpoSqlite, file: string, table: string): Promise<ExpoDatabase> {
  const db = await sqlite.openDatabaseAsync(file);
  try {
    await db.execAsync(`${SAFE} ${table}`);
    return db;
  } catch (error) {
    await db.closeAsync().catch(() => {}); // the first error tells more
    throw error;
  }
}

async function useSettings<T>(sqlite: ExpoSqlite, work: (db: ExpoDatabase) => Promise<T>): Promise<T> {
  try {
    const db = await openDatabase(sqlite, 'telemed-sync.db', SETTINGS);
    return await work(db).finally(() => db.closeAsync());
  } catch (error) {
    throw asStorageError(error, toStorageError('SQLite'));
  }
}

async function readSetting(db: ExpoDatabase, name: string): Promise<string | null> {
  const [row] = await db.getAllAsync<{ value: string }>('SELECT value FROM settings WHERE name = ?', name);
  return row?.value ?? null;
}

async function writeSetting(db: ExpoDatabase, name: string, value: string | null): Promise<void> {
  if (value === null) await db.runAsync('DELETE FROM settings WHERE name = ?', name);
  else await db.runAsync('INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)', name, value);
}

class SqliteRows implements Rows {
  readonly #sqlite: ExpoSqlite;
  readonly #file: string;
  readonly #db: ExpoDatabase;
  #closed: Promise<void> | null = null;

  private constructor(sqlite: ExpoSqlite, file: string, db: ExpoDatabase) {
    this.#sqlite = sqlite;
    this.#file = file;
    this.#db = db;
  }

  static async open(sqlite: ExpoSqlite, file: string): Promise<SqliteRows> {
    return new SqliteRows(sqlite, file, await openDatabase(sqlite, file, CHANGES));
  }

  async read(): Promise<readonly StoredChange[]> {
    const rows = await this.#db.getAllAsync<{ key: number; bytes: unknown; pending: number }>(
      'SELECT key, bytes, pending FROM changes ORDER BY key',
    );
    return rows.map(({ key, bytes, pending }) => {
      // What is no update is told by whoever reads it; the others stand without it.
      return { key, bytes: bytes instanceof Uint8Array ? bytes : new Uint8Array(0), pending: pending === 1 };
    });
  }

  write({ add, confirm, remove }: RowsWrite): Promise<void> {
    return this.#db.withTransactionAsync(async () => {
      for (const { key, bytes, pending } of add) {
        await this.#db.runAsync('INSERT INTO changes VALUES (?, ?, ?)', key, bytes, Number(pending));
      }
      if (confirm.length > 0) {
        await this.#db.runAsync(`UPDATE changes SET pending = 0 WHERE key IN (${confirm.join()})`);
      }
      if (remove.length > 0) await this.#db.runAsync(`DELETE FROM changes WHERE key IN (${remove.join()})`);
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#db.closeAsync();
    return this.#closed;
  }

  remove(): Promise<void> {
    return this.#sqlite.deleteDatabaseAsync(this.#file);
  }
}
