import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as format from '../format.js';
import { type Database, del, type Operation, put, readFailure, writeDurably } from './database.js';
import { putRow } from './document.js';
import { RESTORE, RESTORE_LOCK } from './folder.js';

/**
 * What takes a user out of the database, in one atomic batch: the key that opens the values and the values go, a
 * tombstone stays, and the revision goes on, so that nobody takes the next content for what had its number before.
 *
 * @param least what the revision has to be at least
 */
export async function erasureOf(
  db: Database,
  user: string,
  tombstone: Uint8Array,
  least = 1,
): Promise<Operation[]> {
  try {
    const sealed = await db.get(format.rowKey(user));
    const stored = (sealed && format.decodeRow(user, sealed)?.revision) ?? 0;
    const revision = Math.max(stored + 1, least);
    const row = { ...format.EMPTY_ROW, revision, historyFrom: revision };
    const key = format.tombstoneKey(user);
    return [
      ...(await deletionsIn(db, format.erasedRanges(user))),
      putRow(user, row),
      put(key, format.seal(tombstone, key)),
      put(format.erasingKey(user), Buffer.of()),
    ];
  } catch (cause) {
    throw readFailure(cause);
  }
}

export async function deletionsIn(db: Database, ranges: readonly format.KeyRange[]): Promise<Operation[]> {
  const operations: Operation[] = [];
  for (const range of ranges) for (const key of await db.keys(range).all()) operations.push(del(key));
  return operations;
}

/**
 * Rewrites the files that hold, or held, what was deleted. LevelDB rewrites a file only where something newer above
 * it overlaps it, so a deletion is written around each range first. A second pass catches what LevelDB moved by
 * itself during the first.
 */
export async function rewriteRanges(db: Database, user: string): Promise<void> {
  for (let pass = 0; pass < 2; pass += 1) {
    for (const { gte, lt } of format.erasedRanges(user)) {
      const before = justBefore(gte);
      await writeDurably(db, [del(before), del(lt)]);
      await db.compactRange(before, lt);
    }
  }
}

/** A key that nothing of ours can have: 0xff is in no text. */
function justBefore(key: Uint8Array): Buffer {
  const last = (key.at(-1) ?? 1) - 1;
  return Buffer.concat([key.subarray(0, -1), Buffer.of(last, 0xff, 0xff)]);
}

/** What can't be removed, and why: most often it is of another user of the machine. */
export interface Staying {
  readonly path: string;
  readonly error: unknown;
}

/** What is beside the tables: LevelDB's own log names keys, a repair and a restore leave whole files behind. */
export const removeLeftovers = (folder: string): Promise<readonly Staying[]> =>
  removeFrom(folder, (name) => /^(LOG\.old|lost|replaced-.*|departing)$/.test(name) || CUT_OFF.has(name));

/** Where there is a database, a restore that was cut off is begun anew: what it made would only wait to be moved in. */
export const removeCutOff = (folder: string): Promise<readonly Staying[]> =>
  removeFrom(folder, (name) => CUT_OFF.has(name));

const CUT_OFF: ReadonlySet<string> = new Set([...Object.values(RESTORE), RESTORE_LOCK]);

async function removeFrom(folder: string, isOne: (name: string) => boolean): Promise<readonly Staying[]> {
  const staying: Staying[] = [];
  for (const name of (await readdir(folder)).filter(isOne)) {
    const path = join(folder, name);
    await rm(path, { recursive: true, force: true }).catch((error: unknown) => staying.push({ path, error }));
  }
  return staying;
}

/** The users whose erasure a process began and did not finish. */
export async function unfinishedErasures(db: Database): Promise<string[]> {
  return (await db.keys(format.ERASING).all()).map(format.userOfErasing);
}
