/** What is too old of a history goes beside what comes in, and where that fails nobody is kept out (H7). */
import * as encoding from 'lib0/encoding';
import { afterEach, describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { Digests } from '../../../../server/documents/history/digests.js';
import { MOST_PRUNED } from '../../../../server/documents/history/document-pruning.js';
import { PastChanges } from '../../../../server/documents/history/past-changes.js';
import { Pruning } from '../../../../server/documents/history/pruning.js';
import { Remembered, untoldRow } from '../../../../server/documents/history/remembered.js';
import { DeviceStates } from '../../../../server/documents/json-devices/devices.js';
import { UserDocument } from '../../../../server/documents/user-document.js';
import { encoded } from '../../../../server/protocol/bytes.js';
import { namedRange } from '../../../../server/store/format.js';
import type { LevelStore } from '../../../../server/store/level/level-store.js';
import type { Deletion, Store } from '../../../../server/store/store.js';
import { changeByte, databaseOf } from '../../../support/level-fixture.js';
import { StoreGate } from '../../../support/store-gate.js';
import { DAY, levelShelf, memoryShelf, record, Ward, type WardOptions } from '../../../support/ward.js';

afterEach(() => vi.restoreAllMocks());

const put = (ward: Ward, fields: object) =>
  ward.write('phone', (doc) => {
    const notes = doc.getMap('notes');
    const note = (notes.get('n1') ?? notes.set('n1', new Y.Map([['id', 'n1']]))) as Y.Map<unknown>;
    for (const [name, value] of Object.entries(fields)) note.set(name, value);
  });

async function visit(ward: Ward, device: string): Promise<void> {
  const line = await ward.line(device).ready();
  ward.now += 80_000;
  line.leave();
  ward.document.saveDevices('all');
  await ward.document.durable();
}

/** A note that a tablet has read before it went away, and that others changed since, all of it long ago. */
async function old(options: WardOptions = {}): Promise<Ward> {
  const ward = await Ward.open(memoryShelf(), options);
  put(ward, { a: 1, b: 1 });
  await visit(ward, 'tablet');
  put(ward, { b: 2 });
  put(ward, { c: 2 });
  ward.now += 200 * DAY;
  put(ward, { d: 1 });
  return ward;
}

/** What the tablet had written, and sends now. */
async function sendsLate(ward: Ward): Promise<unknown> {
  const tablet = await ward.line('tablet').ready();
  await tablet.update('notes', { id: 'n1', a: 'late', b: 1 }, Date.UTC(2025, 0, 31) + DAY / 2);
  tablet.leave();
  return ward.json('notes', 'n1');
}
const AFTER = { id: 'n1', a: 'late', b: 2, c: 2, d: 1 };

const broken = (): never => {
  throw new Error('broken');
};

describe('[H7] where pruning fails, the history stays as it was, its user works, and another day it goes', () => {
  const gate = new StoreGate();
  test.each<[string, () => void]>([
    [
      'what devices need',
      () => vi.spyOn(DeviceStates.prototype, 'neededFrom').mockImplementationOnce(broken),
    ],
    ['the devices away', () => vi.spyOn(DeviceStates.prototype, 'awayBefore').mockImplementationOnce(broken)],
    ['the document', () => vi.spyOn(UserDocument.prototype, 'historyHead').mockImplementationOnce(broken)],
    ['what is to be remembered', () => vi.spyOn(Pruning.prototype, 'rows').mockImplementationOnce(broken)],
    ['the history', () => gate.fail('history', new Error('broken'))],
    ['the history, at once', () => gate.fail('history', new Error('broken'), 'throws')],
    ['what is remembered', () => gate.fail('deletions', new Error('broken'))],
    ['what is remembered, at once', () => gate.fail('deletions', new Error('broken'), 'throws')],
  ])('at %s', async (_, fail) => {
    const ward = await old({ around: gate.around });
    fail();
    await ward.prune();
    expect(ward.unpruned).toEqual([expect.objectContaining({ message: 'broken' })]);
    expect(await ward.revisions()).toEqual([1, 2, 3, 4]);
    put(ward, { d: 1, e: 1 });
    await ward.document.durable();
    expect([ward.failures, ward.unexpected, ward.damaged]).toEqual([[], [], []]);
    await ward.prune();
    expect(await ward.revisions()).toEqual([4, 5]);
    expect(await sendsLate(ward)).toEqual({ ...AFTER, e: 1 });
    expect(ward.unpruned).toHaveLength(1);
  });

  test.each(['rejects', 'throws'] as const)(
    'at the store, which %s: who is connected comes again, and gets in',
    async (how) => {
      const ward = await old({ around: gate.around });
      gate.fail('prune', new Error('broken'), how);
      await ward.prune();
      expect([ward.unpruned.length, ward.failures]).toEqual([1, ['NOT_SAVED']]);
      gate.fail('prune', new Error('broken'), how);
      await ward.reopen();
      await ward.pruned();
      put(ward, { e: 1 });
      await ward.document.durable();
      expect(await ward.revisions()).toEqual([1, 2, 3, 4, 5]);
      expect([ward.unpruned.length, ward.failures]).toEqual([1, ['NOT_SAVED']]);
      gate.fail('none', new Error('broken'));
    },
  );
});

/** An entry of another author's note in which a patch says what none says. */
const poison = (patch: string): Uint8Array =>
  encoded((encoder) => {
    encoding.writeUint8(encoder, 1);
    encoding.writeUint8(encoder, 1);
    for (const text of ['notes', 'n1', 'phone']) encoding.writeVarString(encoder, text);
    encoding.writeVarUint(encoder, Date.UTC(2025, 0, 31) + DAY + 80_000);
    encoding.writeVarString(encoder, patch);
  });

/** Of what is stored, this revision is something else. */
const withEntry =
  (revision: number, entry: Uint8Array) =>
  (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        if (name !== 'history') return value.bind(target);
        return async (...args: Parameters<Store['history']>) =>
          (await target.history(...args)).map((row) =>
            row.revision === revision ? { revision, entry } : row,
          );
      },
    });

