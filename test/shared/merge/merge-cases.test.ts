import { describe, expect, test } from 'vitest';
import type { Json, JsonObject } from '../../../shared/json.js';
import { mergeWrite, type Path, type WriteToMerge } from '../../../shared/merge/merge.js';

const NOON = 12 * 3_600_000;

const writeOf = (more: Partial<WriteToMerge>): WriteToMerge => ({
  seen: [],
  incoming: {},
  current: {},
  deletion: null,
  madeAt: null,
  changedAt: () => NOON,
  knows: () => true,
  isText: () => false,
  isMarkup: () => false,
  ...more,
});

/** What becomes of one field; `seen` are the values that the device may have been looking at. */
function merged(
  seen: readonly Json[],
  incoming: Json,
  current: Json,
  more: Partial<WriteToMerge> = {},
): Json {
  const record = (value: Json): JsonObject => ({ field: value });
  const versions = seen.map(record);
  const write = writeOf({ seen: versions, incoming: record(incoming), current: record(current), ...more });
  return mergeWrite(write)?.field ?? null;
}

const medicine = (id: string | number, more: JsonObject = {}): JsonObject => ({ id, ...more });
const [A, B, C] = [medicine('a'), medicine('b'), medicine('c')];
const before = { madeAt: NOON - 1 };
const after = { madeAt: NOON + 1 };

