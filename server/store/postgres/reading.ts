/** What the database says of a user, opened and checked. */
import type { DeviceKey, UserId } from '../../../shared/names.js';
import { corrupt } from '../../errors.js';
import { resting } from '../../resting.js';
import type { Vault, Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import { pageOf } from '../history-range.js';
import { decodeRest, decodeView, isSame } from '../rest-format.js';
import type { Deletion, Former, HistoryRow, RestRow, StoredDocument } from '../store.js';
import { placeOf } from './plan.js';

/** A row of one of the tables, as `statements.ts` asks for them: numbers come as texts. */
export type Answer = Readonly<Record<string, unknown>>;

export interface DocumentRow extends format.Row {
  readonly doc: number;
  readonly claim: number;
  readonly version: number;
}

interface Value {
  readonly kind: string;
  readonly at: number;
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** What is stored of one user, all of one moment. */
export interface Found {
  readonly user: UserId;
  /** `null` for a user never met. */
  readonly row: DocumentRow | null;
  readonly values: readonly Value[];
}

const EMPTY = new Uint8Array(0);
const numberOrNull = (value: unknown): number | null => (value === null ? null : Number(value));
const bytesOf = (value: unknown): Uint8Array => (value instanceof Uint8Array ? new Uint8Array(value) : EMPTY);

export const rowOf = (answer: Answer): DocumentRow => ({
  doc: Number(answer.doc),
  claim: Number(answer.claim),
  version: Number(answer.version),
  first: Number(answer.first),
  last: Number(answer.last),
  revision: Number(answer.revision),
  historyFrom: Number(answer.history_from),
  memory: numberOrNull(answer.memory),
  epoch: numberOrNull(answer.epoch),
});

export function foundIn(user: UserId, answers: readonly Answer[]): Found {
  const own = answers.find(({ kind }) => kind === null);
  const values = answers
    .filter(({ kind }) => kind !== null)
    .map(({ kind, at, name, value }) => ({
      kind: String(kind),
      at: Number(at),
      name: bytesOf(name),
      value: bytesOf(value),
    }));
  return { user, row: own === undefined ? null : rowOf(own), values };
}

const sealedOf = ({ values }: Found, kind: string): Uint8Array | undefined =>
  values.find((each) => each.kind === kind)?.value;

export const vaultOf = (found: Found, vaults: Vaults): Vault => vaults.of(found.user, sealedOf(found, 'key'));

/** @throws SyncError `DOCUMENT_CORRUPT` where any of it is damaged or missing */
export async function documentOf(found: Found, vault: Vault): Promise<StoredDocument> {
  const { user } = found;
  const row = found.row ?? format.EMPTY_ROW;
  return {
    updates: await updatesOf(found, row, vault),
    revision: row.revision,
    memory: checkedOf(found, vault, { kind: 'memory', place: format.memoryKey(user), check: row.memory }),
    devices: devicesOf(found, vault),
    historyFrom: row.historyFrom,
    tombstone: tombstoneOf(found),
    epoch: checkedOf(found, vault, { kind: 'epoch', place: format.epochKey(user), check: row.epoch }),
    rest: restOf(found, vault),
  };
}

async function updatesOf({ user, values }: Found, row: format.Row, vault: Vault): Promise<Uint8Array[]> {
  const stored = values.filter(({ kind }) => kind === 'update').sort((one, two) => one.at - two.at);
  if (stored.length !== row.last - row.first + 1)
    throw corrupt('an update is missing, or one too many is there');
  const rest = resting();
  const updates: Uint8Array[] = [];
  for (const { at, value } of stored) {
    const next = row.first + updates.length;
    if (at !== next) throw corrupt(`the update ${next} is missing`);
    const update = vault.unseal(value, format.updateKey(user, at));
    if (update === undefined) throw corrupt(`the update ${at} is damaged`);
    updates.push(update);
    await rest();
  }
  return updates;
}

interface Checked {
  readonly kind: string;
  readonly place: Uint8Array;
  readonly check: number | null;
}

/** What has its checksum in the row, so that none of it can be missing. */
function checkedOf(found: Found, vault: Vault, { kind, place, check }: Checked): Uint8Array | null {
  const sealed = sealedOf(found, kind);
  if (check === null && sealed === undefined) return null;
  const bytes = sealed && vault.unseal(sealed, place);
  if (bytes === undefined || format.checkOf(bytes) !== check)
    throw corrupt(`the ${kind} of the document is damaged or missing`);
  return bytes;
}

function tombstoneOf(found: Found): Uint8Array | null {
  const sealed = sealedOf(found, 'tombstone');
  if (sealed === undefined) return null;
  const bytes = format.unseal(sealed, format.tombstoneKey(found.user));
  if (bytes === undefined) throw corrupt('the tombstone of an erasure is damaged');
  return bytes;
}

/** One that is damaged counts as one that was never met, so that its user gets in. */
function devicesOf({ user, values }: Found, vault: Vault): Map<DeviceKey, Uint8Array> {
  const devices = new Map<DeviceKey, Uint8Array>();
  for (const { kind, name, value } of values) {
    if (kind !== 'device') continue;
    const device = vault.unsealNamed(value, placeOf('device', user, name), 'device', user);
    if (device !== undefined) devices.set(device.name as DeviceKey, device.value);
  }
  return devices;
}

/** `null` where nothing was noted, or it no longer holds. */
export function restOf(found: Found, vault: Vault): RestRow | null {
  const { row, user } = found;
  const sealed = sealedOf(found, 'rest');
  const bytes = sealed && vault.unseal(sealed, format.restKey(user));
  const noted = bytes && decodeRest(bytes);
  return row && noted && isSame(noted.place, row) ? noted.rest : null;
}

/** @throws SyncError `DOCUMENT_CORRUPT` */
export function viewOf(found: Found, vault: Vault, revision: number): Uint8Array | null {
  const { row, user } = found;
  const sealed = sealedOf(found, 'view');
  if (row === null || sealed === undefined) return null;
  const bytes = vault.unseal(sealed, format.viewKey(user));
  const noted = bytes && decodeView(bytes);
  if (noted === undefined) throw corrupt('the view of the document is damaged');
  return noted !== null && isSame(noted.place, row) && row.revision === revision ? noted.view : null;
}

export function formerOf(found: Found, vaults: Vaults): Former {
  const sealed = sealedOf(found, 'tombstone');
  const tombstone = (sealed && format.unseal(sealed, format.tombstoneKey(found.user))) ?? null;
  return { tombstone, epoch: openedOf(found, vaults, 'epoch', format.epochKey(found.user)) };
}

export const seenOf = (found: Found, vaults: Vaults): Uint8Array | null =>
  openedOf(found, vaults, 'seen', format.seenKey(found.user));

export function plainVisitOf(found: Found): number | null {
  const sealed = sealedOf(found, 'plain');
  const bytes = sealed && format.unseal(sealed, format.plainVisitKey(found.user));
  return bytes === undefined ? null : Number(Buffer.from(bytes).toString());
}

/** `null` where it is damaged, or its key can't be opened: a load says what is wrong. */
function openedOf(found: Found, vaults: Vaults, kind: string, place: Uint8Array): Uint8Array | null {
  const sealed = sealedOf(found, kind);
  if (sealed === undefined) return null;
  try {
    return vaultOf(found, vaults).unseal(sealed, place) ?? null;
  } catch {
    return null;
  }
}

export function deviceOf(found: Found, vaults: Vaults, device: DeviceKey): Uint8Array | null {
  try {
    return devicesOf(found, vaultOf(found, vaults)).get(device) ?? null;
  } catch {
    return null;
  }
}

/** @throws SyncError `DOCUMENT_CORRUPT` */
export async function deletionsOf(found: Found, vaults: Vaults): Promise<Deletion[]> {
  const vault = vaultOf(found, vaults);
  const rest = resting();
  const deletions: Deletion[] = [];
  for (const { kind, name, value } of found.values) {
    if (kind !== 'deleted') continue;
    const deletion = vault.unsealNamed(value, placeOf('deleted', found.user, name), 'deleted', found.user);
    if (deletion === undefined) throw corrupt('a deletion is damaged');
    deletions.push(format.decodeDeletion(deletion.name, deletion.value));
    await rest();
  }
  return deletions;
}

/** @throws SyncError `DOCUMENT_CORRUPT` */
export function historyOf(
  found: Found,
  vaults: Vaults,
  range: { below: number; limit: number },
): HistoryRow[] {
  if (found.row === null) return [];
  const { newest, oldest } = pageOf(found.row, range);
  const stored = found.values.filter(({ kind, at }) => kind === 'entry' && at >= oldest && at <= newest);
  if (stored.length < newest - oldest + 1) throw corrupt('an entry of the history is missing');
  const vault = vaultOf(found, vaults);
  return stored.map(({ at: revision, value }) => {
    const entry = vault.unseal(value, format.historyKey(found.user, revision));
    if (entry === undefined) throw corrupt(`the history is damaged at revision ${revision}`);
    return { revision, entry };
  });
}
