import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyPatch, makePatch, type Patch, sameJson } from '../../../../server/documents/records/patch.js';
import type { Json, JsonObject } from '../../../../shared/json.js';
import { runs } from '../../../support/runs.js';
import { anyText } from '../../../support/texts.js';

const key = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'id',
    'toString',
    '__proto__',
    'constructor',
    'length',
    '0',
    '1',
    '',
    'größe',
    '👩‍⚕️',
  ),
  anyText(3),
);

const { json } = fc.letrec<{ json: Json; leaf: Json; object: Json; array: Json }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom<Json>(null, true, false, 0, 1.5, '', 'a', '😀', '\ud83d', '\ude00', 'x'.repeat(40)),
    fc.integer(),
    fc.string({ unit: fc.constantFrom('a', 'b', '😀', '😁', '🐀', '"', '\n', '\ud83d'), maxLength: 60 }),
  ),
  object: fc
    .array(fc.tuple(key, tie('json')), { maxLength: 5 })
    .map((entries) => Object.fromEntries(entries)) as fc.Arbitrary<Json>,
  array: fc.array(tie('json'), { maxLength: 6 }),
  json: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('leaf'), tie('object'), tie('array')),
}));

/** A value, and another one that mostly shares its content. */
const pair = fc.tuple(json, json, fc.infiniteStream(fc.nat(9))).map(([from, other, dice]) => {
  const next = () => dice.next().value;
  return [from, mixed(from, other, next)] as const;
});

function mixed(from: Json, other: Json, next: () => number): Json {
  const roll = next();
  if (roll === 0) return other;
  if (Array.isArray(from)) {
    const parts = from.map((each) => mixed(each, other, next));
    if (roll === 1) parts.splice(next(), 1);
    if (roll === 2) parts.splice(next(), 0, other);
    if (roll === 3) parts.reverse();
    return parts;
  }
  if (typeof from === 'object' && from !== null) {
    const entries = Object.entries(from).map(([name, each]) => [name, mixed(each, other, next)] as const);
    if (roll === 1) entries.pop();
    return Object.fromEntries(roll === 2 ? [...entries, ['new', other]] : entries.reverse());
  }
  return typeof from === 'string' && roll < 5
    ? from.slice(0, roll) + JSON.stringify(other) + from.slice(roll)
    : from;
}

function deepFreeze(value: Json): Json {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}

const thereAndBack = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

describe('any value to any other', () => {
  test.each([
    ['independent', fc.tuple(json, json)],
    ['alike', pair],
  ])('the patch makes the one of the other, as JSON text too (%s)', (_, pairs) => {
    fc.assert(
      fc.property(pairs, ([from, to]) => {
        deepFreeze(from);
        deepFreeze(to);
        const patch = makePatch(from, to);
        expect(patch === null).toBe(sameJson(from, to));
        if (patch === null) return;
        const made = applyPatch(from, thereAndBack(patch));
        expect(sameJson(made, to)).toBe(true);
        expect(made).toEqual(to);
        expect(JSON.stringify(patch).length).toBeLessThanOrEqual(2 * JSON.stringify([to]).length + 20);
      }),
      { numRuns: runs(5_000) },
    );
  });

  test('the order of keys is no difference', () => {
    expect(makePatch({ a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 })).toBeNull();
  });

  test('keys that every object inherits are keys like others', () => {
    const from = JSON.parse('{"toString":1,"__proto__":{"x":1}}') as Json;
    const to = JSON.parse('{"constructor":2,"__proto__":{"x":2},"y":0}') as Json;
    const made = applyPatch(from, makePatch(from, to) as Patch);
    expect(JSON.stringify(made)).toBe('{"constructor":2,"__proto__":{"x":2},"y":0}');
    expect(makePatch({}, JSON.parse('{"toString":1}') as Json)).toEqual({ toString: [1] });
    expect(sameJson({}, JSON.parse('{"__proto__":{}}') as Json)).toBe(false);
  });
});

