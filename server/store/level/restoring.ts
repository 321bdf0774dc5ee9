/** A database is made of the rows of a backup, and what was erased since is erased in it, too. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { SyncError } from '../../errors.js';
import * as format from '../format.js';
import type { CopiedRow } from '../store.js';
import { type Database, put, writeDurably } from './database.js';
import { deletionsIn, erasureOf } from './erasure.js';
import { isLockedBy, openDatabase, openFailure, RESTORE_LOCK } from './folder.js';

type Rows = AsyncIterable<readonly CopiedRow[]>;

const REPLACED = 'replaced-';

/** Where what is replaced stays, a database like any other; the next erasure removes it. */
export const replacedFolder = (dataDir: string, now: number): string =>
  join(dataDir, `${REPLACED}${new Date(now).toISOString().replaceAll(/[:.]/g, '-')}`);

/** What stays of a user who was erased, as it is stored, and the revision that the document had then, or has by now. */
export interface Erased {
  readonly tombstone: Uint8Array;
  readonly revision: number;
}

/** By user. */
export type Erasures = ReadonlyMap<string, Erased>;

const ROWS_AT_ONCE = 2_000;

async function* databaseRows(db: Database): AsyncGenerator<readonly CopiedRow[]> {
  yield await db.iterator(format.TOMBSTONES).all();
  const rows = db.iterator(format.ROWS);
  try {
    for (let some = await rows.nextv(ROWS_AT_ONCE); some.length > 0; some = await rows.nextv(ROWS_AT_ONCE))
      yield some;
  } finally {
    await rows.close();
  }
}

/** What the rows of a database say of its users. */
export interface Known {
  readonly erasures: Erasures;
  /** How far each document is; null where that is damaged. */
  readonly revisions: ReadonlyMap<string, number | null>;
}

/** Tombstones come before the rows of documents. */
export async function knownIn(rows: Rows): Promise<Known> {
  const known = { erasures: new Map<string, Erased>(), revisions: new Map<string, number | null>() };
  for await (const some of rows) for (const row of some) note(known, row);
  return known;
}

function note(
  { erasures, revisions }: { erasures: Map<string, Erased>; revisions: Map<string, number | null> },
  [key, value]: CopiedRow,
): void {
  if (format.isIn(key, format.TOMBSTONES)) {
    const tombstone = format.unseal(value, key);
    if (tombstone !== undefined)
      erasures.set(format.userOfTombstone(key), { tombstone: Uint8Array.from(tombstone), revision: 0 });
  } else if (format.isIn(key, format.ROWS)) {
    const user = format.userOfRow(key);
    const revision = format.decodeRow(user, value)?.revision ?? null;
    revisions.set(user, revision);
    const erased = erasures.get(user);
    if (erased !== undefined && revision !== null) erasures.set(user, { ...erased, revision });
  }
}

/**
 * All of one user becomes what these rows say; the tombstone of an erasure since refuses it.
 *
 * @param keptIn the folder of a new database, which gets what is there of the user before that
 */
export async function replaceUser(
  folder: string,
  user: string,
  rows: readonly CopiedRow[],
  keptIn: string,
): Promise<void> {
  const db = await openDatabase(folder);
  try {
    await mustNotBeErasedSince(db, user, rows);
    const own = [...format.erasedRanges(user), format.onlyKey(format.rowKey(user))];
    await makeDatabase(keptIn, rowsToKeep(db, user, own), new Map());
    const gone = await deletionsIn(db, own);
    await writeDurably(db, [...gone, ...rows.map(([key, value]) => put(key, value))]);
  } finally {
    await db.close();
  }
}

async function mustNotBeErasedSince(db: Database, user: string, rows: readonly CopiedRow[]): Promise<void> {
  const key = format.tombstoneKey(user);
  const tombstone = await db.get(key);
  const before = rows.find(([other]) => key.equals(other))?.[1];
  if (tombstone && !(before && Buffer.compare(before, tombstone) === 0))
    throw new SyncError('BACKUP_FAILED', `${user} was erased since the backup: nothing is brought back.`);
}

/** Those of the user, and what says how to read them. */
async function* rowsToKeep(
  db: Database,
  user: string,
  own: readonly format.KeyRange[],
): AsyncGenerator<readonly CopiedRow[]> {
  const others = [format.FORMAT_KEY, format.ENCRYPTION_KEY, format.tombstoneKey(user)].map(format.onlyKey);
  for (const range of [...others, ...own]) yield await db.iterator(range).all();
}

/** A database that is kept from being used by others until it is let go. */
export interface HeldDatabase {
  readonly known: Known;
  letGo(): Promise<void>;
}

export async function holdDatabase(folder: string): Promise<HeldDatabase> {
  const db = await openDatabase(folder);
  try {
    return { known: await knownIn(databaseRows(db)), letGo: () => db.close() };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** So that there is one restore into a folder at a time, whoever runs it; returns what ends that. */
export async function lockForRestore(folder: string): Promise<() => Promise<void>> {
  const place = join(folder, RESTORE_LOCK);
  const lock = new ClassicLevel(place);
  try {
    await lock.open();
  } catch (cause) {
    await lock.close();
    const sentence = `Another restore into ${folder} is under way: wait until it is done.`;
    throw isLockedBy(cause) ? new SyncError('BACKUP_FAILED', sentence, { cause }) : openFailure(place, cause);
  }
  return async () => {
    // Before the lock is free: nobody gets it in a folder that is about to go.
    await rm(place, { recursive: true, force: true });
    await lock.close();
  };
}

/** Those that restores have replaced in this folder, as far as they can be read, the newest first. */
export async function* replacedBefore(folder: string): AsyncGenerator<{ folder: string; known: Known }> {
  const names = (await readdir(folder)).filter((name) => name.startsWith(REPLACED));
  for (const name of names.sort().reverse()) {
    const path = join(folder, name);
    const held = await holdDatabase(path).catch(() => null);
    if (held === null) continue;
    await held.letGo();
    yield { folder: path, known: held.known };
  }
}

/**
 * Makes a database of these rows, in a folder without one; returns how many users were erased in it. The next open
 * takes what was erased out of its files.
 */
export async function makeDatabase(folder: string, rows: Rows, erasures: Erasures): Promise<number> {
  const db = await openDatabase(folder);
  try {
    for await (const some of rows)
      await writeDurably(
        db,
        some.map(([key, value]) => put(key, value)),
      );
    let count = 0;
    for (const [user, { tombstone, revision }] of erasures) {
      const key = format.tombstoneKey(user);
      const stored = await db.get(key);
      // The same tombstone: it was erased before the backup, and what came since stays.
      if (stored && Buffer.compare(stored, format.seal(tombstone, key)) === 0) continue;
      await writeDurably(db, await erasureOf(db, user, tombstone, revision));
      count += 1;
    }
    return count;
  } finally {
    await db.close();
  }
}
