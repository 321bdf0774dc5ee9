import type { Snapshot } from 'classic-level';
import type { DeviceKey } from '../../../shared/names.js';
import { corrupt, SyncError } from '../../errors.js';
import { resting } from '../../resting.js';
import type { Vault, Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import { pageOf } from '../history-range.js';
import type { Deletion, HistoryRow } from '../store.js';
import { type Database, del, isDamage, type Operation, READ_AT_ONCE, readFailure } from './database.js';

/** What is kept of a user beside the document: its history, its deletions, its devices. */

type Range = { below: number; limit: number };
type InSnapshot = { snapshot: Snapshot };

export async function readHistory(
  db: Database,
  user: string,
  vaults: Vaults,
  range: Range,
): Promise<HistoryRow[]> {
  try {
    const snapshot = db.snapshot();
    return await readRange(db, user, vaults, { ...range, snapshot }).finally(() => snapshot.close());
  } catch (cause) {
    throw cause instanceof SyncError ? cause : readFailure(cause);
  }
}

async function readRange(
  db: Database,
  user: string,
  vaults: Vaults,
  { snapshot, ...range }: Range & InSnapshot,
): Promise<HistoryRow[]> {
  const [sealed, wrapped] = await db.getMany([format.rowKey(user), format.wrappedKey(user)], { snapshot });
  if (sealed === undefined) {
    const [orphan] = await db.keys({ ...format.historyRange(user), limit: 1, snapshot }).all();
    if (orphan === undefined) return [];
  }
  const row = sealed && format.decodeRow(user, sealed);
  if (row === undefined) throw corrupt('the row of the document is damaged or missing');
  const vault = vaults.of(user, wrapped);
  return await readPage(db, user, vault, { ...pageOf(row, range), snapshot });
}

async function readPage(
  db: Database,
  user: string,
  vault: Vault,
  { newest, oldest, snapshot }: ReturnType<typeof pageOf> & InSnapshot,
): Promise<HistoryRow[]> {
  if (oldest > newest) return [];
  const keys = { gte: format.historyKey(user, oldest), lte: format.historyKey(user, newest) };
  const stored = await db.iterator({ ...keys, reverse: true, snapshot }).all();
  if (stored.length <= newest - oldest) throw corrupt('an entry of the history is missing');
  return stored.map(([key, value]) => {
    const revision = format.revisionOf(key);
    const entry = vault.unseal(value, key);
    if (entry === undefined) throw corrupt(`the history is damaged at revision ${revision}`);
    return { revision, entry };
  });
}

/** As they are stored, with what opens them. */
export interface SealedDeletions {
  readonly user: string;
  readonly vault: Vault;
  readonly rows: readonly (readonly [key: Uint8Array, sealed: Uint8Array])[];
}

export async function readDeletions(db: Database, user: string, vaults: Vaults): Promise<SealedDeletions> {
  try {
    const vault = vaults.of(user, await db.get(format.wrappedKey(user)));
    const rows: [Uint8Array, Uint8Array][] = [];
    const range = { ...format.namedRange('deleted', user), highWaterMarkBytes: READ_AT_ONCE };
    for await (const row of db.iterator(range)) rows.push(row);
    return { user, vault, rows };
  } catch (cause) {
    throw cause instanceof SyncError ? cause : readFailure(cause);
  }
}

/** The database is not needed for it. */
export async function openDeletions({ user, vault, rows }: SealedDeletions): Promise<Deletion[]> {
  const deletions: Deletion[] = [];
  const rest = resting();
  for (const [key, sealed] of rows) {
    const deletion = vault.unsealNamed(sealed, key, 'deleted', user);
    if (deletion === undefined) throw corrupt('a deletion is damaged');
    deletions.push(format.decodeDeletion(deletion.name, deletion.value));
    await rest();
  }
  return deletions;
}

/** What is damaged is left out: such a device counts as one that was never met, and its user gets in. */
export async function readDevices(
  db: Database,
  user: string,
  vault: Vault,
  snapshot: Snapshot,
): Promise<Map<DeviceKey, Uint8Array>> {
  const devices = new Map<DeviceKey, Uint8Array>();
  try {
    for await (const [key, sealed] of db.iterator({ ...format.namedRange('device', user), snapshot })) {
      const device = vault.unsealNamed(sealed, key, 'device', user);
      if (device !== undefined) devices.set(device.name as DeviceKey, device.value);
    }
  } catch (cause) {
    if (!isDamage(cause)) throw cause;
  }
  return devices;
}

/** Removes the entries that the history no longer reaches back to, so that only those of its row are stored. */
export function historyRemoval(user: string, old: format.Row, row: format.Row): Operation[] {
  const count = Math.max(0, Math.min(row.historyFrom, old.revision) - old.historyFrom);
  const removals: Operation[] = [];
  for (let at = 1; at <= count; at++) removals.push(del(format.historyKey(user, old.historyFrom + at)));
  return removals;
}
