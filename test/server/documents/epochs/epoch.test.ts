import fc from 'fast-check';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { Epoch, retiredIn } from '../../../../server/documents/epochs/epoch.js';
import { MANY_RETIRED } from '../../../../server/documents/epochs/rewrites.js';
import { decodeEpoch } from '../../../../shared/epoch.js';
import { slowness } from '../../../support/core-speed.js';
import { threadTimes } from '../../../support/thread-times.js';

const REWRITTEN = expect.objectContaining({ code: 'REWRITTEN' });
const FORMER = { revision: 2 ** 40, mark: 2 ** 32 - 1 };
const no = () => false;
const of = (ids: readonly number[]) => ids.map((client) => ({ client, upTo: 1, living: [] }));
const clients = fc.uniqueArray(
  fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.maxSafeNat()),
);

test('[P10] it knows every client of every document before, stored and read again', () => {
  fc.assert(
    fc.property(clients, clients, fc.maxSafeNat(), (first, second, other) => {
      const begun = Epoch.after(Epoch.after(null, of(first), { revision: 1, mark: 2 }), of(second), FORMER);
      const known = new Set([...first, ...second]);
      const read = Epoch.decode(begun.encode());
      for (const each of [begun, read]) {
        expect(each.former).toEqual(FORMER);
        expect([...each.retired]).toEqual([...known].sort((one, two) => one - two));
        expect([...known].every((client) => each.retires(client))).toBe(true);
        expect(each.retires(other)).toBe(known.has(other));
      }
    }),
  );
});

test('[P10] what has, deletes or builds on anything of an old document is refused, all else is not', () => {
  const epoch = Epoch.after(null, of([5, 7]), FORMER);
  const range = (client: number) => ({ client, from: 0, to: 1 });
  for (const client of [5, 7]) {
    expect(() => epoch.checkUpdate({ ranges: [range(1), range(client)], needs: new Map() }, no)).toThrow(
      REWRITTEN,
    );
    expect(() => epoch.checkUpdate({ ranges: [], needs: new Map([[client, 1]]) }, no)).toThrow(REWRITTEN);
    expect(() => epoch.checkStateVector(new Map([[client, 1]]), no)).toThrow(REWRITTEN);
  }
  epoch.checkUpdate({ ranges: [range(6)], needs: new Map([[6, 1]]) }, no);
  epoch.checkStateVector(new Map([[6, 1]]), no);
});

test('[P10] a client that came in again behind the back of the server is one of the document', () => {
  const epoch = Epoch.after(null, of([5, 7]), FORMER);
  const has = (client: number) => client === 5;
  epoch.checkStateVector(new Map([[5, 1]]), has);
  expect(() => epoch.checkStateVector(new Map([[7, 1]]), has)).toThrow(REWRITTEN);
});

test('[P10] 50,000 clients take some 5 bytes each', () => {
  const random = (n: number) => (n * 2_654_435_761) % 2 ** 32;
  const epoch = Epoch.after(null, of(Array.from({ length: 50_000 }, (_, n) => random(n))), FORMER);
  expect(epoch.encode().length).toBeLessThan(251_000);
});

test('[P10] it tells what had arrived of each client, and what was alive of it', () => {
  const doc = new Y.Doc();
  const text = doc.getText('text');
  const write = (client: number, at: number, letters: string): void => {
    doc.clientID = client;
    text.insert(at, letters);
  };
  write(5, 0, 'abcdef');
  write(2 ** 32 - 1, 6, 'xyz');
  text.delete(1, 2);
  text.delete(6, 1); // z
  const first = Epoch.after(null, retiredIn(doc), FORMER);
  expect(decodeEpoch(first.encode()).retired).toEqual([
    { client: 5, upTo: 6, living: [0, 1, 3, 6] },
    { client: 2 ** 32 - 1, upTo: 3, living: [0, 2] },
  ]);
  const second = Epoch.after(Epoch.decode(first.encode()), [{ client: 7, upTo: 1, living: [0, 1] }], FORMER);
  expect(decodeEpoch(second.encode()).retired).toEqual([
    { client: 5, upTo: 6, living: [0, 1, 3, 6] },
    { client: 7, upTo: 1, living: [0, 1] },
    { client: 2 ** 32 - 1, upTo: 3, living: [0, 2] },
  ]);
});

test('[P10] what was alive in documents before the last one is forgotten where it takes much room', () => {
  const living = Array.from({ length: 80_000 }, (_, at) => 2 * at);
  const first = Epoch.after(null, [{ client: 5, upTo: 200_000, living }], FORMER);
  expect(decodeEpoch(first.encode()).retired[0]?.living).toHaveLength(80_000);
  const second = Epoch.after(first, [{ client: 7, upTo: 1, living: [0, 1] }], FORMER);
  expect(decodeEpoch(second.encode()).retired).toEqual([
    { client: 5, upTo: 200_000, living: null },
    { client: 7, upTo: 1, living: [0, 1] },
  ]);
});

test('[P10] [S4] after many documents it is made, and read, in steps that keep nobody waiting', () => {
  const spread = (n: number) => (n * 2_654_435_761) % 2 ** 32;
  const idsOf = (from: number, to: number) =>
    of(Array.from({ length: to - from }, (_, n) => spread(from + n)));
  const MAX_CLIENTS = 50_000; // of the last document
  const old = Epoch.after(null, idsOf(0, MANY_RETIRED), FORMER);
  const fresh = idsOf(MANY_RETIRED, MANY_RETIRED + MAX_CLIENTS);
  const longest = (): number[] => {
    const steps = Epoch.inSteps(old, fresh, FORMER);
    let made: Epoch | null = null;
    const times: number[] = [];
    const step = (work: () => void): void => {
      const began = threadTimes().worked;
      work();
      times.push(threadTimes().worked - began);
    };
    while (made === null) step(() => (made = steps.next().value ?? null));
    const { size } = Epoch.decode((made as Epoch).encode());
    expect(size).toBe(MANY_RETIRED + MAX_CLIENTS);
    step(() => Epoch.decode((made as Epoch).encode()));
    return times;
  };
  const runs = Array.from({ length: 3 }, longest);
  const best = (runs[0] ?? []).map((_, at) => Math.min(...runs.map((times) => times[at] ?? 0)));
  expect(best.length).toBeGreaterThan(5);
  expect(Math.max(...best)).toBeLessThan(50 * slowness());
});
