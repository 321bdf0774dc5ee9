import { rename, rm } from 'node:fs/promises';
import type { Rows, RowsWrite } from '../sole-store.js';
import type { StoredChange } from '../store.js';
import { type Database, isDamage, openDatabase, openMended, openRebuilt } from './database.js';
import { changeName, keyIn, NOTHING, pendingName, STATE, sealValue, unsealValue } from './format.js';
import { removeAsides } from './repair.js';

/** Written with every batch, so that a row or a mark which is missing is noticed. */
interface State {
  readonly writes: number;
  readonly changes: number;
  /** Left out by older versions. */
  readonly pending?: number;
}

/** All that is in a database. */
interface Content {
  readonly rows: readonly StoredChange[];
  /** Names of marks. */
  readonly marks: ReadonlySet<string>;
  /** Null where there is none that can be read. */
  readonly state: State | null;
}

/** The changes of one user in a LevelDB database; each write is one synced batch. */
export class LevelRows implements Rows {
  readonly #location: string;
  #db: Database;
  #isDamaged: boolean;
  #state: State = { writes: 0, changes: 0 };
  #pending: ReadonlySet<number> = new Set();

  private constructor(location: string, db: Database, isDamaged: boolean) {
    this.#location = location;
    this.#db = db;
    this.#isDamaged = isDamaged;
  }

  static async open(location: string): Promise<LevelRows> {
    await rm(removedName(location), { recursive: true, force: true });
    const { db, isDamaged } = await openMended(location);
    return new LevelRows(location, db, isDamaged);
  }

  async read(): Promise<readonly StoredChange[]> {
    const content = await this.#readAll();
    const { rows, marks, state } = content;
    this.#pending = new Set(rows.flatMap(({ key, pending }) => (pending ? key : [])));
    const { size } = this.#pending;
    this.#state = { writes: state?.writes ?? 0, changes: rows.length, pending: size };
    const isNew = state === null && rows.length === 0;
    const isWhole = state === null ? isNew : agrees(state, content);
    if (isWhole && marks.size === size && !this.#isDamaged) return rows;
    await this.#correct(content);
    return [...missing((state?.changes ?? 0) - rows.length), ...rows];
  }

  async write(write: RowsWrite): Promise<void> {
    const { writes, changes } = this.#state;
    const pending = new Set(this.#pending);
    for (const each of write.add) if (each.pending) pending.add(each.key);
    for (const key of [...write.confirm, ...write.remove]) pending.delete(key);
    const removed = write.remove.filter((key) => key >= 0).length;
    const state = {
      writes: writes + 1,
      changes: changes + write.add.length - removed,
      pending: pending.size,
    };
    try {
      await writeBatch(this.#db, write, state);
    } catch (cause) {
      await this.#findOut(state, cause);
    }
    this.#state = state;
    this.#pending = pending;
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  /** Renamed first, so that a crash can't leave a part of the database. */
  async remove(): Promise<void> {
    await rename(this.#location, removedName(this.#location));
    await rm(removedName(this.#location), { recursive: true, force: true });
    await removeAsides(this.#location);
  }

  async #readAll(): Promise<Content> {
    try {
      return await readContent(this.#db);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
    await this.#db.close();
    this.#db = await openRebuilt(this.#location);
    this.#isDamaged = true;
    return readContent(this.#db);
  }

  /** So that it is told once. */
  async #correct({ marks, rows }: Content): Promise<void> {
    const batch = this.#db.batch();
    const right = new Set(rows.map(({ key }) => pendingName(key)));
    for (const name of marks) if (!right.has(name)) batch.del(name);
    batch.put(STATE, encodeState(this.#state));
    await batch.write({ sync: true });
  }

  /** After a failed write LevelDB refuses all others until it is opened again, and may then have that write. */
  async #findOut(wanted: State, cause: unknown): Promise<void> {
    await this.#db.close();
    this.#db = await openDatabase(this.#location);
    const state = await readState(this.#db);
    if (state?.writes !== wanted.writes) throw cause;
  }
}

const agrees = ({ changes, pending }: State, { rows, marks }: Content): boolean =>
  changes === rows.length && (pending ?? marks.size) === marks.size;

/** They stand as changes without bytes, under numbers that no change has: whoever reads them tells of them. */
const missing = (count: number): StoredChange[] =>
  Array.from({ length: Math.max(1, count) }, (_, n) => ({ key: -1 - n, bytes: NOTHING, pending: false }));

async function readContent(db: Database): Promise<Content> {
  const marks = new Set(await db.keys({ gt: 'p', lt: 'q' }).all());
  const entries = await db.iterator({ gt: 'c', lt: 'd' }).all();
  const rows = entries.flatMap(([name, value]) => {
    const key = keyIn(name);
    const bytes = unsealValue(name, value, true) ?? NOTHING;
    return key === null ? [] : [{ key, bytes, pending: marks.has(pendingName(key)) }];
  });
  return { rows, marks, state: await readState(db) };
}

const removedName = (location: string): string => `${location}.removed`;

const encodeState = (state: State): Uint8Array => Buffer.from(JSON.stringify(state));

async function writeBatch(db: Database, { add, confirm, remove }: RowsWrite, state: State): Promise<void> {
  const batch = db.batch();
  for (const { key, bytes, pending } of add) {
    batch.put(changeName(key), sealValue(changeName(key), bytes));
    if (pending) batch.put(pendingName(key), NOTHING);
  }
  for (const key of confirm) batch.del(pendingName(key));
  for (const key of remove) batch.del(changeName(key)).del(pendingName(key));
  batch.put(STATE, encodeState(state));
  await batch.write({ sync: true });
}

async function readState(db: Database): Promise<State | null> {
  const state = await db.get(STATE);
  if (state === undefined) return null;
  try {
    const { writes, changes, pending } = JSON.parse(Buffer.from(state).toString());
    return { writes: Number(writes) || 0, changes: Number(changes) || 0, pending };
  } catch {
    return null;
  }
}
