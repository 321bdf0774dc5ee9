/** A plain edit passes by the check: it comes to what the check and the union would have made of it. */

import fc from 'fast-check';
import * as encoding from 'lib0/encoding';
import { describe, expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import type { Admitted } from '../../../../server/documents/intake/admission.js';
import { readPlainEdit } from '../../../../server/documents/intake/plain-edit.js';
import { Replica } from '../../../../server/documents/replica.js';
import { erasableOf, Tombstone } from '../../../../server/documents/tombstone.js';
import { SyncError } from '../../../../server/errors.js';
import { editArbitrary, editNative } from '../../../support/random-edits.js';
import { client, options } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

const { writes } = options.ids(null);
const REFUSED = ['MALFORMED_UPDATE', 'MALFORMED_UPDATE'];
/** Of an update that deletes from one client, of a small id: how many clients, its id, a count, a clock and a length. */
const DELETIONS_OF_ONE = 5;
const isPlain = (replica: Replica, update: Uint8Array) => readPlainEdit(replica.doc, update, 8) !== null;

/** The same document twice: what was erased before, though nothing was in it, has every update checked. */
function twins(): { short: Replica; long: Replica } {
  const erased = erasableOf({ noted: null, devices: [], former: { tombstone: null, epoch: null } });
  const tombstone = Tombstone.of(erased, 0).encode();
  const replica = (erased: Uint8Array | null) =>
    new Replica({ updates: [], memory: null, tombstone: erased }, options);
  return { short: replica(null), long: replica(tombstone) };
}

/** What a replica makes of an update: its code where it is refused. */
function take(replica: Replica, update: Uint8Array, madeAt: number | null) {
  try {
    const admission = replica.check(update);
    if (admission.kind === 'missing' || admission.kind === 'empty') return admission;
    const { plain: _, ...admitted }: Admitted = admission;
    return { ...admitted, ...replica.apply(admission, { saw: null, madeAt }) };
  } catch (error) {
    if (error instanceof SyncError) return error.code;
    throw error;
  }
}

/** A device, and its updates that have not arrived yet. */
function device(clientID: number): { doc: Y.Doc; made: Uint8Array[] } {
  const made: Uint8Array[] = [];
  const doc = client(clientID);
  doc.on('update', (update: Uint8Array, origin: unknown) => {
    if (origin !== 'server') made.push(update);
  });
  return { doc, made };
}

const step = fc.record({
  edit: editArbitrary,
  device: fc.nat(1),
  again: fc.nat(4),
  /** Then the device gets what the server has. */
  meets: fc.boolean(),
  /** So many updates of the device arrive. */
  arrive: fc.nat(3),
  times: fc.constantFrom(null, 500, 900),
});

test('[D3] [D4] [H5] what a plain edit comes to is what an update that was checked comes to', () => {
  let plain = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const { short, long } = twins();
      const devices = [device(11), device(12)];
      for (const [index, { edit, device: at, again, meets, arrive, times }] of steps.entries()) {
        const { doc, made } = devices[at] as (typeof devices)[number];
        for (let n = 0; n <= again; n++) editNative(doc, edit, `${index}.${n}`);
        for (const update of made.splice(0, arrive)) {
          if (isPlain(short, update)) plain++;
          expect(take(short, update, times)).toEqual(take(long, update, times));
        }
        if (meets) Y.applyUpdate(doc, Y.encodeStateAsUpdate(short.doc), 'server');
      }
      expect(Y.encodeStateAsUpdate(short.doc)).toEqual(Y.encodeStateAsUpdate(long.doc));
      expect(short.memory()).toEqual(long.memory());
      expect(short.images.collections()).toEqual(long.images.collections());
    }),
    // Also where tests are short: fewer may have no plain edit among them.
    { numRuns: Math.max(60, runs(60)), endOnFailure: true },
  );
  expect(plain).toBeGreaterThan(0);
});