describe('arrays of elements with ids', () => {
  test('[L6] medicines added to one prescription by two people are both there', () => {
    expect(merged([[A]], [A, B], [A, C])).toEqual([A, C, B]);
  });

  test('[L6] one medicine added by two people is one element with the fields of both', () => {
    const [mine, theirs] = [medicine('b', { dose: '20 mg' }), medicine('b', { form: 'tablet' })];
    expect(merged([[A]], [A, mine], [A, theirs])).toEqual([A, { id: 'b', form: 'tablet', dose: '20 mg' }]);
  });

  test('[L6] two people tick off different items', () => {
    const list = (...done: boolean[]) => done.map((each, index) => medicine(index, { done: each }));
    expect(merged([list(false, false, false)], list(true, false, false), list(false, false, true))).toEqual(
      list(true, false, true),
    );
  });

  test('[L6] two people change different fields of one element', () => {
    const seen = medicine('a', { dose: 1, note: 'x' });
    expect(merged([[seen]], [{ ...seen, dose: 2 }], [{ ...seen, note: 'y' }])).toEqual([
      { id: 'a', dose: 2, note: 'y' },
    ]);
  });

  test('[L6] of an element that one removed and the other changed, the later write counts', () => {
    const changed = medicine('b', { dose: 2 });
    expect(merged([[A, B, C]], [A, C], [A, changed, C], before)).toEqual([A, changed, C]);
    expect(merged([[A, B]], [A, C], [A, changed], before)).toEqual([A, changed, C]);
    expect(merged([[A, B, C]], [A, C], [A, changed, C], after)).toEqual([A, C]);
    expect(merged([[A, B, C]], [A, changed, C], [A, C], before)).toEqual([A, C]);
    expect(merged([[A, B, C]], [A, changed, C], [A, C], after)).toEqual([A, changed, C]);
  });

  test('[L6] removals and additions of both sides', () => {
    const [D, E] = [medicine('d'), medicine('e')];
    expect(merged([[A, B, C]], [D, B, C], [A, B, E])).toEqual([D, B, E]);
  });

  test('[L6] a new order of either side counts, where both made one that of the others', () => {
    expect(merged([[A, B, C]], [C, A, B], [A, B, C])).toEqual([C, A, B]);
    expect(merged([[A, B, C]], [A, B, C], [C, A, B])).toEqual([C, A, B]);
    expect(merged([[A, B, C]], [C, A, B], [A, medicine('b', { dose: 2 }), C])).toEqual([
      C,
      A,
      medicine('b', { dose: 2 }),
    ]);
    expect(merged([[A, B, C]], [B, C, A], [B, A, C])).toEqual([B, A, C]);
  });

  test('[L6] an element that was added between two versions seen stays', () => {
    expect(merged([[A], [A, B]], [A, C], [A, B])).toEqual([A, B, C]);
  });

  test('[L6] an app that does not know a field keeps it, in elements that it changes or moves too', () => {
    const known = (path: Path) => path.at(-1) !== 'batch';
    const full = medicine('a', { dose: 1, batch: 'x7' });
    const mine = medicine('a', { dose: 2 });
    expect(merged([[full, B]], [B, mine], [full, B], { knows: known })).toEqual([B, { ...full, dose: 2 }]);
  });

  test('[L6] an app that does not know a field of an element does not bring it back after a removal', () => {
    const known = (path: Path) => path.at(-1) !== 'batch';
    const full = medicine('a', { dose: 1, batch: 'x7' });
    expect(merged([[full, B]], [medicine('a', { dose: 1 }), B, C], [B], { ...after, knows: known })).toEqual([
      B,
      C,
    ]);
  });

  test('[L6] ids that come twice: one element, the last content in the first place', () => {
    const twice = [medicine('b', { n: 1 }), A, medicine('b', { n: 2 })];
    expect(merged([[A]], twice, [A])).toEqual([medicine('b', { n: 2 }), A]);
    expect(merged([[A]], [A, B], [A, C, medicine('c', { n: 2 })])).toEqual([A, C, B]);
  });

  test('[L6] 1 and "1" are one id', () => {
    expect(merged([[medicine(1, { n: 1 })]], [medicine(1, { n: 2 })], [medicine('1', { n: 1 })])).toEqual([
      medicine('1', { n: 2 }),
    ]);
  });

  test('[L6] elements with and without ids in one array', () => {
    expect(merged([[A, 'x']], [A, 'x', 'y', B], [medicine('a', { n: 1 }), 'x', C])).toEqual([
      medicine('a', { n: 1 }),
      'x',
      C,
      'y',
      B,
    ]);
  });

  test('[L6] arrays inside elements merge, too', () => {
    const times = (...list: string[]) => [medicine('a', { times: list })];
    expect(merged([times('8:00')], times('8:00', '12:00'), times('8:00', '20:00'))).toEqual(
      times('8:00', '20:00', '12:00'),
    );
  });

  test('[L8] what was not seen: elements are added and changed if they are later, none is removed', () => {
    const newer = medicine('a', { dose: 2 });
    const now = { seen: [], ...after };
    expect(merged([], [newer, B], [A, C], now)).toEqual([newer, C, B]);
    expect(merged([], [newer, B], [medicine('a', { dose: 1 }), C], { ...now, ...before })).toEqual([
      medicine('a', { dose: 1 }),
      C,
    ]);
    expect(merged([], [newer, B], [A, C], { seen: [] })).toEqual([A, C]);
    expect(merged([], [], [A, C], now)).toEqual([A, C]);
    expect(merged([], [A, 'y'], ['x', C], now)).toEqual(['x', C, A, 'y']);
    expect(merged([], [A, 'y'], ['x', C], { ...now, ...before })).toEqual(['x', C]);
  });

  test('[L8] each element is compared with its own time', () => {
    const changedAt = (path: Path) => (JSON.stringify(path).includes('"a"') ? NOON + 9 : NOON);
    const mine = [medicine('a', { n: 2 }), medicine('b', { n: 2 })];
    const theirs = [medicine('a', { n: 1 }), medicine('b', { n: 1 })];
    expect(merged([], mine, theirs, { seen: [], ...after, changedAt })).toEqual([theirs[0], mine[1]]);
  });
});

