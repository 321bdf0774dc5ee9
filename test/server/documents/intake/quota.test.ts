import * as encoding from 'lib0/encoding';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../../../server/documents/changes.js';
import { StoredSize } from '../../../../server/documents/compaction/stored-size.js';
import { growthBy } from '../../../../server/documents/intake/growth.js';
import { LivingSize } from '../../../../server/documents/intake/living-size.js';
import {
  DocumentQuota,
  growthOfDeletion,
  growthOfRecord,
  type QuotaLimits,
} from '../../../../server/documents/intake/quota.js';
import { DeviceStates } from '../../../../server/documents/json-devices/devices.js';
import { recentWrites } from '../../../../server/documents/json-devices/recent-writes.js';
import type { CollectionName, DeviceId, DeviceKey, RecordId, UserId } from '../../../../shared/names.js';
import { writeRecord } from '../../../../shared/records.js';

const CODE = 'DOCUMENT_FULL';

function roomOf(doc: Y.Doc, limits: QuotaLimits, now = () => 0) {
  const size = new StoredSize([]);
  return { size, room: new DocumentQuota(() => doc, size, limits, now) };
}

/** A document that counts what it takes. */
function world(maxDocument: number, maxDocumentStructs = Number.POSITIVE_INFINITY) {
  const doc = new Y.Doc();
  let now = 0;
  const { room, size } = roomOf(doc, { maxDocument, maxDocumentStructs }, () => now);
  const take = (update: Uint8Array) => {
    room.mustTakeUpdate(update);
    Y.applyUpdate(doc, update);
    size.add(update);
  };
  const pass = (ms: number) => {
    now += ms;
  };
  return { take, pass };
}

/** What an author's next change is, as an update. */
function author(client: number) {
  const doc = new Y.Doc();
  doc.clientID = client;
  return (change: (notes: Y.Map<unknown>) => void): Uint8Array => {
    const before = Y.encodeStateVector(doc);
    doc.transact(() => change(doc.getMap('notes')));
    return Y.encodeStateAsUpdate(doc, before);
  };
}

/** An update that deletes single elements of a client. */
const deletionOf = (client: number, clocks: readonly number[]): Uint8Array =>
  encoding.encode((encoder) => {
    for (const n of [0, 1, client, clocks.length]) encoding.writeVarUint(encoder, n);
    for (const clock of clocks) {
      encoding.writeVarUint(encoder, clock);
      encoding.writeVarUint(encoder, 1);
    }
  });