/** A record with two fields at both replicas, and the plain edit of both that comes next. */
function withEdit(clientID = 11) {
  const { short, long } = twins();
  const { doc, made } = device(clientID);
  const record = doc.getMap<Y.Map<unknown>>('notes').set('x', new Y.Map());
  for (const value of ['a', 'b']) {
    doc.transact(() => {
      record.set('one', value);
      record.set('two', 2.5);
    });
  }
  const last = made.pop() as Uint8Array;
  for (const replica of [short, long]) for (const update of made) take(replica, update, null);
  return { short, long, last, doc, record };
}

describe('[S1] what is not quite a plain edit is checked', () => {
  test('a plain edit of two fields is one, and is applied', () => {
    const { short, last } = withEdit();
    expect(isPlain(short, last)).toBe(true);
    expect(take(short, last, null)).toMatchObject({ isAllNew: true, update: last });
  });

  test('it is put in without a transaction of Yjs, and comes to the same bytes and records', () => {
    const { short, long, last } = withEdit();
    const [quiet, told] = [vi.spyOn(short.doc, 'emit'), vi.spyOn(long.doc, 'emit')];
    for (const replica of [short, long]) take(replica, last, null);
    expect(quiet).not.toHaveBeenCalled();
    expect(told).toHaveBeenCalled();
    expect(Y.encodeStateAsUpdate(short.doc)).toEqual(Y.encodeStateAsUpdate(long.doc));
    expect(short.images.collections()).toEqual(long.images.collections());
  });

  test.each(['update', 'updateV2', 'beforeTransaction', 'afterTransactionCleanup'] as const)(
    'by a transaction where somebody listens to %s',
    (name) => {
      const { short, last } = withEdit();
      const heard = vi.fn();
      short.doc.on(name, heard);
      take(short, last, null);
      expect(heard).toHaveBeenCalledTimes(1);
    },
  );

  test('one that was damaged is refused as it is when it is checked', () => {
    const change = fc.record({ at: fc.nat(), byte: fc.nat(255), kind: fc.constantFrom('set', 'cut', 'add') });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
        const { short, long, last } = withEdit();
        const bytes = [...last];
        for (const { at, byte, kind } of changes) {
          const place = at % bytes.length;
          if (kind === 'set') bytes[place] = byte;
          else bytes.splice(place, kind === 'cut' ? 1 : 0, ...(kind === 'cut' ? [] : [byte]));
        }
        const update = Uint8Array.from(bytes);
        expect(take(short, update, null)).toEqual(take(long, update, null));
      }),
      { numRuns: runs(500), endOnFailure: true },
    );
  });

  test('one that comes under an id of the server is refused', () => {
    const { short, last } = withEdit(writes);
    expect(take(short, last, null)).toBe('MALFORMED_UPDATE');
  });

  test('one with more fields than an update may have structs is refused', () => {
    const { doc, record } = withEdit();
    const few = new Replica(
      { updates: [Y.encodeStateAsUpdate(doc)], memory: null },
      { ...options, maxStructs: 1 },
    );
    let made = new Uint8Array();
    doc.on('update', (update: Uint8Array) => {
      made = update as typeof made;
    });
    record.set('one', 'c');
    expect(take(few, made, null)).toMatchObject({ kind: 'cheap' });
    doc.transact(() => {
      record.set('one', 'd');
      record.set('two', 3.5);
    });
    expect(take(few, made, null)).toBe('UPDATE_TOO_COSTLY');
  });

  test('one that meets a value which its author had not seen, one that comes twice, and one that came too early', () => {
    const { short, long, last } = withEdit();
    const other = device(12);
    Y.applyUpdate(other.doc, Y.encodeStateAsUpdate(short.doc), 'server');
    const theirs = other.doc.getMap('notes').get('x') as Y.Map<unknown>;
    for (const value of ['theirs', 'theirs, too']) theirs.set('one', value);
    const [first, second] = other.made as [Uint8Array, Uint8Array];
    const plain: boolean[] = [];
    for (const update of [second, first, second, last, last]) {
      plain.push(isPlain(short, update));
      expect(take(short, update, null)).toEqual(take(long, update, null));
    }
    // The first one is by a client that the document does not know.
    expect(plain).toEqual([false, false, true, false, false]);
  });

  test('one whose deletions end with a client without any is refused', () => {
    const { short, long, last } = withEdit(5);
    const update = Uint8Array.from([...last, 5, 0]);
    update[last.length - DELETIONS_OF_ONE] = 2;
    expect(isPlain(short, update)).toBe(false);
    expect([take(short, update, null), take(long, update, null)]).toEqual(REFUSED);
  });

  test('one whose clocks go beyond what a client may have is refused', () => {
    const { short, long } = withEdit();
    const most = 2 ** 48;
    // A collected run may be as long as its author says.
    const gone = encoding.encode((encoder) => {
      for (const number of [1, 1, 5, 0]) encoding.writeVarUint(encoder, number);
      encoding.writeUint8(encoder, 0);
      for (const number of [most - 1, 0]) encoding.writeVarUint(encoder, number);
    });
    for (const replica of [short, long]) expect(take(replica, gone, null)).toMatchObject({ kind: 'cheap' });
    const far = device(7);
    Y.applyUpdate(far.doc, Y.encodeStateAsUpdate(short.doc), 'server');
    far.doc.clientID = 5;
    const theirs = far.doc.getMap('notes').get('x') as Y.Map<unknown>;
    for (const value of ['last', 'too far']) theirs.set('one', value);
    const [first, second] = far.made as [Uint8Array, Uint8Array];
    for (const replica of [short, long]) expect(take(replica, first, null)).toMatchObject({ kind: 'cheap' });
    expect([take(short, second, null), take(long, second, null)]).toEqual(REFUSED);
  });
});

