/** What a connection sends of the pending changes, and what a server needs beyond them. */
import * as Y from 'yjs';
import { MAX_TIMED, type TimedChange } from '../shared/protocol/yjs-messages.js';
import type { PendingChange } from './sync-source.js';

/** Merging takes longer the more there is at a time, and a server takes only so much in one message. */
const MAX_BYTES = 1024 * 1024;

/** The changes as they were made, as many together as go into one message. */
export function chunksOf(changes: readonly PendingChange[], most = MAX_TIMED): readonly PendingChange[][] {
  const chunks: PendingChange[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const change of changes) {
    bytes += change.update.length;
    let chunk = chunks[chunks.length - 1];
    if (chunk === undefined || chunk.length === most || bytes > MAX_BYTES) {
      chunk = [];
      chunks.push(chunk);
      bytes = change.update.length;
    }
    chunk.push(change);
  }
  return chunks;
}

/** The same as updates, for a server that takes no times. */
export const mergedChunks = (changes: readonly PendingChange[], most?: number): Uint8Array[] =>
  chunksOf(changes, most).map((chunk) => Y.mergeUpdates(chunk.map(({ update }) => update)));

export const timed = (changes: readonly PendingChange[]): TimedChange[] =>
  changes.map(({ update, madeAt = null }) => ({ update, madeAt }));

/** The number up to which the server will have all of these. */
export const lastNumber = (changes: readonly PendingChange[], otherwise: number): number =>
  changes[changes.length - 1]?.number ?? otherwise;

/** The state vector of a server once it got these updates, as far as they fit to what it has. */
export function countIn(stateVector: Uint8Array, updates: readonly Uint8Array[]): Uint8Array {
  const clocks = Y.decodeStateVector(stateVector);
  for (const update of updates) {
    for (const struct of Y.decodeUpdate(update).structs) {
      const { client, clock } = struct.id;
      const has = clocks.get(client) ?? 0;
      const fits = clock <= has && !(struct instanceof Y.Skip);
      if (fits) clocks.set(client, Math.max(has, clock + struct.length));
    }
  }
  return Y.encodeStateVector(clocks);
}

/** Whether one that has `theirs` lacks something of `ours`; deletions don't show. */
export function lacks(theirs: Uint8Array, ours: Uint8Array): boolean {
  const has = Y.decodeStateVector(theirs);
  return [...Y.decodeStateVector(ours)].some(([client, clock]) => (has.get(client) ?? 0) < clock);
}
