import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { elementId } from '../../../shared/elements.js';
import type { Json, JsonObject } from '../../../shared/json.js';
import { mergeWrite, type Path, type WriteToMerge } from '../../../shared/merge/merge.js';
import { runs } from '../../support/runs.js';

const KEYS = ['a', 'b', 'c', 'id2', 'toString'];

/** Small and alike, so that values meet: few keys, few ids, few leaves. */
const { record, idArray } = fc.letrec<{
  value: Json;
  record: JsonObject;
  idArray: Json[];
  array: Json[];
}>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.constantFrom<Json>(0, 1, 'x', 'y z', 'y z w', '', true, null),
    tie('record'),
    tie('array'),
    tie('idArray'),
  ),
  record: fc.dictionary(fc.constantFrom(...KEYS), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  array: fc.array(tie('value'), { maxLength: 5 }),
  idArray: fc
    .uniqueArray(fc.constantFrom('m1', 'm2', 'm3', 'm4'), { maxLength: 4 })
    .chain((ids) => fc.tuple(...ids.map((id) => tie('record').map((fields): Json => ({ ...fields, id }))))),
}));

const RUNS = { numRuns: runs(500), seed: 7 };

const writeOf = (more: Partial<WriteToMerge>): WriteToMerge => ({
  seen: [],
  incoming: {},
  current: {},
  deletion: null,
  madeAt: null,
  changedAt: () => 0,
  knows: () => true,
  isText: () => false,
  isMarkup: () => false,
  ...more,
});

/** A write of which anything may be so. */
const anyWrite: fc.Arbitrary<WriteToMerge> = fc
  .record({
    seen: fc.array(fc.option(record, { freq: 5 }), { maxLength: 3 }),
    incoming: record,
    current: fc.option(record, { freq: 9 }),
    deletion: fc.option(fc.record({ at: fc.constantFrom(1, 2, 3), unseen: fc.boolean() })),
    madeAt: fc.option(fc.constantFrom(1, 2, 3)),
    answer: fc.func(fc.constantFrom(1, 2, 3)),
    known: fc.func(fc.boolean()),
    text: fc.boolean(),
    markup: fc.boolean(),
  })
  .map(({ answer, known, text, markup, ...write }) => ({
    ...write,
    changedAt: (path: Path) => answer(JSON.stringify(path)),
    knows: (path: Path) => known(JSON.stringify(path)),
    isText: () => text,
    isMarkup: () => text && markup,
  }));

function frozen<T extends Json | readonly (Json | null)[]>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) frozen(part);
    Object.freeze(value);
  }
  return value;
}

function* partsOf(value: Json): Generator<Json> {
  yield value;
  if (typeof value === 'object' && value !== null)
    for (const part of Object.values(value)) yield* partsOf(part);
}

const leavesOf = (...values: (Json | null)[]): Set<Json> =>
  new Set(values.flatMap((value) => [...partsOf(value)].filter((part) => typeof part !== 'object' || !part)));

const idsOf = (array: readonly Json[]): string[] => array.map(elementId).filter((id) => id !== null);

const isOnce = (ids: readonly string[]): boolean => new Set(ids).size === ids.length;

