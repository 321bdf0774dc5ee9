import type { Snapshot } from 'classic-level';
import * as Y from 'yjs';
import { corrupt, SyncError } from '../../errors.js';
import { updateLength } from '../../protocol/scan.js';
import { resting } from '../../resting.js';
import { plainVaults, type Vault, type Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import type { Former, StoredDocument } from '../store.js';
import { type Database, type Operation, put, READ_AT_ONCE, readFailure } from './database.js';
import { historyRemoval, readDevices } from './history.js';
import { restOf } from './rest.js';

export interface ReadDocument {
  readonly stored: StoredDocument;
  readonly row: format.Row;
  readonly vault: Vault;
  /** What gives the document a row and checksums, where y-leveldb wrote some of it; nothing to do when empty. */
  readonly adoption: readonly Operation[];
}

/** What is stored under the keys of one user, all of one moment, as it is there. */
export interface Raw {
  readonly user: string;
  readonly vault: Vault;
  /** Whether y-leveldb may have written some of it: it can't where values are encrypted. */
  readonly isShared: boolean;
  readonly tombstone: Uint8Array | undefined;
  readonly rest: Uint8Array | undefined;
  readonly row: Uint8Array | undefined;
  readonly memory: Uint8Array | undefined;
  readonly epoch: Uint8Array | undefined;
  readonly stateVector: Uint8Array | undefined;
  readonly updates: readonly StoredUpdate[];
  readonly devices: StoredDocument['devices'];
}

interface StoredUpdate {
  readonly clock: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Reads all of a user's document or throws `DOCUMENT_CORRUPT`; never a part, and it changes nothing. */
export const readDocument = async (db: Database, user: string, vaults: Vaults): Promise<ReadDocument> =>
  openDocument(await readRaw(db, user, vaults));

/** The same of what was read of it: the database is not needed any more. */
export async function openDocument(raw: Raw): Promise<ReadDocument> {
  const old = rowOf(raw);
  const { memory, epoch } = rememberedOf(raw, old);
  const updates = await updatesOf(raw, old);
  const row = completed(raw, old);
  const adoption = row === old || updates.length === 0 ? [] : adoptionOf(raw, old, row, updates);
  const { revision, historyFrom } = row;
  const { user, devices, vault } = raw;
  const tombstone = tombstoneOf(raw);
  // Where y-leveldb wrote, the row is another one by now.
  const rest = (raw.rest && restOf(user, vault, raw.rest, row)) ?? null;
  return {
    stored: { updates, revision, memory, devices, historyFrom, tombstone, epoch, rest },
    row,
    vault,
    adoption,
  };
}

async function updatesOf(raw: Raw, row: format.Row | undefined): Promise<Uint8Array[]> {
  const never = row === undefined || row.last < row.first;
  if (never && raw.updates.length === 0 && raw.stateVector === undefined) return [];
  checkClocks(raw, row);
  const rest = resting();
  const updates: Uint8Array[] = [];
  for (const update of raw.updates) {
    updates.push(openUpdate(raw, update, row));
    await rest();
  }
  return updates;
}

export async function readRaw(db: Database, user: string, vaults: Vaults): Promise<Raw> {
  try {
    const snapshot = db.snapshot();
    return await readKeys(db, user, vaults, snapshot).finally(() => snapshot.close());
  } catch (cause) {
    throw cause instanceof SyncError ? cause : readFailure(cause);
  }
}

async function readKeys(db: Database, user: string, vaults: Vaults, snapshot: Snapshot): Promise<Raw> {
  const keys = [
    format.rowKey(user),
    format.memoryKey(user),
    format.stateVectorKey(user),
    format.tombstoneKey(user),
    format.wrappedKey(user),
    format.restKey(user),
    format.epochKey(user),
  ];
  const [row, memory, stateVector, tombstone, wrapped, rest, epoch] = await db.getMany(keys, { snapshot });
  const vault = vaults.of(user, wrapped);
  const range = { ...format.updateRange(user), snapshot, highWaterMarkBytes: READ_AT_ONCE };
  const entries = await db.iterator(range).all();
  const updates = entries.map(([key, value]) => ({ clock: format.clockOf(key), key, value }));
  const devices = await readDevices(db, user, vault, snapshot);
  const isShared = vaults.ring === null;
  return { user, vault, isShared, tombstone, rest, row, memory, epoch, stateVector, updates, devices };
}

function rowOf(raw: Raw): format.Row | undefined {
  if (raw.row === undefined) return undefined;
  const row = format.decodeRow(raw.user, raw.row);
  if (row === undefined) throw corrupt('the row of the document is damaged');
  return row;
}

/** What has a key of its own, and its checksum in the row, so that none of it can be missing. */
function rememberedOf(raw: Raw, row: format.Row | undefined): Pick<StoredDocument, 'memory' | 'epoch'> {
  const open = (
    name: string,
    key: Uint8Array,
    value: Uint8Array | undefined,
    check: number | null = null,
  ) => {
    if (check === null && value === undefined) return null;
    const bytes = value && raw.vault.unseal(value, key);
    if (bytes === undefined || format.checkOf(bytes) !== check)
      throw corrupt(`the ${name} of the document is damaged or missing`);
    return bytes;
  };
  return {
    memory: open('memory', format.memoryKey(raw.user), raw.memory, row?.memory),
    epoch: open('epoch', format.epochKey(raw.user), raw.epoch, row?.epoch),
  };
}

function tombstoneOf({ user, tombstone }: Raw): Uint8Array | null {
  if (tombstone === undefined) return null;
  const bytes = format.unseal(tombstone, format.tombstoneKey(user));
  if (bytes === undefined) throw corrupt('the tombstone of an erasure is damaged');
  return bytes;
}

/** What is whole of it; the checksum that the row has of the epoch may be damaged with the row. */
export async function readFormer(db: Database, user: string, vaults: Vaults): Promise<Former> {
  const keys = [format.tombstoneKey(user), format.epochKey(user), format.wrappedKey(user)];
  const [tombstone, epoch, wrapped] = await db.getMany(keys, {});
  return {
    tombstone: (tombstone && format.unseal(tombstone, format.tombstoneKey(user))) ?? null,
    epoch: (epoch && vaults.of(user, wrapped).unseal(epoch, format.epochKey(user))) ?? null,
  };
}

/** The stored clocks are gapless, and begin and end where the row says, or where y-leveldb may have left them. */
function checkClocks(raw: Raw, row: format.Row | undefined): void {
  const first = raw.updates[0]?.clock;
  const last = raw.updates.at(-1)?.clock;
  if (first === undefined || last === undefined) throw corrupt('all updates are missing');
  const gap = raw.updates.find(({ clock }, index) => clock !== first + index);
  if (gap) throw corrupt(`the update before ${gap.clock} is missing`);
  if (row !== undefined && first === row.first && last >= row.last) return;
  if (raw.isShared && row === undefined && first === 0 && raw.stateVector === undefined) return;
  checkFlushed(raw, row, first, last);
}

/**
 * y-leveldb merges a document in three steps: the merged update behind the last one, its clock into `v1_sv`, then
 * the lower updates are deleted. A process that ended in the last step leaves some of these.
 */
function checkFlushed(raw: Raw, row: format.Row | undefined, first: number, last: number): void {
  const merged = raw.isShared ? raw.stateVector && format.stateVectorClock(raw.stateVector) : undefined;
  if (merged === undefined) throw corrupt('the first or the last update is missing');
  const least = row === undefined ? 0 : row.last + 1;
  if (merged < least || merged < first || merged > last) {
    throw corrupt(`update ${merged < first ? merged : last + 1} is missing`);
  }
  if (row !== undefined && first < row.first) throw corrupt(`update ${first} should have been deleted`);
}

/** Up to the row's last clock our own trailer has to be there; beyond it y-leveldb wrote, without one. */
function openUpdate(raw: Raw, stored: StoredUpdate, row: format.Row | undefined): Uint8Array {
  const ours = !raw.isShared || (row !== undefined && stored.clock <= row.last);
  const update = ours ? raw.vault.unseal(stored.value, stored.key) : bareUpdate(stored.value);
  if (update === undefined) throw corrupt(`update ${stored.clock} is damaged`);
  return update;
}

function bareUpdate(value: Uint8Array): Uint8Array | undefined {
  try {
    const view = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return updateLength(view) === view.length ? view : undefined;
  } catch {
    return undefined;
  }
}

/** The row as it has to be: the old one, unless y-leveldb wrote something. */
function completed(raw: Raw, old: format.Row | undefined): format.Row {
  const before = old ?? format.EMPTY_ROW;
  const first = raw.updates[0]?.clock ?? before.first;
  const last = raw.updates.at(-1)?.clock ?? before.last;
  if (before.first === first && before.last === last) return before;
  // What y-leveldb wrote changed records: who knows the old revision must not take it for the new content.
  const revision = before.revision + 1;
  return { ...before, first, last, revision, historyFrom: revision };
}

function adoptionOf(
  raw: Raw,
  old: format.Row | undefined,
  row: format.Row,
  updates: Uint8Array[],
): Operation[] {
  const operations = updates.flatMap((update, index): Operation[] => {
    const clock = row.first + index;
    if (old !== undefined && clock <= old.last) return [];
    const key = format.updateKey(raw.user, clock);
    return [put(key, raw.vault.seal(update, key))];
  });
  const [first] = updates;
  if (raw.stateVector === undefined && first !== undefined) {
    operations.push(putStateVector(raw.vault, raw.user, row.first, Y.encodeStateVectorFromUpdate(first)));
  }
  return [...operations, ...historyRemoval(raw.user, old ?? format.EMPTY_ROW, row), putRow(raw.user, row)];
}

export function putRow(user: string, row: format.Row): Operation {
  const key = format.rowKey(user);
  return put(key, format.encodeRow(user, row, key));
}

/** y-leveldb lists a document by it; it reads the bytes where they are not encrypted. */
export function putStateVector(
  vault: Vault,
  user: string,
  clock: number,
  stateVector: Uint8Array,
): Operation {
  const key = format.stateVectorKey(user);
  const value = format.encodeStateVectorValue(clock, stateVector);
  return put(key, vault.takesBare ? value : vault.seal(value, key));
}

/** The users that have a document, also where only one of the two keys that say so is left. */
export async function listUsers(db: Database): Promise<string[]> {
  const listed = await db.keys(format.STATE_VECTORS).all();
  const rows = await db.keys(format.ROWS).all();
  return [...new Set([...listed.map(format.userOf), ...rows.map(format.userOfRow)])];
}

/** The same some at a time, by their rows, which all have once the database was adopted. */
export async function usersAfter(db: Database, after: string | null, limit: number): Promise<string[]> {
  const { gte, lt } = format.ROWS;
  const range = after === null ? { gte, lt } : { gt: format.rowKey(after), lt };
  try {
    return (await db.keys({ ...range, limit }).all()).map(format.userOfRow);
  } catch (cause) {
    throw readFailure(cause);
  }
}

export type Progress = (done: number, total: number) => void;

/**
 * Gives every document that y-leveldb wrote its checksums and its row. A damaged document stays as it is, to be found
 * when it is loaded.
 */
export async function adoptAll(db: Database, onProgress: Progress): Promise<void> {
  const users = await listUsers(db);
  for (const [index, user] of users.entries()) {
    await adoptDocument(db, user);
    onProgress(index + 1, users.length);
  }
}

async function adoptDocument(db: Database, user: string): Promise<void> {
  try {
    const { adoption } = await readDocument(db, user, plainVaults);
    if (adoption.length > 0) await db.batch([...adoption], { sync: true });
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'DOCUMENT_CORRUPT') throw error;
  }
}
