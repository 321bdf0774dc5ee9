import type { Snapshot } from 'classic-level';
import { SyncError } from '../../shared/errors.js';
import type { DeviceKey } from '../../shared/names.js';
import { pageOf } from './history-range.js';
import { corrupt, type Database, del, isDamage, type Operation, readFailure } from './level-database.js';
import * as format from './level-format.js';
import type { Deletion, HistoryRow } from './store.js';

/** What is kept of a user beside the document: its history, its deletions, its devices. */

type Range = { below: number; limit: number };

export async function readHistory(db: Database, user: string, range: Range): Promise<HistoryRow[]> {
  try {
    const snapshot = db.snapshot();
    return await readRange(db, user, range, snapshot).finally(() => snapshot.close());
  } catch (cause) {
    throw cause instanceof SyncError ? cause : readFailure(cause);
  }
}

async function readRange(
  db: Database,
  user: string,
  range: Range,
  snapshot: Snapshot,
): Promise<HistoryRow[]> {
  const sealed = await db.get(format.rowKey(user), { snapshot });
  if (sealed === undefined) {
    const [orphan] = await db.keys({ ...format.historyRange(user), limit: 1, snapshot }).all();
    if (orphan === undefined) return [];
  }
  const row = sealed && format.decodeRow(user, sealed);
  if (row === undefined) throw corrupt('the row of the document is damaged or missing');
  return await readPage(db, user, { ...pageOf(row, range), snapshot });
}

async function readPage(
  db: Database,
  user: string,
  { newest, oldest, snapshot }: { newest: number; oldest: number; snapshot: Snapshot },
): Promise<HistoryRow[]> {
  if (oldest > newest) return [];
  const keys = { gte: format.historyKey(user, oldest), lte: format.historyKey(user, newest) };
  const stored = await db.iterator({ ...keys, reverse: true, snapshot }).all();
  if (stored.length <= newest - oldest) throw corrupt('an entry of the history is missing');
  return stored.map(([key, value]) => {
    const revision = format.revisionOf(key);
    const entry = format.unseal(value, key);
    if (entry === undefined) throw corrupt(`the history is damaged at revision ${revision}`);
    return { revision, entry };
  });
}

export async function readDeletions(db: Database, user: string): Promise<Deletion[]> {
  const stored = await db
    .iterator(format.deletionRange(user))
    .all()
    .catch((cause: unknown) => {
      throw readFailure(cause);
    });
  return stored.map(([key, sealed]) => {
    const value = format.unseal(sealed, key);
    if (value === undefined) throw corrupt('a deletion is damaged');
    return format.decodeDeletion(user, key, value);
  });
}

/** What is damaged is left out: such a device counts as one that was never met, and its user gets in. */
export async function readDevices(
  db: Database,
  user: string,
  snapshot: Snapshot,
): Promise<Map<DeviceKey, Uint8Array>> {
  const devices = new Map<DeviceKey, Uint8Array>();
  try {
    for await (const [key, sealed] of db.iterator({ ...format.deviceRange(user), snapshot })) {
      const state = format.unseal(sealed, key);
      if (state !== undefined) devices.set(format.deviceOf(key, user) as DeviceKey, state);
    }
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
  }
  return devices;
}

/** Removes the entries that the history no longer reaches back to, so that only those of its row are stored. */
export function historyRemoval(user: string, old: format.Row, row: format.Row): Operation[] {
  const count = Math.max(0, Math.min(row.historyFrom, old.revision) - old.historyFrom);
  return Array.from({ length: count }, (_, index) =>
    del(format.historyKey(user, old.historyFrom + 1 + index)),
  );
}