describe('properties of a merge', () => {
  test('[L6] what the device had seen and sends back changes nothing', () => {
    const property = fc.property(record, record, fc.boolean(), (seen, current, knows) => {
      const write = writeOf({ seen: [seen], incoming: structuredClone(seen), current, knows: () => knows });
      expect(mergeWrite(write)).toBe(current);
    });
    fc.assert(property, RUNS);
  });

  test('[L6] where nobody else changed anything, the record is what the device sent', () => {
    const property = fc.property(record, record, fc.boolean(), (seen, incoming, text) => {
      const isText = (path: Path) => text && path.length === 1;
      // What it takes away of a shared text are the words.
      const texts = Object.keys(seen).filter((key) => text && typeof seen[key] === 'string');
      const sent = (key: string) => (Object.hasOwn(incoming, key) ? incoming[key] : null);
      const emptied = texts.filter((key) => sent(key) === null).map((key) => [key, '']);
      const expected = { ...incoming, ...Object.fromEntries(emptied) };
      const write = writeOf({ seen: [seen], incoming, current: structuredClone(seen), isText });
      expect(mergeWrite(write)).toEqual(expected);
    });
    fc.assert(property, RUNS);
  });

  test('[L6–L8] what the record is already changes nothing', () => {
    const property = fc.property(anyWrite, record, (write, current) => {
      expect(mergeWrite({ ...write, current, incoming: structuredClone(current) })).toBe(current);
    });
    fc.assert(property, RUNS);
  });

  test('[L6–L8] nothing throws, nothing that came in is changed, what did not change is the very object', () => {
    const property = fc.property(anyWrite, (write) => {
      frozen([...write.seen, write.incoming, write.current]);
      const merged = mergeWrite(write);
      const isSame = JSON.stringify(merged) === JSON.stringify(write.current);
      if (isSame) expect(merged).toBe(write.current);
    });
    fc.assert(property, RUNS);
  });

  test('[L6–L8 D3] one id is one element, in every array', () => {
    const property = fc.property(anyWrite, (write) => {
      const arrays = [...partsOf(mergeWrite(write))].filter((part) => Array.isArray(part));
      for (const array of arrays) expect(isOnce(idsOf(array))).toBe(true);
    });
    fc.assert(property, RUNS);
  });

  test('[L6–L8] no value that nobody sent and that was not there', () => {
    const property = fc.property(anyWrite, ({ isText: _, ...write }) => {
      const meant = leavesOf(write.incoming, write.current);
      const merged = leavesOf(mergeWrite({ ...write, isText: () => false }));
      expect([...merged].filter((leaf) => !meant.has(leaf))).toEqual([]);
    });
    fc.assert(property, RUNS);
  });

  test('[L8] where nothing is known of what was seen, no field and no element goes', () => {
    const property = fc.property(
      record,
      idArray,
      idArray,
      fc.option(fc.constantFrom(-1, 1)),
      (more, i, c, madeAt) => {
        const current: JsonObject = { ...more, list: c };
        const merged = mergeWrite(writeOf({ incoming: { list: i }, current, madeAt }));
        expect(Object.keys(merged ?? {})).toEqual(Object.keys(current));
        expect(idsOf((merged?.list ?? []) as Json[]).slice(0, c.length)).toEqual(idsOf(c));
      },
    );
    fc.assert(property, RUNS);
  });

  test('[L6] of values that all differ, exactly those that a side removed are gone and those that one added are there', () => {
    const values = fc.uniqueArray(fc.integer({ min: 0, max: 12 }), { maxLength: 8 });
    const property = fc.property(values, values, values, (seen, incoming, current) => {
      const write = writeOf({ seen: [{ f: seen }], incoming: { f: incoming }, current: { f: current } });
      const stays = seen.filter((value) => incoming.includes(value) && current.includes(value));
      const came = [...current, ...incoming].filter((value) => !seen.includes(value));
      const wanted = [...new Set([...stays, ...came])].sort((a, b) => a - b);
      const merged = mergeWrite(write)?.f as number[];
      expect([...merged].sort((a, b) => a - b)).toEqual(wanted);
    });
    fc.assert(property, RUNS);
  });

  test('[L6 D2] words of a shared text that all differ: none is lost that no side removed, none is made up', () => {
    const words = fc.uniqueArray(fc.constantFrom(...'abcdefgh'), { maxLength: 6 });
    const property = fc.property(words, words, words, (...lists) => {
      const [seen = '', incoming = '', current = ''] = lists.map((list) => list.join(' '));
      const [s = [], i = [], c = []] = lists;
      const write = { seen: [{ f: seen }], incoming: { f: incoming }, current: { f: current } };
      const merged = mergeWrite(writeOf({ ...write, isText: () => true }))?.f as string;
      const result = merged.split(/\s+/).filter((word) => word !== '');
      const wanted = [...i, ...c].filter(
        (word) => !s.includes(word) || (i.includes(word) && c.includes(word)),
      );
      for (const word of result) expect([...i, ...c]).toContain(word);
      for (const word of wanted) expect(result.join(' ')).toContain(word);
    });
    fc.assert(property, RUNS);
  });
});