describe.each(['{"a":null}', '{"a":{"b":null}}', '[[[null]]]', '5', '{"__proto__":null}', ''])(
  '[H7 L8] an entry that says %s',
  (patch) => {
    test.each([
      ['away', true],
      ['not away', false],
    ])('goes as any other, where a device is %s, and undoes nothing', async (_, isAway) => {
      const ward = await Ward.open(memoryShelf(), { around: withEntry(2, poison(patch)) });
      put(ward, { a: 1, b: 1 });
      if (isAway) await visit(ward, 'tablet');
      ward.now += DAY;
      put(ward, { b: 2 });
      put(ward, { c: 2 });
      ward.now += 200 * DAY;
      put(ward, { d: 1 });
      await ward.prune();
      expect(await ward.revisions()).toEqual([4]);
      expect([ward.unpruned, ward.failures, ward.unexpected]).toEqual([[], [], []]);
      expect(await sendsLate(ward)).toMatchObject({ b: 2, c: 2, d: 1 });
    });
  },
);

describe('[H7] nobody waits for what is read', () => {
  test.each(['history', 'deletions'])(
    '(%s): the document is loaded, written and read meanwhile',
    async (call) => {
      const gate = new StoreGate();
      const ward = await old({ around: gate.around });
      await ward.stop();
      const held = gate.hold(call);
      await ward.load();
      await held.reached;
      put(ward, { e: 1 });
      await ward.document.durable();
      expect(await sendsLate(ward), 'with all of its history').toEqual({ ...AFTER, e: 1 });
      held.release();
      await ward.pruned();
      expect(await ward.revisions(), 'what that device may need stays').toEqual([2, 3, 4, 5, 6]);
      expect([ward.unpruned, ward.failures, ward.unexpected, ward.damaged]).toEqual([[], [], [], []]);
      ward.now += 200 * DAY;
      await ward.prune();
      expect(await ward.revisions()).toEqual([]);
    },
  );

  test('what a device needs that comes back meanwhile stays', async () => {
    const gate = new StoreGate();
    const ward = await old({ around: gate.around });
    const held = gate.hold('deletions');
    const pruning = ward.prune();
    await held.reached;
    const tablet = await ward.line('tablet').ready();
    held.release();
    await pruning;
    expect(await ward.revisions()).toEqual([2, 3, 4]);
    await tablet.update('notes', { id: 'n1', a: 'late', b: 1 }, Date.UTC(2025, 0, 31) + DAY / 2);
    expect(ward.json('notes', 'n1')).toEqual(AFTER);
    tablet.leave();
  });

  test('who stops the server meanwhile is told of no fault', async () => {
    const gate = new StoreGate();
    const ward = await old({ around: gate.around });
    const held = gate.hold('deletions');
    const pruning = ward.prune();
    await held.reached;
    await ward.stop();
    held.release();
    await pruning;
    expect([ward.unpruned, ward.failures, ward.unexpected]).toEqual([[], [], []]);
  });
});

