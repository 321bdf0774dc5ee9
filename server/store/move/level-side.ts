/** A LevelDB, as what a move reads and writes. Nobody else has it open. */
import { resolve } from 'node:path';
import * as Y from 'yjs';
import { SyncError } from '../../errors.js';
import { plainVaults } from '../encryption/vault.js';
import * as format from '../format.js';
import { type Database, del, type Operation, put, writeDurably } from '../level/database.js';
import { putStateVector } from '../level/document.js';
import { type EncryptionMark, noteKeysInUse, putMark, readMark } from '../level/encryption.js';
import { deletionsIn } from '../level/erasure.js';
import { hasDatabase, openDatabase } from '../level/folder.js';
import { ownerOf } from '../level/key-owner.js';
import { checkFormat, FORMAT, formatOf } from '../level/migrations.js';
import { forgetMovedTo, movedTo, noteMovedTo } from '../level/moved-to.js';
import { putNote, readNote } from '../level/notes.js';
import { MOVING, OWN_NOTES } from '../moving.js';
import type { CopiedRow } from '../store.js';
import type { Begun, Part, Revoked, Rows, Source, Target } from './move.js';
import { keysIn, keysRow, NOTE_RANGE, noteIn, rangesOf, SINGLES, saysNothing } from './user-rows.js';

/** Rows at a time, and their bytes. */
const AT_ONCE = 1_000;
const PAGE = 256 * 1024;
/** What is written at once. */
const BATCH = 4 * 1024 * 1024;

/** Those of a server whose options were named wrongly are not those of the database. */
interface RevokedBeside extends Revoked {
  mustBeWhole(noteOf: (name: string) => Promise<Uint8Array | null>): Promise<void>;
}

/** @throws SyncError where a server has it, where there is none, or it is not whole */
export async function levelSource(folder: string, revoked: RevokedBeside): Promise<Source> {
  if (!(await hasDatabase(folder)))
    throw refused(`The folder ${folder} holds no database: name that of the server.`);
  const side = new LevelSide({ folder, revoked }, await openDatabase(folder));
  try {
    await side.mustBeWhole();
    await revoked.mustBeWhole((name) => side.note(name));
    return side;
  } catch (error) {
    await side.close();
    throw error;
  }
}

export const levelTarget = async (folder: string, revoked: Revoked): Promise<Target> =>
  new LevelSide({ folder, revoked }, await openDatabase(folder));

interface Place {
  readonly folder: string;
  /** Of the server, beside the database. */
  readonly revoked: Revoked;
}

class LevelSide implements Target {
  readonly name: string;
  readonly revoked: Revoked;
  readonly #folder: string;
  readonly #db: Database;
  #waiting: Operation[] = [];
  #size = 0;
  #users: readonly string[] | null = null;

  constructor({ folder, revoked }: Place, db: Database) {
    this.name = resolve(folder);
    this.revoked = revoked;
    this.#folder = folder;
    this.#db = db;
  }

