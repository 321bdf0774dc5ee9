/** What a change writes to the tables. */
import type { DeviceKey, UserId } from '../../../shared/names.js';
import type { SyncError } from '../../errors.js';
import type { Vault } from '../encryption/vault.js';
import * as format from '../format.js';
import { numbered } from '../history-range.js';
import { encodeRest, encodeView } from '../rest-format.js';
import { afterCommit, afterPruning, afterSnapshot } from '../row-changes.js';
import type { Commit, Deletion, RestRow, Snapshot } from '../store.js';
import type { ChangeJob } from '../store-core.js';

/** Which document it is for the database, and since when it is this node's. */
export interface Claim {
  readonly doc: number;
  readonly claim: number;
}

/** What the store knows of a user that this node owns. */
export interface Held extends Claim {
  /** As they will be after everything that was handed over. */
  row: format.Row;
  /** As the database has confirmed it. */
  version: number;
  readonly vault: Vault;
  /** The document is in use, and may be changed. */
  isLoaded: boolean;
  /** Why a change under it was refused, or may not be stored: nothing that comes after it is written. */
  lost: SyncError | null;
  /** Nobody has used it since the last look at who does. */
  isIdle: boolean;
}

export interface KeptValue {
  readonly kind: string;
  /** Of one of many of its kind. */
  readonly name: Uint8Array;
  /** `null` removes it. */
  readonly value: Uint8Array | null;
}

/** A value at its clock or revision. */
export interface ValueAt {
  readonly at: number;
  readonly value: Uint8Array;
}

/** The values are sealed. Each one has all fields, so that they are of one shape: one is made for each change. */
export interface Plan {
  readonly row: format.Row;
  readonly update: ValueAt | null;
  readonly entries: readonly ValueAt[];
  readonly kept: readonly KeptValue[];
}

export interface PostgresJob extends ChangeJob {
  readonly held: Held;
  /** The row before it. */
  readonly was: format.Row;
  /** `null`: it changes nothing, and asks whether the user still is this node's. */
  readonly plan: Plan | null;
}

const NO_ENTRIES: readonly ValueAt[] = [];
const NOTHING_KEPT: readonly KeptValue[] = [];

const UNNAMED = new Uint8Array(0);
const one = (kind: string, value: Uint8Array): KeptValue => ({ kind, name: UNNAMED, value });

/** Not spread: this runs for each change, and that costs more than all the rest. */
export function planCommit(user: UserId, { row, vault }: Held, commit: Commit): Plan {
  const { update, history, memory, devices } = commit;
  const after = afterCommit(row, commit);
  return {
    row: after,
    update: update === null ? null : sealedUpdate(user, vault, after.last, update),
    entries: history === undefined ? NO_ENTRIES : sealedEntries(user, vault, after, history),
    kept: [
      ...(memory === undefined ? NOTHING_KEPT : [sealedMemory(user, vault, memory)]),
      ...(devices === undefined ? NOTHING_KEPT : keptDevices(user, vault, devices)),
    ],
  };
}

export function planSnapshot(user: UserId, { row, vault }: Held, snapshot: Snapshot): Plan {
  const after = afterSnapshot(row, snapshot);
  const update = sealedUpdate(user, vault, after.first, snapshot.update);
  if (snapshot.replaces !== undefined) return { ...changeOf(after), update };
  const { memory, epoch } = snapshot;
  const kept = [
    ...(memory === undefined ? [] : [sealedMemory(user, vault, memory)]),
    ...(epoch === undefined ? [] : [one('epoch', vault.seal(epoch, format.epochKey(user)))]),
  ];
  return { ...changeOf(after, kept), update };
}

/** One without an update or entries. */
const changeOf = (row: format.Row, kept: readonly KeptValue[] = NOTHING_KEPT): Plan => ({
  row,
  update: null,
  entries: NO_ENTRIES,
  kept,
});

