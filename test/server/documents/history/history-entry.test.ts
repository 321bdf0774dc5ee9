import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type * as Y from 'yjs';
import {
  decodeEntry,
  encodeEntry,
  type HistoryEntry,
} from '../../../../server/documents/history/history-entry.js';
import { type RecordImage, readImage, sameImage } from '../../../../server/documents/records/record-image.js';
import type { Json, JsonRecord } from '../../../../shared/json.js';
import type { CollectionName, DeviceId, RecordId } from '../../../../shared/names.js';
import { docsOf, edits } from '../../../support/edited-docs.js';
import { runs } from '../../../support/runs.js';

const AT = Date.UTC(2025, 0, 31);

function entry(part: Partial<HistoryEntry>): HistoryEntry {
  return {
    revision: 12,
    collection: 'appointments' as CollectionName,
    id: '3f0c9a52-8d1b-4b57-9a53-0d9f4f0f6a11' as RecordId,
    before: null,
    after: null,
    device: 'phone-1' as DeviceId,
    actor: null,
    via: 'yjs',
    at: AT,
    madeAt: AT,
    ...part,
  };
}

const image = (fields: { [name: string]: Json }): RecordImage => ({
  json: { id: 'x', ...fields } as JsonRecord,
  types: null,
});

/** Images as random documents have them, with types of every kind. */
const images = edits.map((made) => {
  const records = docsOf(made).flatMap((doc) => [...doc.getMap<Y.Map<unknown>>('patients').values()]);
  return [null, ...records.map((map) => readImage(map, 'x' as RecordId))];
});

const pairs = fc
  .tuple(images, images, fc.nat(), fc.nat())
  .map(([a, b, i, j]) => [a[i % a.length] ?? null, [...a, ...b][j % (a.length + b.length)] ?? null] as const);

describe('[H5] an entry', () => {
  test('leads back from any record to any other', () => {
    fc.assert(
      fc.property(pairs, ([before, after]) => {
        const stored = decodeEntry(encodeEntry(entry({ before, after })));
        expect(stored.removed).toBe(after === null);
        const back = stored.before(after);
        expect(sameImage(back, before), `${JSON.stringify(back)}\n${JSON.stringify(before)}`).toBe(true);
      }),
      { numRuns: runs(2_000) },
    );
  });

  test('says who made the change, how and when', () => {
    const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
    const mark = fc.constantFrom(undefined, true);
    const head = fc.record({
      collection: name,
      id: name,
      device: name,
      actor: fc.option(name),
      via: fc.constantFrom('yjs', 'json', 'http', 'restore'),
      at: fc.maxSafeNat(),
      untimed: mark,
      overruled: mark,
      uncertain: mark,
    });
    fc.assert(
      fc.property(head, fc.nat(), (fields, earlier) => {
        const made = { ...fields, madeAt: fields.at - Math.min(earlier, fields.at) } as Partial<HistoryEntry>;
        const { before: _, ...stored } = decodeEntry(encodeEntry(entry(made)));
        expect(stored).toEqual({ removed: true, created: true, patch: null, ...made });
      }),
    );
  });

  test('of a large record leaves nothing in the next one, and stays what it was', () => {
    const small = entry({ before: image({ a: 'x' }), after: image({ a: 'y' }) });
    const large = entry({ before: image({ notes: 'ü'.repeat(100_000) }) });
    const [first, second] = [encodeEntry(small), encodeEntry(large)];
    expect(encodeEntry(small)).toEqual(first);
    expect(decodeEntry(second).before(null)).toEqual(large.before);
  });

  test('is not made later than the server took it', () => {
    expect(decodeEntry(encodeEntry(entry({ madeAt: AT + 5 }))).madeAt).toBe(AT);
  });
});

describe('[H5] bytes', () => {
  const fields = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`field${n}`, 'x'.repeat(40)]));
  const record = (status: string) => image({ ...fields, status });
  const header = 2 + 13 + 37 + 8 + 6;

  test.each<[what: string, part: Partial<HistoryEntry>, bytes: number]>([
    ['a record that is new', { after: record('booked') }, header],
    ['one field', { before: record('booked'), after: record('done') }, header + 22],
    ['no difference', { before: record('booked'), after: record('booked') }, header + 5],
    ['a record whose author named no time', { after: record('x'), uncertain: true }, header + 1],
    ['a record made earlier, by somebody', { after: record('x'), madeAt: AT - 9, actor: 'dr' }, header + 4],
  ])('%s', (_, part, bytes) => {
    expect(encodeEntry(entry(part))).toHaveLength(bytes);
  });

  test('a record that was removed is there in full', () => {
    const before = record('booked');
    const bytes = encodeEntry(entry({ before }));
    expect(bytes.length).toBeLessThan(header + JSON.stringify(before.json).length + 20);
    expect(decodeEntry(bytes).before(null)).toEqual(before);
  });
});

describe('[H5] what can not be read is refused', () => {
  const bytes = encodeEntry(entry({ before: image({ a: 'long', b: 2 }), after: image({ a: 'x', b: 2 }) }));

  test('every entry that ends too early, and one that goes on', () => {
    for (let end = 0; end < bytes.length; end++) expect(() => decodeEntry(bytes.subarray(0, end))).toThrow();
    expect(() => decodeEntry(Uint8Array.of(...bytes, 0))).toThrow();
  });

  test('another version, unknown flags, no JSON', () => {
    for (const [index, byte] of [
      [0, 2],
      [1, 0x80],
      [bytes.length - 1, 0x20],
    ] as const) {
      expect(() => decodeEntry(bytes.with(index, byte))).toThrow();
    }
  });

  test('a record that was not the one after the change', () => {
    const stored = decodeEntry(bytes);
    expect(() => stored.before(null)).toThrow();
    const edited = decodeEntry(
      encodeEntry(entry({ before: image({ o: { a: 1, b: 1 } }), after: image({ o: { a: 2, b: 1 } }) })),
    );
    expect(() => edited.before(image({ o: 1 }))).toThrow();
    expect(() => decodeEntry(encodeEntry(entry({}))).before(image({}))).toThrow();
  });
});