  /** What a server would do first when it opens the database is done by a server. */
  async mustBeWhole(): Promise<void> {
    await checkFormat(this.#db, this.#folder);
    const mark = await readMark(this.#db);
    if ((await formatOf(this.#db)) < FORMAT || mark?.state === 'encrypting')
      throw refused(
        `The database in ${this.#folder} is of an older version: start this server with it once.`,
      );
  }

  note(name: string): Promise<Uint8Array | null> {
    return readNote(this.#db, name);
  }

  async count(): Promise<number> {
    return (await this.#all()).length;
  }

  async *users(): AsyncGenerator<string> {
    yield* await this.#all();
  }

  /** Of those too of whom only a device or a tombstone is stored. */
  async #all(): Promise<readonly string[]> {
    if (this.#users !== null) return this.#users;
    const users = new Set<string>();
    for await (const key of this.#db.keys()) {
      const user = isLeftBehind(key) ? null : ownerOf(key);
      if (typeof user === 'string') users.add(user);
    }
    const sorted = [...users].map((user) => Buffer.from(user)).sort(Buffer.compare);
    this.#users = sorted.map((user) => user.toString());
    return this.#users;
  }

  async *rows(part: Part): Rows {
    if (part === null) {
      yield await this.#ownRows();
      return;
    }
    const [row, singles] = await this.#singles(part);
    yield singles;
    for (const range of rangesOf(part)) {
      for await (const some of this.#pages(range)) {
        mustBeOfRow(part, row, some);
        yield some;
      }
    }
  }

  async #singles(user: string): Promise<[format.Row, CopiedRow[]]> {
    const keys = SINGLES.map(([, keyOf]) => keyOf(user));
    const [stored, ...values] = await this.#db.getMany([format.rowKey(user), ...keys], {});
    const row = stored === undefined ? format.EMPTY_ROW : format.decodeRow(user, stored);
    if (row === undefined)
      throw refused(
        `The row of the user ${user} is damaged: restore the user from a backup, or erase the user, and move then.`,
      );
    const first: CopiedRow[] = saysNothing(row) ? [] : [[format.rowKey(user), format.encodeRow(user, row)]];
    const others = values.flatMap((value, index): CopiedRow[] => {
      const key = keys[index];
      return value === undefined || key === undefined ? [] : [[key, value]];
    });
    return [row, [...first, ...others]];
  }

  async *#pages(range: format.KeyRange): Rows {
    const rows = this.#db.iterator({ ...range, highWaterMarkBytes: PAGE });
    try {
      for (let some = await rows.nextv(AT_ONCE); some.length > 0; some = await rows.nextv(AT_ONCE))
        yield some;
    } finally {
      await rows.close();
    }
  }

  async #ownRows(): Promise<CopiedRow[]> {
    const mark = await this.#mark();
    const notes = await this.#db.iterator(NOTE_RANGE).all();
    const moved = notes.filter(([key]) => !OWN_NOTES.includes(noteIn(key)));
    return [...(mark === null ? [] : [keysRow(mark.keys)]), ...moved];
  }

  /** Of a target it may still be to come; that of a source was found whole. */
  async #mark(): Promise<EncryptionMark | null> {
    const isThere = (await this.#db.get(format.ENCRYPTION_KEY)) !== undefined;
    return isThere ? await readMark(this.#db) : null;
  }

  async begun(): Promise<Begun> {
    const from = await readNote(this.#db, MOVING);
    if (from !== null) return { from: Buffer.from(from).toString() };
    await checkFormat(this.#db, this.#folder);
    return (await this.count()) === 0 ? 'empty' : 'used';
  }

  begin(from: string): Promise<void> {
    const format_ = put(format.FORMAT_KEY, Buffer.from(String(FORMAT)));
    return writeDurably(this.#db, [putNote(MOVING, Buffer.from(from)), format_]);
  }

  async replace(part: Part, rows: Rows): Promise<void> {
    for (const operation of await this.#removalOf(part)) await this.#add(operation);
    let isFirst = true;
    let isErased = false;
    for await (const some of rows) {
      for (const [key, value] of some) {
        isErased ||= part !== null && format.tombstoneKey(part).equals(key);
        const isMark = part === null && format.ENCRYPTION_KEY.equals(key);
        await this.#add(isMark ? putMark({ state: 'encrypted', keys: keysIn(value) }) : put(key, value));
        if (part === null || !isFirst || !format.isIn(key, format.updateRange(part))) continue;
        isFirst = false;
        for (const operation of stateVectorOf(part, key, value)) await this.#add(operation);
      }
    }
    if (part !== null && !isErased) await this.#add(del(format.erasingKey(part)));
  }

  async #removalOf(part: Part): Promise<Operation[]> {
    if (part === null) return (await this.#ownRows()).map(([key]) => del(key));
    const own = [format.rowKey(part), format.tombstoneKey(part)].map(format.onlyKey);
    const removal = await deletionsIn(this.#db, [...format.erasedRanges(part), ...own]);
    // Who was copied may be erased at the source meanwhile: the first start rewrites the files that held these rows.
    // The mark goes again where there is no tombstone in their place.
    return removal.length === 0 ? [] : [put(format.erasingKey(part), Buffer.of()), ...removal];
  }

  async #add(operation: Operation): Promise<void> {
    this.#waiting.push(operation);
    this.#size += operation.type === 'put' ? operation.value.length : 0;
    if (this.#size >= BATCH || this.#waiting.length >= AT_ONCE) await this.flush();
  }

  async flush(): Promise<void> {
    const operations = this.#waiting;
    [this.#waiting, this.#size] = [[], 0];
    if (operations.length === 0) return;
    this.#users = null; // some may have come, or gone
    await writeDurably(this.#db, operations);
  }

  async complete(): Promise<void> {
    const mark = await readMark(this.#db);
    if (mark !== null) await noteKeysInUse(this.#folder, mark);
    await forgetMovedTo(this.#folder); // all of it is here again
    await writeDurably(this.#db, [del(format.noteKey(MOVING))]);
  }

  leftFor(): Promise<string | null> {
    return movedTo(this.#folder);
  }

  leave(target: string): Promise<void> {
    return noteMovedTo(this.#folder, target);
  }

  close(): Promise<void> {
    return this.#db.close();
  }
}

/** y-leveldb, and nobody else, lists documents by state vectors, which are made anew; the others tell what was going on. */
const isLeftBehind = (key: Uint8Array): boolean =>
  format.isIn(key, format.STATE_VECTORS) || format.isIn(key, format.ERASING);

/** Of what is encrypted there is none, and of what is damaged. */
function stateVectorOf(user: string, key: Uint8Array, value: Uint8Array): Operation[] {
  const update = format.unseal(value, key);
  if (update === undefined) return [];
  const { none } = plainVaults;
  return [putStateVector(none, user, format.clockOf(key), Y.encodeStateVectorFromUpdate(update))];
}

/** y-leveldb may have written behind the last one, or where there is no row: a load takes that over. */
function mustBeOfRow(user: string, { last }: format.Row, rows: readonly CopiedRow[]): void {
  for (const [key] of rows) {
    if (!format.isIn(key, format.updateRange(user)) || format.clockOf(key) <= last) continue;
    throw refused(
      `y-leveldb has written to the document of ${user} since this server had it: start the server with the folder, and export that user once.`,
    );
  }
}

const refused = (sentence: string): SyncError => new SyncError('STORE_UNAVAILABLE', sentence);