describe('[S4] the room of a document', () => {
  test('a document that stays small by replacing takes any number of updates', () => {
    const { take, pass } = world(20_000);
    const edit = author(1);
    for (let n = 0; n < 100; n++) {
      take(edit((notes) => notes.set('n1', `${n} ${'x'.repeat(4_000)}`)));
      pass(10);
    }
  });

  test('a deletion makes room at once, without measuring again', () => {
    const { take } = world(100_000);
    const edit = author(1);
    take(edit((notes) => notes.set('n1', 'x'.repeat(60_000))));
    const more = () => author(2)((notes) => notes.set('n2', 'x'.repeat(50_000)));
    expect(() => take(more())).toThrow(expect.objectContaining({ code: CODE }));
    take(edit((notes) => notes.delete('n1')));
    take(more());
    expect(() => take(author(3)((notes) => notes.set('n3', 'x'.repeat(50_000))))).toThrow();
  });

  test('what can be cut in two is measured again where it has to be, and not too often', () => {
    const { take, pass } = world(10_000);
    const edit = author(1);
    take(edit((notes) => notes.set('n1', new Y.Text('x'.repeat(9_000)))));
    const big = () => author(2)((notes) => notes.set('n2', 'y'.repeat(7_000)));
    expect(() => take(big())).toThrow(expect.objectContaining({ code: CODE }));
    // Every second letter: what is left are a thousand pieces, each with a neighbour to name.
    for (let n = 0; n < 1_000; n++) {
      take(edit((notes) => (notes.get('n1') as Y.Text).delete(n, 1)));
    }
    expect(() => take(big())).toThrow(expect.objectContaining({ code: CODE }));
    take(edit((notes) => (notes.get('n1') as Y.Text).delete(0, 8_000)));
    pass(100);
    take(big());
  });

  test('any number of records that come and go leave room for as many as before', () => {
    const { take } = world(20_000);
    const edit = author(1);
    for (let n = 0; n < 3_000; n++) {
      take(edit((notes) => notes.set(`record-number-${n}`, new Y.Map([['id', `record-number-${n}`]]))));
      take(edit((notes) => notes.delete(`record-number-${n}`)));
    }
    const fits = (size: number) => author(2)((notes) => notes.set('text', 'x'.repeat(size)));
    expect(() => take(fits(20_000))).toThrow(expect.objectContaining({ code: CODE }));
    take(fits(19_900));
  });

  test('values that are overwritten, texts that are written letter by letter, and lists that are emptied, count once', () => {
    const { take, pass } = world(20_000, 50);
    const edit = author(1);
    take(edit((notes) => notes.set('text', new Y.Text())));
    take(edit((notes) => notes.set('list', new Y.Array())));
    for (let n = 0; n < 500; n++) take(edit((notes) => notes.set(`k${n % 2}`, n)));
    for (let n = 0; n < 500; n++) {
      pass(20);
      take(edit((notes) => (notes.get('text') as Y.Text).insert(n, 'x')));
    }
    for (let n = 0; n < 500; n++) {
      pass(20);
      take(edit((notes) => (notes.get('list') as Y.Array<number>).push([n, n])));
      if (n % 10 === 9) take(edit((notes) => (notes.get('list') as Y.Array<number>).delete(0, 20)));
    }
  });

  test('what is created and deleted in one update is no growth, and what it deletes beside that is free', () => {
    const edit = author(1);
    const doc = new Y.Doc();
    Y.applyUpdate(
      doc,
      edit((notes) => notes.set('a', 'x'.repeat(900))),
    );
    const merged = Y.mergeUpdates([
      edit((notes) => notes.set('b', 'y'.repeat(800))),
      edit((notes) => notes.delete('b')),
      edit((notes) => notes.set('c', 'z'.repeat(700))),
      edit((notes) => notes.delete('a')),
    ]);
    const { bytes, structs } = growthBy(merged, doc);
    expect([bytes > -250, bytes < -150, structs]).toEqual([true, true, 0]);
  });

  test('what is left of deleted records has a ceiling of its own; deletions are taken beyond it', () => {
    const doc = new Y.Doc();
    const { room, size } = roomOf(doc, { maxDocument: 1_000, maxDocumentStructs: 1_000 });
    const edit = author(1);
    const key = (n: number) => `${n} ${'k'.repeat(200)}`;
    const fill = edit((notes) => {
      for (let n = 0; n < 45_000; n++) notes.set(key(n), 1);
    });
    const empty = edit((notes) => notes.clear());
    for (const update of [fill, empty]) {
      Y.applyUpdate(doc, update);
      size.add(update);
    }
    expect(() => room.mustTakeUpdate(edit((notes) => notes.set('one', 1)))).toThrow(
      expect.objectContaining({ code: CODE }),
    );
    const other = new Y.Doc();
    Y.applyUpdate(other, fill);
    const before = Y.encodeStateVector(other);
    other.getMap('notes').delete(key(0));
    room.mustTakeUpdate(Y.encodeStateAsUpdate(other, before));
  });

  test('texts and lists are not cut into pieces without end by deletions; whole ones are deleted beyond that', () => {
    const { take } = world(2 ** 24, 2_000);
    const edit = author(1);
    const kinds = [
      () => new Y.Text('x'.repeat(500)),
      () => Y.Array.from(Array<number>(500).fill(7)),
      () => new Y.XmlText('x'.repeat(500)),
    ];
    // Every second element; the first one stands behind the place of its list.
    const everySecond = (index: number) => Array.from({ length: 249 }, (_, n) => 2 + index * 501 + 2 * n);
    const fields = Array.from({ length: 800 }, (_, n) => `n${n}`);
    for (const [n, name] of fields.entries()) {
      take(edit((notes) => notes.set(name, kinds[n % 3]?.())));
    }
    let cuts = 0;
    const cutAll = () => {
      for (const n of fields.keys()) {
        take(deletionOf(1, everySecond(n)));
        cuts += 249;
      }
    };
    expect(cutAll).toThrow(expect.objectContaining({ code: CODE }));
    expect(2 * cuts).toBeGreaterThan(230_000); // one is left, one is deleted
    expect(2 * cuts).toBeLessThan(260_000);
    for (const n of [0, 1, 2]) take(deletionOf(1, everySecond(n))); // once more, which cuts nothing
    for (const name of fields.slice(-20)) take(edit((notes) => notes.delete(name)));
  });

  test('a change that frees as much as it brings is taken, also in a document that is too large', () => {
    const edit = author(1);
    const first = edit((notes) => notes.set('n1', 'x'.repeat(9_000)));
    const doc = new Y.Doc();
    Y.applyUpdate(doc, first);
    const limits = { maxDocument: 5_000, maxDocumentStructs: 1_000 };
    const room = new DocumentQuota(
      () => doc,
      new StoredSize([first]),
      limits,
      () => 0,
    );
    const smaller = edit((notes) => notes.set('n1', 'x'.repeat(8_000)));
    expect(growthBy(smaller, doc).bytes).toBeLessThan(0);
    room.mustTakeUpdate(smaller);
    const larger = edit((notes) => notes.set('n2', 'y'));
    Y.applyUpdate(doc, smaller);
    expect(() => room.mustTakeUpdate(larger)).toThrow(expect.objectContaining({ code: CODE }));
  });

  test('a deletion counts once, however often an update names it, and for the part that it takes', () => {
    const doc = new Y.Doc();
    doc.clientID = 1;
    doc.getMap('notes').set('t', new Y.Text('x'.repeat(1_000)));
    const before = Y.encodeStateVector(doc);
    const other = new Y.Doc();
    other.clientID = 2;
    Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
    const text = other.getMap('notes').get('t') as Y.Text;
    other.transact(() => {
      text.delete(0, 100);
      text.insert(0, 'y'.repeat(500));
    });
    const { bytes } = growthBy(Y.encodeStateAsUpdate(other, before), doc);
    expect(bytes).toBeGreaterThan(400);
    expect(bytes).toBeLessThan(450);
  });

  test('what an update brings again is no growth', () => {
    const edit = author(1);
    const update = edit((notes) => notes.set('n1', 'x'.repeat(1_000)));
    const doc = new Y.Doc();
    expect(growthBy(update, doc).bytes).toBeGreaterThan(1_000);
    Y.applyUpdate(doc, update);
    expect(growthBy(update, doc)).toEqual({ bytes: 0, structs: 0, doesWrite: false, cuts: 0 });
  });
});

