/** The document without a change that the server refused (C11). */
import * as Y from 'yjs';
import type { PendingChange } from '../connection/sync-source.js';
import { countIn, lacks } from '../connection/upload.js';
import { writeAgain, writesBetween } from '../records/record-write.js';
import type { SetAside } from './refused-changes.js';
import { Gap, placesOf } from './update-places.js';

export interface Without {
  /** What is pending then, oldest first. */
  readonly pending: readonly PendingChange[];
  /** What the refused change did, and whether anything of it is to be set aside. */
  readonly writes: SetAside['writes'] | null;
}

/**
 * `serverHas`: all that the server has. A change that stands on what was refused goes with it. Such a group, and a
 * change of several records, is made once more, as one new change of each record: a text that was too long may have
 * been shortened since, and of what a guest brings along one record may be too large.
 */
export function without(refused: number, serverHas: Uint8Array, all: readonly PendingChange[]): Without {
  const [full, clean] = [docOf(serverHas), docOf(serverHas)];
  const gone = new Gap();
  let gap = new Gap();
  const group: PendingChange[] = [];
  const pending: PendingChange[] = [];
  for (const change of all) {
    Y.applyUpdate(full, change.update);
    if (change.number === refused || gone.isUnder(change.update)) {
      group.push(change);
      for (const each of [gone, gap]) each.add(change.update);
    } else {
      const nothing = gap.asUpdate();
      gap = new Gap();
      const update = nothing === null ? change.update : Y.mergeUpdates([nothing, change.update]);
      Y.applyUpdate(clean, update);
      pending.push({ ...change, update });
    }
  }
  const places = placesOf(
    full,
    group.map(({ update }) => update),
  );
  const writes = writesBetween(clean, full, places);
  const isNothing = writes.length === 0 && places.length > 0;
  if (group.length < 2 && writes.length < 2) return { pending, writes: isNothing ? null : writes };
  return { pending: [...pending, ...madeAgain(clean, writes, group[group.length - 1])], writes: null };
}

function madeAgain(doc: Y.Doc, writes: SetAside['writes'], last: PendingChange | undefined): PendingChange[] {
  const made: PendingChange[] = [];
  doc.on('update', (update: Uint8Array) => made.push({ number: 0, update, madeAt: last?.madeAt ?? null }));
  for (const write of writes) doc.transact(() => writeAgain(doc, write));
  return made;
}

/** Whether the server lacks what this device has besides the pending changes: it was restored from a backup. */
export function lacksMore(
  serverHas: Uint8Array,
  pending: readonly PendingChange[],
  stateVector: Uint8Array,
): boolean {
  const updates = pending.map(({ update }) => update);
  return lacks(countIn(Y.encodeStateVectorFromUpdate(serverHas), updates), stateVector);
}

/** Nothing is collected: where a change stood can be told as long as its neighbours are there. */
function docOf(state: Uint8Array): Y.Doc {
  const doc = new Y.Doc({ gc: false });
  Y.applyUpdate(doc, state);
  return doc;
}
