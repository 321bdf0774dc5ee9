import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { align, insertions, nearest, type Tokens } from '../../../shared/merge/sequences.js';
import { runs } from '../../support/runs.js';

const list = (text: string): string[] => [...text];
const numbered = (sign: string, from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, k) => `${sign}${from + k}`);

/** The tokens of `from` that stayed. */
const kept = (from: Tokens, places: readonly number[]): string[] => from.filter((_, k) => places[k] !== -1);

function expectSound(from: Tokens, to: Tokens): number[] {
  const places = align(from, to);
  const found = places.filter((place) => place !== -1);
  expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
  expect(found.map((place) => to[place])).toEqual(kept(from, places));
  return places;
}

describe('sequences are lined up', () => {
  test.each<[string, string, number[]]>([
    ['', '', []],
    ['', 'a', []],
    ['a', '', [-1]],
    ['abc', 'abc', [0, 1, 2]],
    ['abc', 'xac', [1, -1, 2]],
    ['abc', 'cab', [1, 2, -1]],
    ['aa', 'a', [0, -1]],
    ['aa', 'xa', [1, -1]],
    ['aab', 'xab', [1, -1, 2]],
    ['aba', 'ba', [-1, 0, 1]],
  ])('%j and %j', (from, to, places) => {
    expect(align(list(from), list(to))).toEqual(places);
  });

  test('a long alignment is the longest one where each token occurs once', () => {
    const from = numbered('v', 0, 3_000);
    const to = [...numbered('v', 2_500, 3_000), ...numbered('x', 0, 700), ...numbered('v', 0, 2_400)];
    expect(kept(from, expectSound(from, to))).toEqual(numbered('v', 0, 2_400));
  });

  test('in a long alignment, what occurs often is found between what occurs once', () => {
    const from = numbered('v', 0, 900).flatMap((token) => [token, ' ', 'and', ' ']);
    const to = ['x', ' ', ...from.slice(4, 1_200), 'y', ...from.slice(1_201), ' ', 'x'];
    expect(expectSound(from, to).filter((place) => place === -1).length).toBeLessThanOrEqual(5);
  });

  test('long sequences of few tokens', () => {
    const from = Array.from({ length: 5_000 }, (_, k) => `t${(k * 7_919) % 13}`);
    const to = Array.from({ length: 5_000 }, (_, k) => `t${(k * 7_919) % 17}`);
    expect(kept(from, expectSound(from, to)).length).toBeGreaterThan(500);
  });

  test('in long sequences that are nested on purpose, the search ends', () => {
    const ends = numbered('u', 0, 4_000);
    const from = [...numbered('a', 0, 1_000), ...ends.flatMap((token, k) => [token, ends[k - 1] ?? ''])];
    const to = [
      ...numbered('b', 0, 1_000),
      ...ends.flatMap((token, k) => ['-', token, ends[k - 1] ?? '', '+']),
    ];
    expect(kept(from, expectSound(from, to)).length).toBeGreaterThan(4_000);
  });

  test('any two: places rise, tokens are the same, what came stands in one gap each', () => {
    const tokens = fc.array(fc.constantFrom(...'abcd'), { maxLength: 9 });
    const property = fc.property(tokens, tokens, (from, to) => {
      const places = expectSound(from, to);
      const gaps = insertions(places, to.length);
      const rebuilt = gaps.flatMap((gap, k) => [
        ...gap,
        ...(places[k] === undefined || places[k] === -1 ? [] : [places[k]]),
      ]);
      expect(rebuilt).toEqual(to.map((_, at) => at));
    });
    fc.assert(property, { numRuns: runs(1_000), seed: 7 });
  });
});

describe('the nearest of several', () => {
  test.each<[string[], string, string]>([
    [[], 'a', ''],
    [['a'], 'x', 'a'],
    [['a', 'ab'], 'abx', 'ab'],
    [['ab', 'a'], 'abx', 'ab'],
    [['a', 'abcd'], 'ax', 'a'],
    [['a', 'b'], 'x', 'b'],
    [['', 'b'], 'x', ''],
  ])('of %j to %j is %j', (bases, to, wanted) => {
    expect(nearest(bases.map(list), list(to))).toEqual(list(wanted));
  });
});