test('[S4] what a record of a JSON device takes is never less than what Yjs makes of it', () => {
  const record = {
    id: 'a',
    n: 1,
    flag: true,
    none: null,
    list: [1, 'two', { id: 'x', deep: { er: 'text' } }],
  };
  const doc = new Y.Doc();
  doc.clientID = 2 ** 32 - 1;
  const toType = (value: unknown): unknown => {
    if (Array.isArray(value)) return Y.Array.from(value.map(toType) as never[]);
    if (typeof value !== 'object' || value === null) return value;
    return new Y.Map(Object.entries(value).map(([key, inner]) => [key, toType(inner)]));
  };
  doc.getMap('notes').set('a', toType(record));
  const structs = doc.store.clients.get(doc.clientID)?.length ?? 0;
  const growth = growthOfRecord(null, record);
  expect(growth.bytes).toBeGreaterThanOrEqual(Y.encodeStateAsUpdate(doc).length);
  expect(growth.structs + 1).toBeGreaterThanOrEqual(structs);
  expect(growthOfRecord(record, record)).toEqual({ bytes: 0, structs: 0 });
  expect(growthOfRecord(record, { ...record, n: 2 })).toEqual({ bytes: 0, structs: 0 });
  expect(growthOfRecord(record, { ...record, n: 1_000 })).toEqual({ bytes: 3, structs: 0 });
  expect(growthOfRecord(record, { ...record, more: 2 })).toEqual({ bytes: 37, structs: 1 });
});

test('[S4] what a record of a JSON device frees is never more than what Yjs makes of it', () => {
  const record = { id: 'a', n: 1, list: [1, 'two', { id: 'x', deep: 'text' }], object: { a: { b: 1 } } };
  const doc = new Y.Doc();
  doc.transact(() => writeRecord(doc, 'notes' as CollectionName, 'a' as RecordId, record));
  const { bytes, structs } = new LivingSize(doc);
  const freed = growthOfDeletion(record);
  expect(-freed.bytes).toBeLessThanOrEqual(bytes);
  expect(-freed.structs).toBeLessThanOrEqual(structs);
  expect([freed.bytes < -60, freed.structs < -7]).toEqual([true, true]);
});

