/** What a connection sends of the pending changes, and what a server needs beyond them. */
import * as Y from 'yjs';
import type { PendingChange } from './sync-source.js';

/** Merging takes longer the more there is at a time, and a server takes only so much in one message. */
const MAX_CHANGES = 200;
const MAX_BYTES = 1024 * 1024;

/** The changes as they were made, in as few updates as is cheap. */
export function mergedChunks(changes: readonly PendingChange[]): Uint8Array[] {
  const chunks: Uint8Array[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const { update } of changes) {
    bytes += update.length;
    let chunk = chunks[chunks.length - 1];
    if (chunk === undefined || chunk.length === MAX_CHANGES || bytes > MAX_BYTES) {
      chunk = [];
      chunks.push(chunk);
      bytes = update.length;
    }
    chunk.push(update);
  }
  return chunks.map((chunk) => Y.mergeUpdates(chunk));
}

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
