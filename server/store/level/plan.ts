import { randomBytes } from 'node:crypto';
import * as Y from 'yjs';
import type { DeviceKey, UserId } from '../../../shared/names.js';
import type { Vault } from '../encryption/vault.js';
import * as format from '../format.js';
import type { Job } from '../group-writer.js';
import { numbered } from '../history-range.js';
import { afterCommit, afterPruning, afterSnapshot, isSameRow } from '../row-changes.js';
import type { Commit, Deletion, RestRow, Snapshot } from '../store.js';
import { del, type Operation, put } from './database.js';
import { putRow, putStateVector } from './document.js';
import { historyRemoval } from './history.js';
import { putRest } from './rest.js';
import { putView } from './view.js';

/** What a change writes. Of one user's rows, memories and devices only the last of a batch is written. */
export interface Plan {
  readonly operations: readonly Operation[];
  /** The row after the change; `null` where it stays as it is. */
  readonly row: format.Row | null;
  readonly memory?: Uint8Array | undefined;
  readonly devices?: ReadonlyMap<DeviceKey, Operation> | undefined;
}

export interface WriteJob extends Plan, Job {
  readonly user: UserId;
  readonly vault: Vault;
}

/** What the store holds of a user who is loaded. */
export interface Held {
  /** As it will be after everything that was handed over. */
  readonly row: format.Row;
  readonly vault: Vault;
  readonly keys: format.UserKeys;
}

/** About what a job takes in a batch beside its values. */
const OVERHEAD = 256;

/** The first change of a user brings the key that opens it. */
export function withKey(user: UserId, { vault }: Held, plan: Plan): Plan {
  const wrapped = vault.takeWrapped();
  if (wrapped === null) return plan;
  return { ...plan, operations: [put(format.wrappedKey(user), wrapped), ...plan.operations] };
}

export function planCommit(user: UserId, held: Held, commit: Commit): Plan {
  const { row, vault, keys } = held;
  const { update, history = [], devices } = commit;
  const after = afterCommit(row, commit);
  const operations = update === null ? [] : updateOperations(user, held, update);
  for (const removal of historyRemoval(user, row, after)) operations.push(removal);
  for (const { revision, entry } of numbered(history, after.revision, after.historyFrom)) {
    operations.push(putSealed(vault, keys.history(revision), entry));
  }
  return {
    operations,
    row: isSameRow(row, after) ? null : after,
    memory: copied(commit.memory),
    devices: devices && deviceOperations(user, vault, devices),
  };
}

function updateOperations(user: UserId, { row, vault, keys }: Held, update: Uint8Array): Operation[] {
  const operation = putSealed(vault, keys.update(row.last + 1), update);
  if (row.last !== -1) return [operation];
  // y-leveldb lists a document by its state vector; compaction brings it up to date.
  return [operation, putStateVector(vault, user, 0, Y.encodeStateVectorFromUpdate(update))];
}

export function planCompaction(user: UserId, held: Held, snapshot: Snapshot): Plan {
  const { row, vault } = held;
  if (snapshot.replaces !== undefined) return planPartCompaction(user, held, snapshot);
  const { epoch } = snapshot;
  const after = afterSnapshot(row, snapshot);
  const clock = after.last;
  const operations = [
    ...(epoch === undefined ? [] : [putSealed(vault, format.epochKey(user), epoch)]),
    putSealed(vault, format.updateKey(user, clock), snapshot.update),
    putStateVector(vault, user, clock, snapshot.stateVector),
    ...historyRemoval(user, row, after),
  ];
  for (let old = row.first; old < clock; old += 1) operations.push(del(format.updateKey(user, old)));
  return { operations, row: after, memory: copied(snapshot.memory) };
}

/** The snapshot takes the place of the last update that it replaces, so that no clock is left out. */
function planPartCompaction(user: UserId, { row, vault }: Held, snapshot: Snapshot): Plan {
  const { update, stateVector } = snapshot;
  const after = afterSnapshot(row, snapshot);
  const clock = after.first;
  const operations = [
    putSealed(vault, format.updateKey(user, clock), update),
    putStateVector(vault, user, clock, stateVector),
  ];
  for (let old = row.first; old < clock; old += 1) operations.push(del(format.updateKey(user, old)));
  return { operations, row: after };
}