describe('arrays of values', () => {
  test.each<[string, seen: Json[], incoming: Json[], current: Json[], expected: Json[]]>([
    ['both add', ['a'], ['a', 'x'], ['a', 'y'], ['a', 'y', 'x']],
    ['both add at different places', ['a', 'b'], ['a', 'b', 'x'], ['y', 'a', 'b'], ['y', 'a', 'b', 'x']],
    ['both add the same', ['a'], ['a', 'x'], ['a', 'x', 'y'], ['a', 'x', 'y']],
    ['both add the same at different places', ['a'], ['x', 'a', 'z'], ['a', 'x'], ['a', 'x', 'z']],
    ['one adds it once, the other twice', [], ['x', 'z'], ['x', 'x'], ['x', 'x', 'z']],
    ['both remove', ['a', 'b', 'c'], ['b', 'c'], ['a', 'b'], ['b']],
    ['both remove the same', ['a', 'b', 'c'], ['a', 'c', 'x'], ['a', 'c'], ['a', 'c', 'x']],
    ['one removes, the other adds', ['a', 'b'], ['a'], ['a', 'b', 'y'], ['a', 'y']],
    ['both remove one of two', ['a', 'a'], ['x', 'a'], ['a'], ['x', 'a']],
    ['a third one of the same', ['a', 'a'], ['a', 'a', 'a'], ['a', 'a', 'y'], ['a', 'a', 'y', 'a']],
    ['both replace', ['a'], ['x'], ['y'], ['y', 'x']],
    ['one moves, the other removes', ['a', 'b'], ['b', 'x'], ['b', 'a'], ['b', 'x']],
    ['one removes, the other moves', ['a', 'b'], ['b', 'a'], ['b', 'y'], ['b', 'y']],
    [
      'one moves, the other adds',
      ['a', 'b', 'c'],
      ['c', 'a', 'b'],
      ['a', 'b', 'c', 'y'],
      ['c', 'a', 'b', 'y'],
    ],
    ['both move', ['a', 'b', 'c'], ['b', 'c', 'a', 'x'], ['b', 'a', 'c'], ['b', 'a', 'c', 'x']],
    ['all is removed', ['a'], [], ['a', 'y'], ['y']],
    ['numbers, null and booleans', [1, null], [1, null, true], [1, '1', null], [1, '1', null, true]],
    [
      'objects, whatever the order of keys',
      [{ a: 1, b: 2 }],
      [{ b: 2, a: 1 }, 'x'],
      [{ a: 1, b: 2 }, 'y'],
      [{ a: 1, b: 2 }, 'y', 'x'],
    ],
    ['arrays', [[1], [2]], [[1], [2], [3]], [[2]], [[2], [3]]],
  ])('[L6] %s: seen %j, incoming %j, current %j → %j', (_, seen, incoming, current, expected) => {
    expect(merged([seen], incoming, current)).toEqual(expected);
  });

  test('[L6] of several versions, the nearest one is what the device started from', () => {
    const [old, late] = [['a'], ['a', 'b', 'c', 'd']];
    expect(merged([old, late], ['a', 'x'], [...late, 'e'])).toEqual([...late, 'e', 'x']);
    expect(merged([late, old], ['a', 'b', 'c', 'x'], [...late, 'e'])).toEqual(['a', 'b', 'c', 'x', 'e']);
  });

  test('[L6] between versions equally near, the latest one is what the device started from', () => {
    expect(merged([['a'], ['b']], ['x'], ['a', 'b', 'y'])).toEqual(['a', 'x', 'y']);
    expect(merged([['b'], ['a']], ['x'], ['a', 'b', 'y'])).toEqual(['x', 'b', 'y']);
    expect(merged([['a'], ['b'], ['a']], ['x'], ['a', 'b', 'y'])).toEqual(['x', 'b', 'y']);
  });

  test('[L4 L6] what the device was sent but may not have read yet is not taken for removed', () => {
    expect(merged([['a'], ['a', 'b']], ['a', 'x'], ['a', 'b'])).toEqual(['a', 'b', 'x']);
    expect(merged([['a', 'b'], ['a']], ['a', 'b', 'x'], ['a'])).toEqual(['a', 'x']);
  });

  test('[L6] what was no array before counts as an empty one', () => {
    expect(merged(['a, b'], ['a', 'x'], ['a', 'y'])).toEqual(['a', 'y', 'x']);
  });

  test('[L6] long arrays', () => {
    const list = (from: number, to: number) => Array.from({ length: to - from }, (_, k) => `v${from + k}`);
    const seen = list(0, 4_000);
    const incoming = ['x', ...list(1, 1_999), 'y', ...list(2_000, 3_999), 'z'];
    const current = [...list(100, 4_000), ...list(0, 100)];
    expect(merged([seen], incoming, current)).toEqual([
      'x',
      ...list(100, 1_999),
      'y',
      ...list(2_000, 3_999),
      'z',
      ...list(1, 100),
    ]);
  });
});

