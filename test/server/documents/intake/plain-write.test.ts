/** A plain write of a JSON device needs no transaction: it comes to what Yjs would have made of it, to the byte. */

import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import * as Y from 'yjs';
import { type PlainWrite, plainWrite } from '../../../../server/documents/intake/plain-write.js';
import { Replica } from '../../../../server/documents/replica.js';
import { erasableOf, Tombstone } from '../../../../server/documents/tombstone.js';
import type { Json, JsonObject } from '../../../../shared/json.js';
import type { CollectionName, RecordId } from '../../../../shared/names.js';
import { assignRecord, recordMap } from '../../../../shared/records.js';
import { editArbitrary, editNative } from '../../../support/random-edits.js';
import { admitted, client, options } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

interface Twins {
  readonly short: Replica;
  readonly long: Replica;
}

/** The same document twice: where something was erased before, everything is written in a transaction. */
function twins(): Twins {
  const erased = erasableOf({ noted: null, devices: [], former: { tombstone: null, epoch: null } });
  const tombstone = Tombstone.of(erased, 0).encode();
  const replica = (erased: Uint8Array | null) =>
    new Replica({ updates: [], memory: null, tombstone: erased }, options);
  return { short: replica(null), long: replica(tombstone) };
}

interface Target {
  readonly collection: string;
  readonly id: string;
}

const keyOf = ({ collection, id }: Target) => ({
  collection: collection as CollectionName,
  id: id as RecordId,
});

/** Writes a record as it should be at both; returns what of it was a plain write, and what came of it. */
function write({ short, long }: Twins, target: Target, change: (record: JsonObject) => JsonObject) {
  const key = keyOf(target);
  const known = short.images.get(key)?.json;
  const map = recordMap(short.doc, key.collection, key.id);
  if (known === undefined || map === null) return null;
  const json = change(known);
  const assign = (doc: Y.Doc) =>
    assignRecord(recordMap(doc, key.collection, key.id) as Y.Map<unknown>, json, known);
  const plain = plainWrite(map, json, known);
  const written = short.write(assign, plain);
  return { plain, written, expected: long.write(assign, plain) };
}

const bytesOf = (update: Uint8Array | null) => update && [...update];

function mustBeAlike({ short, long }: Twins): void {
  expect(Y.encodeStateAsUpdate(short.doc)).toEqual(Y.encodeStateAsUpdate(long.doc));
  expect(short.memory()).toEqual(long.memory());
  expect(short.images.collections()).toEqual(long.images.collections());
}

const value: fc.Arbitrary<Json> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.oneof(fc.string({ unit: 'grapheme' }), fc.double({ noNaN: true }), fc.integer()),
  },
  fc.constantFrom<Json>(true, false, null, -0, '', [], {}, { field0: 1 }, ['a'], 'x'.repeat(300)),
);

const step = fc.record({
  edit: editArbitrary,
  /** Whether the native device edits, or a JSON device writes. */
  isNative: fc.boolean(),
  fields: fc.dictionary(fc.constantFrom('field0', 'field1', 'field2', 'fresh', 'dose'), value, {
    maxKeys: 3,
  }),
  without: fc.option(fc.constantFrom('field0', 'items', 'dose', 'plain', 'text'), { freq: 6 }),
});

test('[L2] [H5] what a plain write comes to is what a transaction comes to', () => {
  let plain = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40, size: 'max' }), (steps) => {
      const both = twins();
      const native = client(11);
      for (const [index, { edit, isNative, fields, without }] of steps.entries()) {
        if (isNative) {
          const before = Y.encodeStateVector(native);
          editNative(native, edit, `${index}`);
          const update = Y.encodeStateAsUpdate(native, before);
          for (const replica of [both.short, both.long])
            replica.apply(admitted(replica, update), { saw: null });
        } else {
          const made = write(both, edit, (record) => {
            const { [without ?? '']: _, ...kept } = record;
            return { ...kept, ...fields, id: record.id as Json };
          });
          if (made === null) continue;
          if (made.plain !== null) plain++;
          const { written, expected } = made;
          expect(bytesOf(written.update)).toEqual(bytesOf(expected.update));
          expect(bytesOf(written.made)).toEqual(bytesOf(expected.made));
          expect(written.records).toEqual(expected.records);
          Y.applyUpdate(native, Y.encodeStateAsUpdate(both.short.doc), 'server');
        }
      }
      mustBeAlike(both);
    }),
    { numRuns: Math.max(60, runs(60)), endOnFailure: true },
  );
  expect(plain).toBeGreaterThan(0);
});

/** A record of two plain fields and an object, made by a native device. */
function withRecord(): Twins {
  const both = twins();
  const doc = client(11);
  const fields: [string, unknown][] = [
    ['one', 'a'],
    ['two', 2],
    ['dose', new Y.Map([['am', 1]])],
  ];
  doc.getMap('notes').set('x', new Y.Map(fields));
  for (const replica of [both.short, both.long]) {
    replica.apply(admitted(replica, Y.encodeStateAsUpdate(doc)), { saw: null });
  }
  return both;
}

const X = { collection: 'notes', id: 'x' };

test('[L2] two fields are written without a transaction, and a value that is alike is not written', () => {
  const both = withRecord();
  const quiet = vi.spyOn(both.short.doc, 'emit');
  const made = write(both, X, (record) => ({ ...record, one: 'b', two: 3, dose: { am: 1 } }));
  expect(made?.plain?.values).toEqual(['b', 3]);
  expect(quiet).not.toHaveBeenCalled();
  expect(bytesOf(made?.written.update ?? null)).toEqual(bytesOf(made?.expected.update ?? null));
  mustBeAlike(both);
});

test.each([
  ['a new field', (record: JsonObject) => ({ ...record, three: 1 })],
  ['a field that goes', ({ two: _, ...record }: JsonObject) => record],
  ['a field inside an object', (record: JsonObject) => ({ ...record, dose: { am: 2 } })],
  ['a plain value in the place of an object', (record: JsonObject) => ({ ...record, dose: 'none' })],
  ['an object in the place of a plain value', (record: JsonObject) => ({ ...record, one: { am: 1 } })],
  ['nothing', (record: JsonObject) => ({ ...record })],
])('[L2] %s is no plain write', (_, change) => {
  const both = withRecord();
  expect(write(both, X, change)).toMatchObject({ plain: null });
  mustBeAlike(both);
});

test('where somebody follows the transactions of the document, there is one', () => {
  const both = withRecord();
  const heard = vi.fn();
  both.short.doc.on('afterTransaction', heard);
  const made = write(both, X, (record) => ({ ...record, one: 'b' }));
  expect(made?.plain).toMatchObject({ values: ['b'] } satisfies Partial<PlainWrite>);
  expect(heard).toHaveBeenCalledTimes(1);
  mustBeAlike(both);
});