export function planPruning(
  user: UserId,
  { row, vault }: Held,
  upTo: number,
  deletions: readonly Deletion[],
): Plan {
  const after = afterPruning(row, upTo);
  const remembered = deletions.map((deletion) => {
    const name = format.deletionName(deletion.collection, deletion.id);
    const key = vault.namedKey('deleted', user, name);
    return put(key, vault.sealNamed(format.encodeDeletion(deletion), key, name));
  });
  return {
    operations: [...historyRemoval(user, row, after), ...remembered],
    row: isSameRow(row, after) ? null : after,
  };
}

export function planRest(
  user: UserId,
  { row, vault }: Held,
  rest: RestRow,
  view: Uint8Array | undefined,
): Plan {
  if (rest.revision !== row.revision) throw new Error('what is noted is not of the last revision');
  const views = view === undefined ? [] : [putView(user, row, vault, view)];
  return { operations: [putRest(user, row, vault, rest), ...views], row: null };
}

/** @param isAtOnce whether the plan is made before the caller goes on, who may use its bytes again */
export function planDevices(
  user: UserId,
  devices: ReadonlyMap<DeviceKey, Uint8Array | null>,
  isAtOnce: boolean,
): (vault: Vault) => Plan {
  const own = isAtOnce ? devices : allCopied(devices);
  return (vault) => ({ operations: [], row: null, devices: deviceOperations(user, vault, own) });
}

/** What seals a state copies it, too. */
function deviceOperations(
  user: UserId,
  vault: Vault,
  devices: ReadonlyMap<DeviceKey, Uint8Array | null>,
): Map<DeviceKey, Operation> {
  const operations = new Map<DeviceKey, Operation>();
  for (const [device, state] of devices) {
    const key = vault.namedKey('device', user, device);
    operations.set(device, state === null ? del(key) : put(key, vault.sealNamed(state, key, device)));
  }
  return operations;
}

const allCopied = (devices: ReadonlyMap<DeviceKey, Uint8Array | null>) =>
  new Map([...devices].map(([device, state]) => [device, copied(state)]));

function copied<T extends null | undefined>(bytes: Uint8Array | T): Uint8Array | T {
  return bytes instanceof Uint8Array ? new Uint8Array(bytes) : bytes;
}

const putSealed = (vault: Vault, key: Uint8Array, value: Uint8Array): Operation =>
  put(key, vault.seal(value, key));

/** Not spread: this runs for each change, and that costs more than all the rest. */
export function jobOf(plan: Plan, user: UserId, vault: Vault): Omit<WriteJob, keyof Job> & Pick<Job, 'size'> {
  const { operations, row, memory, devices } = plan;
  return { operations, row, memory, devices, user, vault, size: sizeOf(plan) };
}

function sizeOf({ operations, memory, devices }: Plan): number {
  let size = (memory?.length ?? 0) + OVERHEAD * operations.length;
  for (const operation of operations) if (operation.type === 'put') size += operation.value.length;
  for (const each of devices?.values() ?? [])
    size += OVERHEAD + (each.type === 'put' ? each.value.length : 0);
  return size;
}

/** In the order of the jobs. All jobs of a user in one batch have the same vault. */
export function operationsOf(jobs: readonly WriteJob[]): Operation[] {
  const operations: Operation[] = [];
  for (const job of jobs) for (const operation of job.operations) operations.push(operation);
  const rows = new Map<UserId, format.Row>();
  const memories = new Map<UserId, { vault: Vault; memory: Uint8Array }>();
  const devices = new Map<UserId, ReadonlyMap<DeviceKey, Operation>>();
  for (const { user, vault, row, memory, devices: states } of jobs) {
    if (row !== null) rows.set(user, row);
    if (memory !== undefined) memories.set(user, { vault, memory });
    if (states === undefined) continue;
    const before = devices.get(user);
    devices.set(user, before === undefined ? states : new Map([...before, ...states]));
  }
  for (const [user, row] of rows) operations.push(putRow(user, row));
  for (const [user, { vault, memory }] of memories) {
    operations.push(putSealed(vault, format.memoryKey(user), memory));
  }
  for (const states of devices.values()) for (const each of states.values()) operations.push(each);
  return operations;
}

const PROBE_SIZE = 64 * 1024;

/** What has to be written, one after the other, before a database that failed counts as working. */
export const probe = (): Operation[] => [
  put(format.PROBE_KEY, randomBytes(PROBE_SIZE)),
  del(format.PROBE_KEY),
];