describe('shared texts', () => {
  const text = { isText: () => true };

  test.each([
    [
      'different sentences',
      'Fever. Cough.',
      'Fever. No cough.',
      'High fever. Cough.',
      'High fever. No cough.',
    ],
    ['both add at the end', 'Fever.', 'Fever. Rash.', 'Fever. Cough.', 'Fever. Cough. Rash.'],
    ['both add the same', 'Fever.', 'Fever. Cough.', 'Fever. Cough. Rash.', 'Fever. Cough. Rash.'],
    ['the same word at two places', 'a b', 'new a b', 'a b new', 'new a b new'],
    ['one removes, the other adds', 'Fever and cough.', 'Fever.', 'Fever and cough. Rash.', 'Fever. Rash.'],
    ['both change the same number: both are legible', '20 mg', '40 mg', '30 mg', '30 40 mg'],
    ['a decimal is one word', '1.5 mg', '1.7 mg', '2.5 mg', '2.5 1.7 mg'],
    ['a blood pressure is one word', 'BP 120/80', 'BP 120/70', 'BP 140/80', 'BP 140/80 120/70'],
    ['a date is one word', 'on 2024-05-01.', 'on 2024-05-02.', 'on 2024-06-01.', 'on 2024-06-01 2024-05-02.'],
    ['what is left does not grow together', '10 20', '10 25', '10', '10 25'],
    ['both begin alike', 'Fever.', 'Fever. Cough. Rash.', 'Fever. Cough.', 'Fever. Cough. Rash.'],
    ['a word changes, another follows', 'A cough.', 'A rash.', 'A cough since May.', 'A rash since May.'],
    ['lines', 'a\nb\nc', 'a\nb\nc\nd', 'x\nb\nc', 'x\nb\nc\nd'],
    ['emoji', 'ok 😀', 'ok 😁', 'well 😀', 'well 😁'],
    [
      'emoji joined of several',
      'x 👨‍👩‍👧 👍🏽 🇩🇪',
      'x 👨‍👩‍👧 👍🏽 🇫🇷',
      'x 👩‍👩‍👧 👍🏽 🇩🇪',
      'x 👩‍👩‍👧 👍🏽 🇫🇷',
    ],
    ['flags', '🇩🇪', '🇩🇰', '🇸🇪', '🇸🇪🇩🇰'],
    ['accents', 'cafe\u0301 a', 'cafe a', 'cafe\u0301 b', 'cafe b'],
    ['scripts without spaces', '头痛发烧', '头痛三天发烧', '头痛发烧咳嗽', '头痛三天发烧咳嗽'],
    ['from nothing', '', 'Fever.', 'Cough', 'Cough Fever.'],
  ])('[L6 D2] %s: %j, incoming %j, current %j → %j', (_, seen, incoming, current, expected) => {
    expect(merged([seen], incoming, current, text)).toBe(expected);
  });

  test('[L6 D2] the device started from the nearest of the versions seen', () => {
    const [old, late] = ['Fever.', 'Fever. Cough since May.'];
    expect(merged([old, late], 'Fever. Rash.', `${late} Pale.`, text)).toBe(
      'Fever. Cough since May. Pale. Rash.',
    );
  });

  test('[L6 D2] of versions equally near it is the latest one', () => {
    expect(merged(['Fever', 'Cough'], 'Rash', 'Fever Cough', text)).toBe('Fever Rash');
    expect(merged(['Cough', 'Fever', 'Cough'], 'Rash', 'Fever Cough', text)).toBe('Fever Rash');
    expect(merged(['Cough', 'Fever'], 'Rash', 'Fever Cough', text)).toBe('Rash Cough');
  });

  test('[L6] a string that is no shared text is taken as a whole', () => {
    expect(merged(['Fever. Cough.'], 'Fever. No cough.', 'High fever. Cough.')).toBe('Fever. No cough.');
  });

  test('[L6 D2] long texts with edits in several places', () => {
    const words = (count: number) => Array.from({ length: count }, (_, k) => `word${k % 700} and`).join(' ');
    const seen = words(2_000);
    const mine = seen.replace('word3 ', 'mine ').replace(/and$/, 'end');
    const theirs = seen.replace('word5 ', '').replace(/word699 and$/, 'word699 and');
    expect(merged([seen], mine, `Start ${theirs}`, text)).toBe(
      `Start ${seen.replace('word3 ', 'mine ').replace('word5 ', '').replace(/and$/, 'end')}`,
    );
  });

  test('[L6] wholly different texts of many words', () => {
    const words = (sign: string) => Array.from({ length: 150_000 }, (_, k) => `${sign}${k}`).join(' ');
    expect(merged(['x'], words('a'), words('b'), text)).toBe(`${words('b')} ${words('a')}`);
  });
});