describe('[L8 S4] MAX_DEVICES', () => {
  const anna = 'anna' as UserId;
  const id = (n: number) => `device-${n}` as DeviceId;
  const device = (n: number, actor: string | null = null): Origin => ({
    via: 'json',
    device: id(n),
    actor,
    subscriber: null,
  });

  const HOUR = 3_600_000;

  test('at the limit all are remembered; one more, and the one that was away longest is forgotten', () => {
    const devices = new DeviceStates(anna, 3);
    for (let n = 1; n <= 3; n++) devices.disconnect(devices.connect(device(n), n, 1), n);
    expect([...(devices.take(10, 'all') ?? [])].map(([name]) => name)).toEqual([id(1), id(2), id(3)]);
    devices.disconnect(devices.connect(device(1), 20, 1), 20);
    devices.connect(device(4), 21, 1);
    const saved = [...(devices.take(30, 'all') ?? [])].map(([name, bytes]) => [name, bytes === null]);
    expect(saved).toContainEqual([id(2), true]);
    expect(saved).toContainEqual([id(4), false]);
    expect(saved).not.toContainEqual([id(1), true]);
  });

  test('[A2] the devices of the owner are not forgotten for those of a carer who makes up ids', () => {
    const devices = new DeviceStates(anna, 4);
    for (let n = 1; n <= 2; n++) devices.disconnect(devices.connect(device(n), n, 1), n);
    for (let n = 3; n <= 50; n++) {
      devices.disconnect(devices.connect(device(n, 'carer'), n, 1), n);
    }
    expect(devices.keys).toEqual([id(1), id(2), `carer!${id(49)}`, `carer!${id(50)}`]);
  });

  test('[H2] one that comes over HTTP, and waits for its turn, is not forgotten for those that come next', () => {
    const devices = new DeviceStates(anna, 3);
    for (let n = 1; n <= 3; n++) devices.overHttp(device(n), n).device.asked(1, n);
    devices.overHttp(device(4), 10); // never met before
    devices.overHttp(device(2), 11); // the one away longest of those that are left
    devices.overHttp(device(5), 12);
    expect(devices.keys).toEqual([id(2), id(4), id(5)]);
    devices.overHttp(device(6), 13);
    expect(devices.keys).toEqual([id(2), id(5), id(6)]);
  });

  test('[H1] one that only reads takes the place of one that was not there for two hours', () => {
    const devices = new DeviceStates(anna, 2);
    for (let n = 1; n <= 2; n++) devices.readOverHttp(device(n), n)?.device.asked(1, n);
    expect(devices.readOverHttp(device(3), 2 * HOUR)).toBe(null);
    expect(devices.keys).toEqual([id(1), id(2)]);
    expect(devices.readOverHttp(device(1), 2 * HOUR)).not.toBe(null);
    expect(devices.readOverHttp(device(3), 2 * HOUR + 2)).not.toBe(null);
    expect(devices.keys).toEqual([id(1), id(3)]);
  });

  test('[H1] not of one that asks every seven minutes, of which that is stored once an hour', () => {
    const MINUTE = HOUR / 60;
    let saved: ReadonlyMap<DeviceKey, Uint8Array | null> = new Map();
    const loaded = () => {
      const devices = new DeviceStates(anna, 1);
      const bytes = saved.get(devices.keyOf(device(1)));
      if (bytes) devices.learn(new Map([[devices.keyOf(device(1)), bytes]]), 1);
      return devices;
    };
    for (let minute = 0; minute <= 120; minute++) {
      const devices = loaded(); // its document is let go behind each request
      const now = minute * MINUTE;
      if (minute % 7 > 0) {
        expect(devices.has(device(1)) && devices.readOverHttp(device(2), now)).toBe(null);
        continue;
      }
      const view = devices.readOverHttp(device(1), now);
      view?.device.asked(1, now);
      view?.sent(1, now, minute === 0);
      saved = new Map([...saved, ...(devices.take(now, 'all') ?? [])]);
    }
  });

  test('[A2] [H1] or the place of one of a person who has more, until all have as many', () => {
    const devices = new DeviceStates(anna, 4);
    for (let n = 1; n <= 4; n++) devices.readOverHttp(device(n, 'carer'), n);
    for (let n = 5; n <= 8; n++) devices.readOverHttp(device(n), n);
    expect(devices.keys).toEqual([`carer!${id(3)}`, `carer!${id(4)}`, id(5), id(6)]);
    for (let n = 1; n <= 8; n++) devices.readOverHttp(device(n, n < 5 ? 'carer' : null), 10 + n);
    expect(devices.keys).toEqual([`carer!${id(3)}`, `carer!${id(4)}`, id(5), id(6)]);
  });

  test('those that are connected are never forgotten', () => {
    const devices = new DeviceStates(anna, 2);
    for (let n = 1; n <= 5; n++) devices.connect(device(n), n, 1);
    const saved = [...(devices.take(10, 'all') ?? [])];
    expect(saved.map(([, bytes]) => bytes === null)).toEqual([false, false, false, false, false]);
  });
});

test('[L4 S4] copies of what a device wrote are kept up to 8 MiB in all, the last one always', () => {
  const writes = recentWrites<{ sent: { text: string } }>();
  // What stands around a value is estimated.
  const AROUND = 64;
  const write = (size: number) => ({ sent: { text: 'x'.repeat(size - AROUND) } });
  const MIB = 2 ** 20;
  for (let n = 0; n < 8; n++) writes.set(`n${n}`, write(MIB));
  expect(writes.size).toBe(8);
  writes.set('n8', write(MIB));
  expect([...writes.keys()][0]).toBe('n1');
  writes.set('large', write(9 * MIB));
  expect([...writes.keys()]).toEqual(['large']);
  writes.delete('large');
  for (let n = 0; n < 8; n++) writes.set(`n${n}`, write(MIB));
  expect(writes.size).toBe(8);
});
