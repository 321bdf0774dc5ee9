/**
 * The format of a database is a number in it. An older server refuses a newer database (O5); a newer server takes an
 * older one from format to format when it opens it.
 */
import { SyncError } from '../../errors.js';
import { syncFolder } from '../../folders.js';
import { FORMAT_KEY } from '../format.js';
import { MOVING, mustNotBeMoving } from '../moving.js';
import { type Database, isDamage } from './database.js';
import { adoptAll, type Progress } from './document.js';
import { readNote } from './notes.js';

/**
 * Takes a database one format further, document by document, each in one atomic batch. It may end at any moment by a
 * kill and is then begun anew, so what it has done before must be as good as what it has not. False: a part can't be
 * read; the number stays as it is, and the next start tries again.
 */
export type Migration = (db: Database, onProgress: Progress) => Promise<boolean>;

/**
 * What y-leveldb wrote has no format of ours: it is 0. A part that can't be read must not stop the rest (P5): whoever
 * is not adopted here is when loaded, or is found corrupt then.
 */
const fromYLevelDb: Migration = async (db, onProgress) => {
  try {
    await adoptAll(db, onProgress);
    return true;
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
};

/** The one at place n leads from format n to n + 1. What was released never changes. */
const MIGRATIONS: readonly Migration[] = [fromYLevelDb];
/** The format that this version writes, and the newest that it reads. */
export const FORMAT = MIGRATIONS.length;

/** A number that can't be read, as after a repair, counts as none: each migration bears to be run once more. */
export async function formatOf(db: Database): Promise<number> {
  const stored = await orNothing(db.get(FORMAT_KEY), undefined);
  const text = stored === undefined ? '' : Buffer.from(stored).toString();
  return /^\d{1,9}$/.test(text) ? Number(text) : 0;
}

async function orNothing<T>(reading: Promise<T>, nothing: T): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (isDamage(error)) return nothing;
    throw error;
  }
}

/** Throws where a newer server has written the database, or a part of it is still to come. */
export async function checkFormat(db: Database, folder: string): Promise<void> {
  mustNotBeMoving(await orNothing(readNote(db, MOVING), null), folder);
  const format = await formatOf(db);
  if (format <= FORMAT) return;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    `A newer version wrote the database in ${folder} (format ${format}, this one reads up to ${FORMAT}): start that version or a newer one, or restore a backup from before the upgrade.`,
  );
}

/** Brings the database to this version's format; after a kill the next open goes on. */
export async function migrate(
  db: Database,
  onProgress: Progress,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const from = await formatOf(db);
  for (const [index, migration] of migrations.entries()) {
    if (index < from) continue;
    if (!(await migration(db, onProgress))) return;
    await db.put(FORMAT_KEY, Buffer.from(String(index + 1)), { sync: true });
    await syncFolder(db.location);
  }
}