test('who follows the transactions of a document hears of a plain edit, too', () => {
  const { short, long, last } = withEdit();
  const heard: Y.Transaction[] = [];
  short.doc.on('afterTransaction', (transaction: Y.Transaction) => heard.push(transaction));
  expect(take(short, last, null)).toEqual(take(long, last, null));
  expect(heard).toHaveLength(1);
  expect(heard[0]?.deleteSet.clients.get(11)).toMatchObject([{ len: 2 }]);
});

/** Plain values, and some that are none, as they are encoded. */
const VALUES: readonly (readonly number[])[] = [
  [126],
  [121],
  [120],
  [127],
  [125, 65],
  [125, 255, 1],
  [124, 63, 128, 0, 0],
  [123, 127, 248, 0, 0, 0, 0, 0, 0],
  [122, 0, 0, 0, 0, 0, 0, 0, 1],
  [119, 2, 104, 105],
  [119, 1, 200],
  [119, 3, 237, 160, 128],
  [117, 1, 126],
  [118, 1, 1, 97, 126],
  [116, 1, 9],
  [0],
];

/** One of what a document has, by a number; now and then what it has not. */
type Pick = (doc: Y.Doc) => Y.ID;
const pick = fc.record({ at: fc.nat(), shift: fc.constantFrom(0, 0, 0, 0, 0, 1, 40) }).map(
  ({ at, shift }): Pick =>
    (doc) => {
      const ids = [...doc.store.clients.values()].flatMap((structs) => structs.map(({ id }) => id));
      const { client, clock } = ids[at % ids.length] as Y.ID;
      return Y.createID(client, clock + shift);
    },
);

const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