const sealedUpdate = (user: UserId, vault: Vault, clock: number, update: Uint8Array): ValueAt => ({
  at: clock,
  value: vault.seal(update, format.updateKey(user, clock)),
});

const sealedEntries = (
  user: UserId,
  vault: Vault,
  { revision, historyFrom }: format.Row,
  entries: readonly Uint8Array[],
): ValueAt[] =>
  numbered(entries, revision, historyFrom).map(({ revision: at, entry }) => ({
    at,
    value: vault.seal(entry, format.historyKey(user, at)),
  }));

const sealedMemory = (user: UserId, vault: Vault, memory: Uint8Array): KeptValue =>
  one('memory', vault.seal(memory, format.memoryKey(user)));

export function planPruning(
  user: UserId,
  { row, vault }: Held,
  upTo: number,
  deletions: readonly Deletion[],
): Plan {
  const kept = deletions.map(({ collection, id, ...deletion }) => {
    const name = format.deletionName(collection, id);
    return named(user, vault, { kind: 'deleted', name, value: format.encodeDeletion(deletion) });
  });
  return changeOf(afterPruning(row, upTo), kept);
}

export function planRest(
  user: UserId,
  { row, vault }: Held,
  rest: RestRow,
  view: Uint8Array | undefined,
): Plan {
  if (rest.revision !== row.revision) throw new Error('what is noted is not of the last revision');
  return changeOf(row, [
    one('rest', vault.seal(encodeRest(row, rest), format.restKey(user))),
    ...(view === undefined ? [] : [one('view', vault.seal(encodeView(row, view), format.viewKey(user)))]),
  ]);
}

export const planDevices = (
  user: UserId,
  { row, vault }: Held,
  devices: ReadonlyMap<DeviceKey, Uint8Array | null>,
): Plan => changeOf(row, keptDevices(user, vault, devices));

export const planSeen = (user: UserId, { row, vault }: Held, seen: Uint8Array): Plan =>
  changeOf(row, [one('seen', vault.seal(seen, format.seenKey(user)))]);

/** Never encrypted: it is told of a document whose key can't be opened, too. */
export const planPlainVisit = (user: UserId, { row }: Held, at: number): Plan =>
  changeOf(row, [one('plain', format.seal(Buffer.from(String(at)), format.plainVisitKey(user)))]);

/** The first change of a user brings the key that opens it. */
export function withKey({ vault }: Held, plan: Plan): Plan {
  const wrapped = vault.takeWrapped();
  return wrapped === null ? plan : { ...plan, kept: [one('key', wrapped), ...plan.kept] };
}

const keptDevices = (user: UserId, vault: Vault, devices: ReadonlyMap<DeviceKey, Uint8Array | null>) =>
  [...devices].map(([name, value]) => named(user, vault, { kind: 'device', name, value }));

interface Named {
  readonly kind: format.NamedKind;
  readonly name: string;
  readonly value: Uint8Array | null;
}

function named(user: UserId, vault: Vault, { kind, name, value }: Named): KeptValue {
  const place = vault.namedKey(kind, user, name);
  return {
    kind,
    name: place.subarray(prefixOf(kind, user).length),
    value: value && vault.sealNamed(value, place, name),
  };
}

const prefixOf = (kind: format.NamedKind, user: UserId): Buffer => format.namedKey(kind, user, '');

/** Where a named value belongs, of which the table has only what tells it from others of the user. */
export const placeOf = (kind: format.NamedKind, user: UserId, name: Uint8Array): Buffer =>
  Buffer.concat([prefixOf(kind, user), name]);

/** About what a row takes beside its values. */
const OVERHEAD = 256;

export function sizeOf({ update, entries, kept }: Plan): number {
  let size = OVERHEAD + (update?.value.length ?? 0);
  for (const { value } of entries) size += OVERHEAD + value.length;
  for (const { value } of kept) size += OVERHEAD + (value?.length ?? 0);
  return size;
}