test('[H7] of one user that is tried once a day, however often the document is loaded', async () => {
  let uptime = 0;
  let reads = 0;
  const counting = (store: Store): Store =>
    new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (name === 'history') reads++;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  const options = { around: counting, uptime: () => uptime, idleTimeout: 0, restAfter: null };
  const ward = await old(options);
  await ward.restart();
  const first = reads;
  for (let load = 0; load < 5; load++) {
    await ward.document.durable();
    await ward.letGo();
    await ward.reopen();
    await ward.pruned();
  }
  expect(reads).toBe(first);
  uptime += DAY;
  await ward.letGo();
  await ward.reopen();
  await ward.pruned();
  expect(reads).toBeGreaterThan(first);
});

test('[H7] of a long history a part goes at once, and then the next', async () => {
  const ward = await Ward.open(memoryShelf(), { compactUpdates: 1e9, compactBytes: 1e12 });
  const many = MOST_PRUNED + 1_000;
  put(ward, { a: 1 });
  await visit(ward, 'tablet');
  ward.write('phone', (doc) => {
    for (let n = 0; n < many; n++) doc.getMap('notes').set(`n${n}`, new Y.Map([['id', `n${n}`]]));
  });
  await ward.document.durable();
  ward.now += 200 * DAY;
  const prune = vi.spyOn(ward.store, 'prune');
  await ward.prune();
  expect(prune.mock.calls.map(([, upTo]) => upTo)).toEqual([MOST_PRUNED, many + 1]);
  expect(await ward.revisions()).toEqual([]);
});

test('[P7 L8] what is remembered is made with a secret of the user, which an erasure takes away', async () => {
  const ward = await old();
  await ward.prune();
  const { digests } = new Remembered(await ward.store.deletions(Ward.USER));
  expect(digests.secret).toHaveLength(24);
  await ward.erase();
  expect(await ward.store.deletions(Ward.USER)).toEqual([]);
});

/** What an earlier version remembered of so many deleted records, with digests that have no secret. */
function withoutSecret(many: number): Deletion[] {
  const changes = new PastChanges([
    { path: ['a'], revision: 1, madeAt: 1, before: new Digests(null).of('flu'), since: 0, by: null },
  ]).encode();
  const rows = Array.from({ length: many }, (_, n) => ({
    ...record('old', `r${n}`),
    revision: 1,
    at: 1,
    changes,
  }));
  return [untoldRow({ upTo: 0, at: 0, until: 1 }, new Digests(null)), ...rows];
}

test('[H7] [P8] what an earlier version remembered of many records gets its secret in many short turns', async () => {
  const MANY = 2_000;
  const ward = await old({
    around: (store) =>
      new Proxy(store, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return name === 'deletions' ? async () => withoutSecret(MANY) : value.bind(target);
        },
      }),
  });
  const prune = vi.spyOn(ward.store, 'prune');
  const digest = vi.spyOn(Digests.prototype, 'from');
  let time = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => ++time);
  let [before, most] = [0, 0];
  const look = () => {
    const made = digest.mock.calls.length;
    most = Math.max(most, made - before);
    before = made;
    looking = setImmediate(look);
  };
  let looking = setImmediate(look);
  await ward.prune();
  clearImmediate(looking);
  expect(before).toBeGreaterThanOrEqual(MANY);
  expect(most).toBeLessThan(50);
  const [call] = prune.mock.calls;
  expect(call?.[2]).toHaveLength(MANY + 2); // theirs, that of the note, and that which says what is not told
});

test('[P5 L8] where what is remembered of deletions is damaged, a write that looks back to it works', async () => {
  const shelf = await levelShelf();
  const ward = await Ward.open(shelf);
  put(ward, { a: 1, b: 1 });
  await visit(ward, 'tablet');
  put(ward, { b: 2 });
  ward.now += 200 * DAY;
  put(ward, { d: 1 });
  await ward.prune();
  await ward.restart();
  const db = databaseOf(ward.store as LevelStore);
  const keys = await db.keys(namedRange('deleted', Ward.USER)).all();
  expect(keys.length).toBeGreaterThan(0);
  for (const key of keys) await changeByte(db, key, 20);
  expect(await sendsLate(ward)).toMatchObject({ b: 2, d: 1 });
  expect([ward.failures, ward.damaged.length, ward.rebuilt]).toEqual([[], 1, 0]);
});