const forgery = fc.record({
  clients: mostly(1, 0, 2),
  author: fc.nat(),
  gap: mostly(0, -1, 1, 2 ** 47),
  structs: fc.array(
    fc.record({
      info: mostly(0xa8, 0x88, 0x28, 0xe8, 0xa4, 0xa1, 0xaa, 0),
      over: fc.oneof(
        { weight: 12, arbitrary: fc.constant<Pick | null>(null) },
        { weight: 1, arbitrary: pick },
      ),
      field: fc.nat(),
      values: mostly(1, 0, 2),
      value: fc.constantFrom(...VALUES),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  deletes: mostly('just these', 'one less', 'one more', 'one twice', 'none', 'longer'),
  also: pick,
  rest: mostly([], [0], [3, 0]),
});
type Forgery = typeof forgery extends fc.Arbitrary<infer T> ? T : never;

/** Last values of fields, of records and of what is in them. */
function fieldsOf(doc: Y.Doc): Y.ID[] {
  const lasts: Y.ID[] = [];
  for (const structs of doc.store.clients.values()) {
    for (const struct of structs) {
      if (!(struct instanceof Y.Item) || struct.parentSub === null || struct.right !== null) continue;
      if ((struct.parent as Y.Map<unknown>)._item !== null && !struct.deleted) lasts.push(struct.id);
    }
  }
  return lasts;
}

/** What a hostile author makes of a plain edit; where it changes nothing of it, one is what comes out. */
function forged(doc: Y.Doc, { clients, author, gap, structs, deletes, also, rest }: Forgery): Uint8Array {
  const fields = fieldsOf(doc);
  const authors = [...doc.store.clients.keys()];
  const client = authors[author % authors.length] as number;
  const over = structs.map(
    ({ over, field }) => over?.(doc) ?? fields[field % fields.length] ?? Y.createID(client, 0),
  );
  const gone = over.map((id) => ({ id, length: deletes === 'longer' ? 2 : 1 }));
  if (deletes === 'one less' || deletes === 'none') gone.splice(0, deletes === 'none' ? gone.length : 1);
  if (deletes === 'one twice') gone.push(...gone.slice(0, 1));
  if (deletes === 'one more') gone.push({ id: also(doc), length: 1 });
  return encoding.encode((encoder) => {
    const numbers = (...all: number[]) => {
      for (const number of all) encoding.writeVarUint(encoder, number);
    };
    numbers(clients, structs.length, client, Math.max(0, Y.getState(doc.store, client) + gap));
    for (const [index, { info, values, value }] of structs.entries()) {
      const { client, clock } = over[index] as Y.ID;
      encoding.writeUint8(encoder, info);
      numbers(client, clock, values);
      for (let left = values; left > 0; left--) encoding.writeUint8Array(encoder, Uint8Array.from(value));
    }
    const by = new Map<number, typeof gone>();
    for (const each of gone) by.set(each.id.client, [...(by.get(each.id.client) ?? []), each]);
    numbers(by.size + (rest.length > 1 ? 1 : 0));
    for (const [client, all] of by) {
      numbers(client, all.length);
      for (const { id, length } of all) numbers(id.clock, length);
    }
    encoding.writeUint8Array(encoder, Uint8Array.from(rest));
  });
}

test('[S1] [D3] [D4] what a hostile author makes of plain edits is taken, or refused, as it is when it is checked', () => {
  let plain = 0;
  const made = fc.record({ edit: editArbitrary, device: fc.nat(1), meets: fc.boolean(), forgery });
  fc.assert(
    fc.property(fc.array(made, { minLength: 5, maxLength: 30, size: 'max' }), (steps) => {
      const { short, long } = twins();
      const devices = [device(11), device(12)];
      for (const [index, { edit, device: at, meets, forgery: each }] of steps.entries()) {
        const { doc, made } = devices[at] as (typeof devices)[number];
        editNative(doc, edit, `${index}`);
        const updates = meets ? made.splice(0) : [];
        if (short.doc.store.clients.size > 0) updates.push(forged(short.doc, each));
        for (const update of updates) {
          if (isPlainOrRefused(short, update)) plain++;
          const [one, other] = [take(short, update, 500), take(long, update, 500)];
          expect(one).toEqual(other);
        }
        // A device whose id a forger took would draw another one.
        doc.clientID = 1;
        if (meets) Y.applyUpdate(doc, Y.encodeStateAsUpdate(short.doc), 'server');
        doc.clientID = 11 + at;
      }
      expect(Y.encodeStateAsUpdate(short.doc)).toEqual(Y.encodeStateAsUpdate(long.doc));
      expect(short.memory()).toEqual(long.memory());
      expect(short.images.collections()).toEqual(long.images.collections());
    }),
    // Also where tests are short: fewer may have no plain edit among them.
    { numRuns: Math.max(60, runs(60)), endOnFailure: true },
  );
  expect(plain).toBeGreaterThan(20);
});

function isPlainOrRefused(replica: Replica, update: Uint8Array): boolean {
  try {
    return isPlain(replica, update);
  } catch {
    return false;
  }
}
