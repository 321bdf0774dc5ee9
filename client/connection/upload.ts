/** What a connection sends of the pending changes, and what a server needs beyond them. */
import * as Y from 'yjs';
import { MAX_TIMED, type TimedChange } from '../../shared/yjs-messages.js';
import type { PendingChange } from './sync-source.js';

/** What may be in one part; a change that is larger is a part alone. */
export interface PartSize {
  readonly bytes: number;
  readonly changes: number;
}

/** What a bad line loses when it breaks is about this much (C11). */
export const PART: PartSize = { bytes: 64 * 1024, changes: MAX_TIMED };

/** Those at the front that go together: a large change is alone, so that nothing else shares its fate. */
export function firstPart(changes: readonly PendingChange[], size: PartSize): readonly PendingChange[] {
  let bytes = 0;
  let count = 0;
  for (const { update } of changes) {
    bytes += update.length;
    if (count > 0 && (bytes > size.bytes || count === size.changes)) break;
    count++;
  }
  return changes.slice(0, count);
}

/** The same as one update, for a server that takes no times. */
export const merged = (changes: readonly Pick<PendingChange, 'update'>[]): Uint8Array =>
  changes.length === 0 ? new Uint8Array(0) : Y.mergeUpdates(changes.map(({ update }) => update));

export const bytesIn = (changes: readonly PendingChange[]): number =>
  changes.reduce((sum, { update }) => sum + update.length, 0);

/** For how long the oldest of them has waited, in ms. */
export const ageOf = ([first]: readonly PendingChange[], now: number): number =>
  Math.max(0, now - (first?.madeAt ?? now));

/** The numbers of those that a server with this state vector has: what was on its way when a line broke. */
export function covered(changes: readonly PendingChange[], stateVector: Uint8Array): ReadonlySet<number> {
  const has = Y.decodeStateVector(stateVector);
  const isThere = ({ id, length }: { id: Y.ID; length: number }) =>
    id.clock + length <= (has.get(id.client) ?? 0);
  const isCovered = ({ update }: PendingChange): boolean => {
    const { structs, ds } = Y.decodeUpdate(update);
    return ds.clients.size === 0 && structs.length > 0 && structs.every(isThere);
  };
  return new Set(changes.filter(isCovered).map(({ number }) => number));
}

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
