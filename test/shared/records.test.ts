import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { Json, JsonObject } from '../../shared/json.js';
import type { CollectionName, RecordId } from '../../shared/names.js';
import {
  assignRecord,
  collectionNames,
  readCollection,
  readRecord,
  readValue,
  recordMap,
  writeRecord,
} from '../../shared/records.js';
import { isSharedText } from '../../shared/rich-text.js';
import { docsOf, edits } from '../support/edited-docs.js';
import { runs } from '../support/runs.js';

const NOTES = 'notes' as CollectionName;
const N1 = 'n1' as RecordId;

/** One record of one document, with the bytes that each write makes. */
class Sheet {
  readonly doc = new Y.Doc();
  updates: Uint8Array[] = [];

  constructor(json?: JsonObject) {
    if (json !== undefined) this.write(json);
    this.doc.on('update', (update: Uint8Array) => this.updates.push(update));
  }

  get map(): Y.Map<unknown> {
    return recordMap(this.doc, NOTES, N1) as Y.Map<unknown>;
  }

  get json(): JsonObject {
    return readRecord(this.map, N1);
  }

  write(json: JsonObject): void {
    this.doc.transact(() => writeRecord(this.doc, NOTES, N1, json));
  }

  /** How many items the last write added and removed. */
  cost(): { added: number; removed: number } {
    const { structs, ds } = Y.decodeUpdate(Y.mergeUpdates(this.updates));
    const removed = [...ds.clients.values()].flat().reduce((sum, { len }) => sum + len, 0);
    return { added: structs.reduce((sum, { length }) => sum + length, 0), removed };
  }

  fork(): Sheet {
    const other = new Sheet();
    Y.applyUpdate(other.doc, Y.encodeStateAsUpdate(this.doc));
    other.updates = [];
    return other;
  }

  merge(other: Sheet): JsonObject {
    const [mine, theirs] = [Y.encodeStateAsUpdate(this.doc), Y.encodeStateAsUpdate(other.doc)];
    Y.applyUpdate(this.doc, theirs);
    Y.applyUpdate(other.doc, mine);
    expect(other.json).toEqual(this.json);
    return this.json;
  }
}

