/** A plain edit passes by the check: it comes to what the check and the union would have made of it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Admitted } from '../../../../server/documents/intake/admission.js';
import { plainAuthor } from '../../../../server/documents/intake/plain-edit.js';
import { Replica } from '../../../../server/documents/replica.js';
import { Tombstone } from '../../../../server/documents/tombstone.js';
import { SyncError } from '../../../../server/errors.js';
import { editArbitrary, editNative } from '../../../support/random-edits.js';
import { client, options } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

const { writes } = options.ids(null);
const isPlain = (replica: Replica, update: Uint8Array) => plainAuthor(replica.doc, update, 8) !== null;

/** The same document twice: what was erased before, though nothing was in it, has every update checked. */
function twins(): { short: Replica; long: Replica } {
  const tombstone = Tombstone.of(null, 0).encode();
  const replica = (erased: Uint8Array | null) =>
    new Replica({ updates: [], memory: null, tombstone: erased }, options);
  return { short: replica(null), long: replica(tombstone) };
}

/** What a replica makes of an update: its code where it is refused. */
function take(replica: Replica, update: Uint8Array, madeAt: number | null) {
  try {
    const admission = replica.check(update);
    if (admission.kind === 'missing' || admission.kind === 'empty') return admission;
    const { isPlain: _, ...admitted }: Admitted = admission;
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
    { numRuns: runs(60), endOnFailure: true },
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
});