describe('objects', () => {
  test('[L6] different keys of a nested object', () => {
    expect(merged([{ a: 1, b: 1, c: 1 }], { a: 2, b: 1 }, { a: 1, b: 2, c: 1, d: 1 })).toEqual({
      a: 2,
      b: 2,
      d: 1,
    });
  });

  test('[L6] a value that became an object, and an object that became a value, count as a whole', () => {
    expect(merged(['a'], { x: 1 }, 'b', before)).toBe('b');
    expect(merged(['a'], { x: 1 }, 'b', after)).toEqual({ x: 1 });
    expect(merged([{ x: 1 }], 'a', { x: 2 }, before)).toEqual({ x: 2 });
    expect(merged([{ x: 1 }], 'a', { x: 2 }, after)).toBe('a');
    expect(merged([{ x: 1 }], ['a'], { x: 1 })).toEqual(['a']);
    expect(merged([null], { x: 1 }, { y: 1 })).toEqual({ y: 1, x: 1 });
  });

  test('[L6] fields that are named like what every object has', () => {
    const write = writeOf({
      seen: [{}],
      incoming: { toString: 'a', hasOwnProperty: 1 },
      current: { valueOf: 2 },
    });
    expect(Object.entries(mergeWrite(write) ?? {})).toEqual([
      ['valueOf', 2],
      ['toString', 'a'],
      ['hasOwnProperty', 1],
    ]);
  });

  test('[L2] what did not change stays the very object', () => {
    const current = { touched: { n: 1 }, other: { list: [{ id: 'a', deep: { n: 1 } }], tags: ['a'] } };
    const incoming = structuredClone({ ...current, touched: { n: 2 } });
    const result = mergeWrite(writeOf({ seen: [structuredClone(current)], incoming, current }));
    expect(result?.touched).toEqual({ n: 2 });
    expect(result?.other).toBe(current.other);
  });

  test('[L8] nested fields are added without a time, others stay', () => {
    expect(merged([], { a: 2, b: 1, d: null }, { a: 1, c: null }, { seen: [] })).toEqual({
      a: 1,
      c: null,
      b: 1,
      d: null,
    });
    expect(merged([], { c: 1 }, { c: null }, { seen: [] })).toEqual({ c: null });
  });

  test('[L8] a field that was removed comes back only by a later write', () => {
    const write = writeOf({ incoming: { f: 1 }, current: {} });
    expect(mergeWrite({ ...write, ...before })).toBe(write.current);
    expect(mergeWrite({ ...write, ...after })).toEqual({ f: 1 });
    expect(mergeWrite({ ...write, madeAt: 1, changedAt: () => Number.NEGATIVE_INFINITY })).toEqual({ f: 1 });
  });
});