describe('[D2] types', () => {
  test('objects are Y.Map, arrays Y.Array, at every depth; the rest is stored as it is', () => {
    const { map } = new Sheet({
      o: { p: { q: [] } },
      a: [[{ x: 1 }], 'two'],
      s: 's',
      n: 1.5,
      b: false,
      z: null,
    });
    expect(map.get('o')).toBeInstanceOf(Y.Map);
    expect((map.get('o') as Y.Map<Y.Map<unknown>>).get('p')?.get('q')).toBeInstanceOf(Y.Array);
    const inner = (map.get('a') as Y.Array<Y.Array<unknown>>).get(0);
    expect([inner, inner.get(0)]).toEqual([expect.any(Y.Array), expect.any(Y.Map)]);
    expect(['s', 'n', 'b', 'z'].map((key) => map.get(key))).toEqual(['s', 1.5, false, null]);
  });

  test('whatever a native client stored reads as JSON', () => {
    const sheet = new Sheet({ text: 'x' });
    const { map } = sheet;
    map.set('rich', new Y.Text('rich text'));
    map.set('bytes', Uint8Array.of(1, 2, 255));
    map.set('big', 2n ** 60n);
    map.set('nan', Number.NaN);
    map.set('undefined', undefined);
    map.set('plain', { list: [1, { deep: new Uint8Array([0]) }] });
    map.set('xml', new Y.XmlElement('p'));
    expect(sheet.json).toEqual({
      id: 'n1',
      text: 'x',
      rich: 'rich text',
      bytes: 'AQL/',
      big: '1152921504606846976',
      nan: null,
      plain: { list: [1, { deep: 'AA==' }] },
      xml: '<p></p>',
    });
  });

  test('a plain object becomes a Y.Map only when a JSON write changes inside it', () => {
    const sheet = new Sheet({ text: 'x' });
    sheet.map.set('plain', { a: 1, b: { c: [1, 2] } });
    sheet.map.set('list', [1, { x: 1 }]);
    sheet.updates = [];
    sheet.write({ plain: { a: 1, b: { c: [1, 2] } }, list: [1, { x: 1 }], text: 'y' });
    expect([sheet.map.get('plain'), sheet.map.get('list')]).toEqual([
      { a: 1, b: { c: [1, 2] } },
      [1, { x: 1 }],
    ]);
    expect(sheet.cost()).toEqual({ added: 1, removed: 1 });
    sheet.write({ plain: { a: 2, d: 4 }, list: [1, { x: 2 }] });
    expect([sheet.map.get('plain'), sheet.map.get('list')]).toEqual([expect.any(Y.Map), expect.any(Y.Array)]);
    expect(sheet.json.plain, 'what the write did not name is kept').toEqual({ a: 2, b: { c: [1, 2] }, d: 4 });
    expect(sheet.json.list).toEqual([1, { x: 2 }]);
  });

  test('what a write does not name inside a plain value is kept, as in a shared one', () => {
    const before = { o: { p: { q: 1, r: 2 } }, list: [{ id: 'a', x: 1, y: { z: 1 } }, { x: 1, y: 1 }, 7] };
    const write = { o: { p: { q: 3 } }, list: [{ id: 'a', y: {} }, { x: 2 }, 8] };
    const [shared, plain] = [new Sheet(before), new Sheet({ id: 'n1' })];
    for (const [key, value] of Object.entries(before)) plain.map.set(key, value);
    for (const sheet of [shared, plain]) sheet.write(write);
    expect(plain.json).toEqual(shared.json);
    expect(plain.json).toEqual({
      id: 'n1',
      o: { p: { q: 3, r: 2 } },
      list: [{ id: 'a', x: 1, y: { z: 1 } }, { x: 2 }, 8],
    });
  });

  test('a string over a Y.Text is the edit between them', () => {
    const sheet = new Sheet({ id: 'n1' });
    const text = new Y.Text('take 20 mg at night');
    sheet.map.set('dose', text);
    const other = sheet.fork();
    sheet.updates = [];
    sheet.write({ dose: 'take 30 mg at night' });
    expect(sheet.map.get('dose')).toBe(text);
    expect(sheet.cost()).toEqual({ added: 1, removed: 1 });
    (other.map.get('dose') as Y.Text).insert(19, ', with water');
    expect(sheet.merge(other).dose).toBe('take 30 mg at night, with water');
  });

  test.each<[Json, string]>([
    [{ mg: 20 }, '20 mg'],
    [20, '20 mg'],
    [null, ''],
  ])('%j over a Y.Text leaves it there: %j', (json, words) => {
    const sheet = new Sheet({ id: 'n1' });
    const text = new Y.Text('20 mg');
    sheet.map.set('dose', text);
    sheet.write({ dose: json });
    expect(sheet.map.get('dose')).toBe(text);
    expect(sheet.json.dose).toBe(words);
  });

  test.each<[Json, Json]>([
    [{ a: 1 }, [1]],
    [[1], { a: 1 }],
    [{ a: 1 }, 'text'],
    ['text', { a: 1 }],
    [null, { a: 1 }],
    [{ a: 1 }, null],
    [1, '1'],
    [0, false],
  ])('%j becomes %j', (before, after) => {
    const sheet = new Sheet({ field: before });
    sheet.write({ field: after });
    expect(sheet.json.field).toEqual(after);
  });
});

