import { readdir, rename, rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { ClassicLevel } from 'classic-level';
import { corrupt, unavailable } from './failures.js';
import type { Rows, RowsWrite } from './sole-store.js';
import type { StoredChange } from './store.js';

type Database = ClassicLevel<string, Uint8Array>;

/** `c` + key → checksum and bytes; `p` + key is there while the change is pending; `s` → the state. */
const STATE = 's';
const changeKey = (key: number): string => `c${String(key).padStart(16, '0')}`;
const pendingKey = (key: number): string => `p${String(key).padStart(16, '0')}`;
const NOTHING = new Uint8Array(0);

/** Written with every batch: LevelDB opens a damaged log as if its records had never been written. */
interface State {
  readonly writes: number;
  readonly changes: number;
}

/** The changes of one user in a LevelDB database; each write is one synced batch. */
export class LevelRows implements Rows {
  readonly #location: string;
  #db: Database;
  #state: State = { writes: 0, changes: 0 };

  private constructor(location: string, db: Database) {
    this.#location = location;
    this.#db = db;
  }

  static async open(location: string): Promise<LevelRows> {
    await rm(removedName(location), { recursive: true, force: true });
    return new LevelRows(location, await openDatabase(location));
  }

  async read(): Promise<readonly StoredChange[]> {
    this.#state = await readState(this.#db);
    const pending = new Set(await this.#db.keys({ gt: 'p', lt: 'q' }).all());
    const entries = await this.#db.iterator({ gt: 'c', lt: 'd' }).all();
    if (entries.length !== this.#state.changes) throw corrupt(`Stored changes are missing: ${this.#cure()}`);
    return entries.map(([name, value]) => {
      const key = Number(name.slice(1));
      return { key, bytes: this.#open(value), pending: pending.has(pendingKey(key)) };
    });
  }

  async write(write: RowsWrite): Promise<void> {
    const state = {
      writes: this.#state.writes + 1,
      changes: this.#state.changes + write.add.length - write.remove.length,
    };
    try {
      await writeBatch(this.#db, write, state);
    } catch (cause) {
      await this.#findOut(state, cause);
    }
    this.#state = state;
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  /** Renamed first, so that a crash can't leave a part of the database. */
  async remove(): Promise<void> {
    await rename(this.#location, removedName(this.#location));
    await rm(removedName(this.#location), { recursive: true, force: true });
  }

  /** After a failed write LevelDB refuses all others until it is opened again, and may then have that write. */
  async #findOut(wanted: State, cause: unknown): Promise<void> {
    await this.#db.close();
    this.#db = await openDatabase(this.#location);
    const { writes } = await readState(this.#db);
    if (writes !== wanted.writes) throw cause;
  }

  #open(value: Uint8Array): Uint8Array {
    const bytes = value.slice(4);
    const check = new DataView(value.buffer, value.byteOffset, value.byteLength);
    if (value.length >= 4 && check.getUint32(0) === crc32(bytes)) return bytes;
    return NOTHING; // no update: whoever reads it says that it is damaged, and goes on with the others
  }

  #cure(): string {
    return cure(this.#location);
  }
}

const cure = (location: string): string =>
  `delete the folder ${location} to start anew from what the server has, or restore it from a backup.`;

const removedName = (location: string): string => `${location}.removed`;

async function writeBatch(db: Database, { add, confirm, remove }: RowsWrite, state: State): Promise<void> {
  const batch = db.batch();
  for (const { key, bytes, pending } of add) {
    batch.put(changeKey(key), seal(bytes));
    if (pending) batch.put(pendingKey(key), NOTHING);
  }
  for (const key of confirm) batch.del(pendingKey(key));
  for (const key of remove) batch.del(changeKey(key)).del(pendingKey(key));
  batch.put(STATE, Buffer.from(JSON.stringify(state)));
  await batch.write({ sync: true });
}

function seal(bytes: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(bytes.length + 4);
  new DataView(sealed.buffer).setUint32(0, crc32(bytes));
  sealed.set(bytes, 4);
  return sealed;
}

async function readState(db: Database): Promise<State> {
  const state = await db.get(STATE);
  if (state === undefined) return { writes: 0, changes: 0 };
  try {
    return JSON.parse(Buffer.from(state).toString());
  } catch (error) {
    throw corrupt(`The state of the store is damaged: ${cure(db.location)}`, error);
  }
}

/** Deletes a database in whatever state it is, but not one that another process has open. */
export async function removeDatabase(location: string): Promise<void> {
  const db: Database = new ClassicLevel(location, { keyEncoding: 'utf8', valueEncoding: 'view' });
  await db.open({ createIfMissing: true }).catch((error: unknown) => {
    if (isLocked(error)) throw inUse(location, error);
  });
  await db.close();
  await rm(location, { recursive: true, force: true });
}

/** LevelDB makes the first two before there is a database, and ends with a file CURRENT that names the manifest. */
const NO_DATA = /^(LOCK|LOG|LOG\.old|MANIFEST-000001|000001\.dbtmp)$/;

/** Creates a database only where there certainly is none: LevelDB takes one without CURRENT for none. */
async function openDatabase(location: string): Promise<Database> {
  const files = await listFolder(location);
  const createIfMissing = files.every((file) => NO_DATA.test(file));
  if (!createIfMissing && !files.includes('CURRENT')) {
    throw corrupt(`The database has no file CURRENT: ${cure(location)}`);
  }
  const db: Database = new ClassicLevel(location, { keyEncoding: 'utf8', valueEncoding: 'view' });
  try {
    await db.open({ createIfMissing });
    return db;
  } catch (error) {
    if (!isLocked(error)) throw error;
    throw inUse(location, error);
  }
}

async function listFolder(location: string): Promise<string[]> {
  try {
    return await readdir(location);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

const inUse = (location: string, cause: unknown) =>
  unavailable(`The folder ${location} is in use by another process: stop that one first.`, cause);

const isLocked = (error: unknown): boolean =>
  error instanceof Error && (error.cause as { code?: unknown } | undefined)?.code === 'LEVEL_LOCKED';
