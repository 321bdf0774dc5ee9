import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as Y from 'yjs';
import { firstMissing } from '../../../server/protocol/missing.js';
import { scanUpdate } from '../../../server/protocol/scan.js';
import { docsOf, edits, updatesOf } from '../../support/edited-docs.js';
import { cycle, overlapOfCollected, rawUpdate, rootItem } from '../../support/hostile.js';
import { runs } from '../../support/runs.js';

const scan = (update: Uint8Array) => scanUpdate(update, { maxDepth: 64 });

const missingFrom = (...update: Parameters<typeof firstMissing>): boolean => firstMissing(...update) !== null;

describe('firstMissing', () => {
  const stateOf = (state: Record<number, number>) => (client: number) => state[client] ?? 0;
  const missing = (update: Uint8Array, state: Record<number, number> = {}): boolean =>
    missingFrom(scan(update), stateOf(state));
  const value = [1, 126];

  it('[S1] [N4] finds an unknown origin, right origin and parent', () => {
    for (const struct of [
      [0x88, 2, 4, ...value],
      [0x48, 2, 4, ...value],
      [0x28, 0, 2, 4, 1, 97, ...value],
    ]) {
      const update = rawUpdate([[1, 0, [struct]]]);
      expect(missing(update)).toBe(true);
      expect(missing(update, { 2: 4 })).toBe(true);
      expect(missing(update, { 2: 5 })).toBe(false);
    }
  });

  it('[S1] [N4] finds a gap of clocks, before the update and in it', () => {
    const late = rawUpdate([[1, 3, [[0, 2]]]]);
    expect(missing(late)).toBe(true);
    expect(missing(late, { 1: 2 })).toBe(true);
    expect(missing(late, { 1: 3 })).toBe(false);
    expect(missing(late, { 1: 9 })).toBe(false);
    const gap = rawUpdate([
      [
        1,
        0,
        [
          [0, 2],
          [10, 3],
          [0, 1],
        ],
      ],
    ]);
    expect(missing(gap)).toBe(true);
    expect(missing(gap, { 1: 4 })).toBe(true);
    expect(missing(gap, { 1: 5 })).toBe(false);
  });

  it('[S1] [N4] finds a deletion of what is not known', () => {
    const update = rawUpdate(
      [],
      [
        [
          1,
          [
            [0, 1],
            [4, 2],
          ],
        ],
      ],
    );
    expect(missing(update)).toBe(true);
    expect(missing(update, { 1: 5 })).toBe(true);
    expect(missing(update, { 1: 6 })).toBe(false);
  });

  it('[S1] takes what the update brings itself', () => {
    const update = rawUpdate(
      [
        [1, 0, [[0x88, 2, 0, ...value]]],
        [2, 0, [rootItem(8, value)]],
      ],
      [[2, [[0, 1]]]],
    );
    expect(missing(update)).toBe(false);
    const whole = new Y.Doc();
    whole.getMap('patients').set('p1', new Y.Map([['a', new Y.Map([['b', 1]])]]));
    whole.getMap('patients').delete('p1');
    expect(missing(Y.encodeStateAsUpdate(whole))).toBe(false);
  });

  it('[S1] is what Yjs thinks, for updates in any order', () => {
    fc.assert(
      fc.property(edits, fc.array(fc.nat(), { maxLength: 8 }), (made, order) => {
        const updates = updatesOf(docsOf(made));
        const doc = new Y.Doc();
        for (const pick of order) {
          const update = updates[pick % updates.length] ?? new Uint8Array([0, 0]);
          const store = new Y.Doc();
          Y.applyUpdate(store, Y.encodeStateAsUpdate(doc));
          const state = Y.decodeStateVector(Y.encodeStateVector(doc));
          const found = missingFrom(scan(update), (client) => state.get(client) ?? 0);
          Y.applyUpdate(store, update);
          expect(found).toBe(store.store.pendingStructs !== null || store.store.pendingDs !== null);
          if (!found) Y.applyUpdate(doc, update);
        }
      }),
      { numRuns: runs(100) },
    );
  });
});

describe('what the scan can not see', () => {
  it('[S1] two structs that wait for each other: Yjs parks them', () => {
    expect(missingFrom(scan(cycle()), () => 0)).toBe(false);
    const doc = new Y.Doc();
    Y.applyUpdate(doc, cycle());
    expect(doc.store.pendingStructs).not.toBeNull();
  });

  it('[S1] a client that tells its own past in another way: Yjs throws', () => {
    const [first, second] = overlapOfCollected();
    const doc = new Y.Doc();
    Y.applyUpdate(doc, first);
    expect(missingFrom(scan(second), (client) => Y.getState(doc.store, client))).toBe(false);
    expect(() => Y.applyUpdate(doc, second)).toThrow(TypeError);
  });
});
