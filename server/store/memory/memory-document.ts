import type { DeviceKey } from '../../../shared/names.js';
import { historyFromAfter, historyFromPruned, numbered, pageOf } from '../history-range.js';
import type { Commit, Deletion, HistoryRow, RestRow, Snapshot, StoredDocument } from '../store.js';

/** All that a `MemoryStore` holds of one user. Never changed in place: a copy of the outer map is a backup. */
export interface MemoryDocument extends StoredDocument {
  /** Oldest first. */
  readonly history: readonly HistoryRow[];
  /** By collection and id. */
  readonly deletions: ReadonlyMap<string, Deletion>;
  readonly plainVisit: number | null;
  readonly seen: Uint8Array | null;
  /** Counts as long as `rest` does. */
  readonly view: Uint8Array | null;
}

export const EMPTY: MemoryDocument = {
  updates: [],
  revision: 0,
  memory: null,
  devices: new Map(),
  historyFrom: 0,
  history: [],
  deletions: new Map(),
  rest: null,
  view: null,
  tombstone: null,
  epoch: null,
  plainVisit: null,
  seen: null,
};

/** What happens to the document; the bytes are copied here and now. */
export type Change = (old: MemoryDocument) => MemoryDocument;

const copied = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

export function committing(commit: Commit): Change {
  const { revision } = commit;
  const updates = commit.update === null ? [] : [copied(commit.update)];
  const memory = commit.memory && copied(commit.memory);
  const entries = (commit.history ?? []).map(copied);
  const devices = copiedStates(commit.devices ?? []);
  return (old) => {
    const historyFrom = historyFromAfter(old, revision, entries.length);
    return {
      ...old,
      rest: updates.length === 0 ? old.rest : null,
      updates: [...old.updates, ...updates],
      revision,
      memory: memory ?? old.memory,
      devices: withDevices(old.devices, devices),
      historyFrom,
      history: [
        ...within(old.history, historyFrom, revision - entries.length),
        ...numbered(entries, revision, historyFrom),
      ],
    };
  };
}

const copiedStates = (devices: Iterable<readonly [DeviceKey, Uint8Array | null]>) =>
  [...devices].map(([device, state]) => [device, state && copied(state)] as const);

function withDevices(
  old: StoredDocument['devices'],
  changes: readonly (readonly [DeviceKey, Uint8Array | null])[],
): StoredDocument['devices'] {
  if (changes.length === 0) return old;
  const devices = new Map(old);
  for (const [device, state] of changes) {
    if (state === null) devices.delete(device);
    else devices.set(device, state);
  }
  return devices;
}

const within = (rows: readonly HistoryRow[], above: number, upTo: number): HistoryRow[] =>
  rows.filter(({ revision }) => revision > above && revision <= upTo);

export function compacting(snapshot: Snapshot): Change {
  const { replaces } = snapshot;
  const change = committing(snapshot);
  const epoch = snapshot.epoch && copied(snapshot.epoch);
  if (replaces === undefined) return (old) => change({ ...old, updates: [], epoch: epoch ?? old.epoch });
  const update = copied(snapshot.update);
  return (old) => ({ ...old, rest: null, updates: [update, ...old.updates.slice(replaces)] });
}

export function pruning(upTo: number, deletions: readonly Deletion[]): Change {
  const added = deletions.map(
    (deletion) => [JSON.stringify([deletion.collection, deletion.id]), { ...deletion }] as const,
  );
  return (old) => {
    const historyFrom = historyFromPruned(old, upTo);
    return {
      ...old,
      historyFrom,
      history: within(old.history, historyFrom, old.revision),
      deletions: new Map([...old.deletions, ...added]),
    };
  };
}

export function resting(row: RestRow, view: Uint8Array | undefined): Change {
  const [stateVector, deletions] = [copied(row.stateVector), copied(row.deletions)];
  const kept = view && copied(view);
  return (old) => {
    const isWhole = row.isWhole && old.updates.length === 1;
    return { ...old, rest: { ...row, stateVector, deletions, isWhole }, view: kept ?? old.view };
  };
}

export const visited =
  (at: number): Change =>
  (old) => ({ ...old, plainVisit: at });

export function noticing(bytes: Uint8Array): Change {
  const seen = copied(bytes);
  return (old) => ({ ...old, seen });
}

export function savingDevices(devices: ReadonlyMap<DeviceKey, Uint8Array | null>): Change {
  const states = copiedStates(devices);
  return (old) => ({ ...old, devices: withDevices(old.devices, states) });
}

export function erasing(tombstone: Uint8Array): Change {
  const kept = copied(tombstone);
  return ({ revision }) => ({
    ...EMPTY,
    revision: revision + 1,
    historyFrom: revision + 1,
    tombstone: kept,
  });
}

/** The rows of a page, or `null` when one is missing. */
export function historyPage(
  document: MemoryDocument,
  range: { below: number; limit: number },
): HistoryRow[] | null {
  const { newest, oldest } = pageOf(document, range);
  const rows = within(document.history, oldest - 1, newest).reverse();
  return rows.length === Math.max(0, newest - oldest + 1) ? rows : null;
}
