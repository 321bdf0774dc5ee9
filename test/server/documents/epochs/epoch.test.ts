import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Epoch } from '../../../../server/documents/epochs/epoch.js';

const REWRITTEN = expect.objectContaining({ code: 'REWRITTEN' });
const FORMER = { revision: 2 ** 40, mark: 2 ** 32 - 1 };
const no = () => false;
const clients = fc.uniqueArray(
  fc.oneof(fc.nat(20), fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.maxSafeNat()),
);

test('[P10] it knows every client of every document before, stored and read again', () => {
  fc.assert(
    fc.property(clients, clients, fc.maxSafeNat(), (first, second, other) => {
      const begun = Epoch.after(Epoch.after(null, first, { revision: 1, mark: 2 }), second, FORMER);
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
  const epoch = Epoch.after(null, [5, 7], FORMER);
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
  const epoch = Epoch.after(null, [5, 7], FORMER);
  const has = (client: number) => client === 5;
  epoch.checkStateVector(new Map([[5, 1]]), has);
  expect(() => epoch.checkStateVector(new Map([[7, 1]]), has)).toThrow(REWRITTEN);
});

test('[P10] 50,000 clients take some 3 bytes each', () => {
  const random = (n: number) => (n * 2_654_435_761) % 2 ** 32;
  const epoch = Epoch.after(
    null,
    Array.from({ length: 50_000 }, (_, n) => random(n)),
    FORMER,
  );
  expect(epoch.encode().length).toBeLessThan(151_000);
});