describe('a patch is small', () => {
  const text = 'The patient takes the tablet after breakfast, with water. ';
  test.each<[what: string, from: Json, to: Json, patch: Patch]>([
    ['a field', { a: 1, b: 2 }, { a: 1, b: 'x' }, { b: ['x'] }],
    ['a new field', { a: 1 }, { a: 1, b: [] }, { b: [[]] }],
    ['a removed field', { a: 'long enough', b: 2 }, { a: 'long enough' }, { b: 0 }],
    ['a nested field', { a: { b: { c: 1, d: 2 } } }, { a: { b: { c: 1, d: 3 } } }, { a: { b: { d: [3] } } }],
    ['a word of a text', { t: text }, { t: text.replace('water', 'milk') }, { t: [51, 5, 'milk'] }],
    ['a short text', { t: 'booked' }, { t: 'cancelled' }, { t: ['cancelled'] }],
    ['an emoji in a text', `${text}😀`, `${text}😁`, [58, 2, '😁']],
    ['an element more', [1, 2, 3], [1, 2, 9, 3], [2, 0, [9]]],
    ['an element less', ['one', 'two', 'three'], ['one', 'three'], [1, 1, []]],
    ['all elements gone', ['one', 'two', 'three'], [], [[]]],
    [
      'a field of an element',
      [
        { id: 1, mg: 5 },
        { id: 2, mg: 5 },
      ],
      [
        { id: 1, mg: 5 },
        { id: 2, mg: 7 },
      ],
      { 1: { mg: [7] } },
    ],
    [
      'a field of an element, and one more at the end',
      [
        { id: 'a', text },
        { id: 'b', text },
      ],
      [{ id: 'a', text, x: 1 }, { id: 'b', text }, { id: 'c' }],
      [2, 0, [{ id: 'c' }], { 0: { x: [1] } }],
    ],
    ['something else altogether', { a: 1, b: 2, c: 3 }, { d: 4 }, [{ d: 4 }]],
    ['another type', { a: { b: 1 } }, { a: [1] }, { a: [[1]] }],
  ])('%s', (_, from, to, patch) => {
    expect(makePatch(from, to)).toEqual(patch);
    expect(applyPatch(from, patch)).toEqual(to);
  });

  test('the edit of one field costs its value, its name and some ten bytes', () => {
    const record = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`field${n}`, 'x'.repeat(40)]));
    const patch = makePatch({ ...record, status: 'cancelled' }, { ...record, status: 'booked' });
    expect(JSON.stringify(patch)).toBe('{"status":["booked"]}');
  });
});

describe('applying', () => {
  test('what did not change is shared, and nothing is changed in place', () => {
    const from = deepFreeze({ a: { x: [1] }, list: [{ y: 1 }, { z: 1 }], n: 1 }) as { a: Json; list: Json[] };
    const made = applyPatch(from, { list: { 1: { z: [2] } }, n: 0 }) as JsonObject & { list: Json[] };
    expect(made).toEqual({ a: { x: [1] }, list: [{ y: 1 }, { z: 2 }] });
    expect(made.a).toBe(from.a);
    expect(made.list[0]).toBe(from.list[0]);
  });

  test.each<[Json, unknown]>([
    [{ a: 1 }, { b: 0 }],
    [{ a: 1 }, { b: { c: [1] } }],
    [{ a: 1 }, { a: { c: [1] } }],
    [{}, { toString: 0 }],
    [1, { a: [1] }],
    ['text', { 0: ['x'] }],
    [[1], { 1: [2] }],
    [[1], { length: [2] }],
    [[1], { 0: 0 }],
    [[1], [0, 2, []]],
    [[1], [2, 0, [1]]],
    [[1], [0, 1, 'x']],
    ['text', [0, 1, [1]]],
    ['text', [5, 0, 'x']],
    ['text', [-1, 1, 'x']],
    ['text', [0.5, 1, 'x']],
    [[1], [0, 0, 1]],
    [[1], null],
    [{ a: 1 }, 1],
    [{ a: 1 }, []],
  ])('%j does not take %j', (value, patch) => {
    expect(() => applyPatch(value, patch as Patch)).toThrow(Error);
  });
});