describe('[D2 D3] a write is the smallest change', () => {
  const RECORD: JsonObject = {
    id: 'n1',
    text: 'x'.repeat(1_000),
    deep: { a: { b: { c: 1 }, kept: [1, 2] } },
    doses: [
      { id: 'a', mg: 20, times: ['8:00'] },
      { id: 'b', mg: 40 },
    ],
    tags: ['one', 'two', 'three'],
    pairs: [{ x: 1, y: 1 }, { x: 2 }],
  };

  test.each<[what: string, change: JsonObject, cost: { added: number; removed: number }]>([
    ['nothing that differs', RECORD, { added: 0, removed: 0 }],
    ['one field', { text: 'y' }, { added: 1, removed: 1 }],
    ['a new field', { ...RECORD, more: true }, { added: 1, removed: 0 }],
    ['one nested key', { deep: { a: { b: { c: 2 } } } }, { added: 1, removed: 1 }],
    [
      'one field of an element',
      { doses: [{ id: 'a', mg: 30, times: ['8:00'] }, { id: 'b' }] },
      { added: 1, removed: 1 },
    ],
    ['an element gone, with its fields', { doses: [{ id: 'a' }] }, { added: 0, removed: 3 }],
    ['an element before the others', { tags: ['zero', 'one', 'two', 'three'] }, { added: 1, removed: 0 }],
    ['an element gone from the middle', { tags: ['one', 'three'] }, { added: 0, removed: 1 }],
    ['inside an element without an id', { pairs: [{ x: 1, y: 2 }, { x: 2 }] }, { added: 1, removed: 1 }],
    ['a key gone from an element without an id', { pairs: [{ x: 1 }, { x: 2 }] }, { added: 0, removed: 1 }],
  ])('%s', (_, change, cost) => {
    const sheet = new Sheet(RECORD);
    sheet.write(change);
    expect(sheet.updates.length === 0 ? { added: 0, removed: 0 } : sheet.cost()).toEqual(cost);
  });

  test('what the write does not name is kept, also inside elements with an id', () => {
    const sheet = new Sheet(RECORD);
    sheet.write({ deep: { a: {} }, doses: [{ id: 'b', mg: 50 }, { id: 'a' }, { id: 'c' }] });
    expect(sheet.json.deep).toEqual(RECORD.deep);
    expect(sheet.json.doses).toHaveLength(3);
    expect(sheet.json.doses).toEqual(expect.arrayContaining([{ id: 'b', mg: 50 }, { id: 'c' }]));
  });

  test.each<[what: string, one: JsonObject, other: JsonObject, merged: JsonObject]>([
    ['different fields', { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    [
      'different keys of a nested object',
      { deep: { a: { b: { c: 9 } } } },
      { deep: { a: { kept: [1, 2, 3] } } },
      { deep: { a: { b: { c: 9 }, kept: [1, 2, 3] } } },
    ],
    [
      'different elements with an id',
      { doses: [{ id: 'a', mg: 25 }, { id: 'b' }] },
      { doses: [{ id: 'a' }, { id: 'b', mg: 45 }] },
      {
        doses: [
          { id: 'a', mg: 25, times: ['8:00'] },
          { id: 'b', mg: 45 },
        ],
      },
    ],
    [
      'an insertion and a removal',
      { tags: ['one', 'two', 'three', 'four'] },
      { tags: ['two', 'three'] },
      { tags: ['two', 'three', 'four'] },
    ],
    [
      'different fields of an element without an id',
      { pairs: [{ x: 1, y: 5 }, { x: 2 }] },
      { pairs: [{ x: 7, y: 1 }, { x: 2 }] },
      { pairs: [{ x: 7, y: 5 }, { x: 2 }] },
    ],
  ])('[D3] concurrent writes of %s both survive', (_, one, other, merged) => {
    const sheet = new Sheet(RECORD);
    const copy = sheet.fork();
    sheet.write(one);
    copy.write(other);
    expect(sheet.merge(copy)).toEqual({ ...RECORD, ...merged });
  });

  test('[D3] of two concurrent writes to one field, one wins, the same everywhere', () => {
    const sheet = new Sheet(RECORD);
    const copy = sheet.fork();
    sheet.write({ text: 'one' });
    copy.write({ text: 'other' });
    expect(['one', 'other']).toContain(sheet.merge(copy).text);
  });
});

describe('[D6 S3] records and their ids', () => {
  test('id equals the key, a number keeps its type', () => {
    const doc = new Y.Doc();
    const records = doc.getMap<unknown>('notes');
    records.set('a', new Y.Map());
    records.set('b', new Y.Map([['id', 'other']]));
    records.set('7', new Y.Map([['id', 7]]));
    records.set('8', new Y.Map([['id', '8']]));
    records.set('9', new Y.Map([['id', 8]]));
    expect(readCollection(doc, NOTES).map(({ id }) => id)).toEqual(['a', 'b', 7, '8', '9']);
  });

  test('a value that is no map is not a record; a JSON write makes one of it', () => {
    const sheet = new Sheet();
    sheet.doc.getMap('notes').set('n1', { plain: true, text: 'x', deep: { a: 1, b: 2 } });
    sheet.doc.getMap('notes').set('n2', 'text');
    expect(readCollection(sheet.doc, NOTES)).toEqual([]);
    expect(recordMap(sheet.doc, NOTES, N1)).toBeNull();
    sheet.write({ id: 'n1', text: 'y', deep: { a: 3 } });
    expect(sheet.json).toEqual({ id: 'n1', plain: true, text: 'y', deep: { a: 3, b: 2 } });
  });

  test.each([
    ['Y.Array', () => Y.Array.from([1])],
    ['Y.Text', () => new Y.Text('text')],
    ['array', () => [1]],
    ['null', () => null],
  ])('a JSON write over a %s makes a record of the write alone', (_, make) => {
    const sheet = new Sheet();
    sheet.doc.getMap('notes').set('n1', make());
    sheet.write({ id: 'n1', text: 'y' });
    expect(sheet.json).toEqual({ id: 'n1', text: 'y' });
  });

  test('reading makes no collection, and names are those that are allowed', () => {
    const doc = new Y.Doc();
    expect(recordMap(doc, NOTES, N1)).toBeNull();
    expect([...doc.share.keys()]).toEqual([]);
    for (const name of ['zeta', 'alpha', '__proto__', 'bad\u0000']) doc.getMap(name);
    expect(collectionNames(doc)).toEqual(['alpha', 'zeta']);
  });
});

describe('[D2 D3] any write over any record', () => {
  const { json: value } = fc.letrec<{ json: Json; leaf: Json; array: Json; object: Json }>((tie) => ({
    leaf: fc.oneof(
      fc.constantFrom<Json>(null, true, false, 0, 1.5, '', 'a', 'b😀'),
      fc.integer(),
      fc.string({ maxLength: 4 }),
    ),
    array: fc.array(tie('json'), { maxLength: 5 }),
    object: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('json'), {
      maxKeys: 4,
      noNullPrototype: true,
    }) as fc.Arbitrary<Json>,
    json: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('leaf'), tie('array'), tie('object')),
  }));
  /** With ids, each once in an array; a missing field of such an element is one that was not touched. */
  const withIds = fc.uniqueArray(
    fc.record(
      { id: fc.constantFrom<string | number>('x', 'y', 'z', 7, 8), v: fc.option(value) },
      { noNullPrototype: true },
    ),
    { selector: ({ id }) => String(id), maxLength: 4 },
  ) as fc.Arbitrary<Json>;
  const record = fc.dictionary(fc.constantFrom('f', 'g', 'h', 'list', 'elements'), fc.oneof(value, withIds), {
    maxKeys: 5,
    noNullPrototype: true,
  }) as fc.Arbitrary<JsonObject>;

  /** What reads back: the fields of the write, and inside objects also the keys that it did not name. */
  function expected(before: Json | undefined, after: Json): Json {
    if (isPlain(before) && isPlain(after)) {
      const keys = Object.entries(after).map(([key, field]) => [key, expected(before[key], field)] as const);
      return { ...before, ...Object.fromEntries(keys) };
    }
    if (Array.isArray(before) && Array.isArray(after)) return after;
    return after;
  }
  const isPlain = (json: Json | undefined): json is JsonObject =>
    typeof json === 'object' && json !== null && !Array.isArray(json);

  /** Keys that an element with an id kept from before are no part of the write. */
  function covers(read: Json | undefined, wanted: Json): boolean {
    if (Array.isArray(wanted)) {
      return (
        Array.isArray(read) &&
        read.length === wanted.length &&
        wanted.every((each, index) => covers(read[index], each))
      );
    }
    if (!isPlain(wanted)) return Object.is(read, wanted);
    return isPlain(read) && Object.entries(wanted).every(([key, each]) => covers(read[key], each));
  }

  test('every field of the write reads back equal; the others are as they were', () => {
    fc.assert(
      fc.property(record, record, (before, after) => {
        const sheet = new Sheet(before);
        sheet.write(after);
        const { id, ...read } = sheet.json;
        expect(id).toBe('n1');
        for (const [key, field] of Object.entries(after)) {
          expect(
            covers(read[key], expected(before[key], field)),
            `${key}: ${JSON.stringify(read[key])}`,
          ).toBe(true);
        }
        for (const key of Object.keys(before)) {
          if (!Object.hasOwn(after, key)) expect(read[key]).toEqual(before[key]);
        }
        expect(Object.keys(read).sort()).toEqual(
          [...new Set([...Object.keys(before), ...Object.keys(after)])].sort(),
        );
        const reloaded = sheet.fork();
        expect(reloaded.json).toEqual(sheet.json);
        sheet.updates = [];
        sheet.write(after);
        expect(sheet.updates, 'a second time it is no change').toEqual([]);
      }),
      { numRuns: runs(1_000) },
    );
  });

  test('the same over what a native client stored as one value, or as Y.Text', () => {
    fc.assert(
      fc.property(record, record, fc.string(), (before, after, text) => {
        const sheet = new Sheet({ id: 'n1' });
        for (const [key, field] of Object.entries(before)) sheet.map.set(key, field);
        sheet.map.set('g', new Y.Text(text));
        sheet.write(after);
        for (const [key, field] of Object.entries(after)) {
          const isOther = key === 'g' && typeof field !== 'string';
          const wanted = isOther ? (field === null ? '' : text) : expected(before[key], field);
          expect(covers(readValue(sheet.map.get(key)), wanted), key).toBe(true);
        }
      }),
      { numRuns: runs(500) },
    );
  });

  const withoutId = ({ id: _, ...fields }: JsonObject): JsonObject => fields;

  /** Afterwards the record is `json`, and to write it once more is no change. */
  function expectExact(map: Y.Map<unknown>, json: JsonObject): void {
    const doc = map.doc as Y.Doc;
    const id = map.get('id');
    const assign = () => doc.transact(() => assignRecord(map, json));
    assign();
    expect(withoutId(readRecord(map, N1))).toEqual(withoutId(json));
    expect(map.get('id')).toBe(id);
    let updates = 0;
    doc.on('update', () => updates++);
    assign();
    expect(updates, 'a second time it is no change').toBe(0);
  }

  test('assigned, the record is exactly that, at every depth', () => {
    fc.assert(
      fc.property(record, record, fc.boolean(), (before, after, plain) => {
        const sheet = new Sheet({ id: 'n1', ...(plain ? {} : before) });
        if (plain) for (const [key, field] of Object.entries(before)) sheet.map.set(key, field);
        expectExact(sheet.map, after);
      }),
      { numRuns: runs(1_000) },
    );
  });

  /** They are not replaced, so they are left as they are; see rich-text.test.ts. */
  const textsIn = (map: Y.Map<unknown>): JsonObject =>
    Object.fromEntries(
      [...map.entries()].flatMap(([key, value]) => (isSharedText(value) ? [[key, readValue(value)]] : [])),
    );

  test('assigned over whatever native devices made, or what another one has', () => {
    fc.assert(
      fc.property(edits, record, (made, after) => {
        const maps = docsOf(made).flatMap((doc) => [...doc.getMap<Y.Map<unknown>>('patients').values()]);
        const others = maps.map((map) => readRecord(map, N1));
        maps.forEach((map, index) => {
          let updates = 0;
          map.doc?.on('update', () => updates++);
          map.doc?.transact(() => assignRecord(map, readRecord(map, N1)));
          expect(updates, 'what it has is no change').toBe(0);
          expectExact(map, { ...(others[index - 1] ?? after), ...textsIn(map) });
          expectExact(map, { ...after, ...textsIn(map) });
        });
      }),
      { numRuns: runs(500) },
    );
  });

  test('assigned, elements with an id lose what the write lacks, and stay the same elements', () => {
    const sheet = new Sheet({
      id: 'n1',
      list: [{ id: 'a', x: 1, deep: [{ id: 'b', y: 1, z: 2 }] }],
      gone: 1,
    });
    const element = (sheet.map.get('list') as Y.Array<unknown>).get(0);
    expectExact(sheet.map, { id: 'other', list: [{ id: 'a', deep: [{ id: 'b', z: 2 }] }] });
    expect((sheet.map.get('list') as Y.Array<unknown>).get(0)).toBe(element);
    expect(sheet.json.id).toBe('n1');
  });

  test('a string over a text in which something is embedded becomes its characters', () => {
    const sheet = new Sheet({ id: 'n1' });
    const text = new Y.Text('ab');
    sheet.map.set('text', text);
    text.insertEmbed(1, { image: 1 });
    sheet.write({ text: 'abX' });
    expect(sheet.json.text).toBe('abX');
    sheet.write({ text: 'aYX' });
    expect(sheet.json.text).toBe('aYX');
    expect(text.toDelta()).toEqual([{ insert: 'a' }, { insert: { image: 1 } }, { insert: 'YX' }]);
  });

  test('another string over formatted XML text changes its words', () => {
    const sheet = new Sheet({ id: 'n1' });
    const text = new Y.XmlText('bold');
    sheet.map.set('text', text);
    text.format(0, 4, { b: {} });
    sheet.write({ text: '<b>bold</b>' });
    sheet.write({ text: '<b>bolder</b>' });
    expect(sheet.map.get('text')).toBe(text);
    expect(text.toDelta()).toEqual([{ insert: 'bolder', attributes: { b: {} } }]);
  });
});
