import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ElementStep, elementId, matchElements } from '../../shared/elements.js';
import type { Json } from '../../shared/json.js';
import { runs } from '../support/runs.js';

/** Short signs for steps: `=` kept by id, `~` kept and written inside or equal, `+` inserted, `-` deleted. */
function signs(from: Json[], to: Json[]): string {
  const sign = (step: ElementStep): string => {
    if (step.kind === 'keep') return step.sameId ? '=' : '~';
    return step.kind === 'insert' ? '+' : '-';
  };
  return matchElements(from, to).map(sign).join('');
}

/** What the steps make of `from`. */
function applied(from: readonly Json[], steps: readonly ElementStep[]): Json[] {
  const left = [...from];
  const result: Json[] = [];
  for (const step of steps) {
    if (step.kind !== 'insert') left.shift();
    if (step.kind !== 'delete') result.push(step.value);
  }
  return [...result, ...left];
}

const item = (id: string | number, more: object = {}): Json => ({ id, ...more }) as Json;

describe('[D3] elements of arrays', () => {
  test.each<[Json[], Json[], string]>([
    [[], [], ''],
    [[], [1, 2], '++'],
    [[1, 2], [], '--'],
    [[1, 2, 3], [1, 2, 3], '~~~'],
    [[1, 2, 3], [1, 3], '~-~'],
    [[1, 3], [1, 2, 3], '~+~'],
    [['20mg'], ['30mg'], '-+'],
    [[1, 1, 1], [1, 1], '~~-'],
    [[null, false, 0, ''], [null, '', 0], '~-+~-'],
    [[[1], [2]], [[1], [3]], '~~'],
    [[{ a: 1 }, { a: 2 }], [{ a: 1 }, { a: 3 }], '~~'],
    [[{ a: 1 }], [{ a: 0 }, { a: 1 }], '+~'],
    [[item('a'), item('b')], [item('a', { x: 1 }), item('b')], '=='],
    [[item('a'), item('b')], [item('b', { x: 1 })], '-='],
    [[item('a')], [item('b'), item('a', { x: 1 })], '+='],
    [[item('a', { x: 1 })], [item('b', { x: 1 })], '-+'],
    [[item(1)], [item('1', { x: 2 })], '='],
    [[{ a: 1 }], [item('a')], '-+'],
    [[item('a')], [{ a: 1 }], '-+'],
  ])('%j → %j', (from, to, wanted) => {
    const got = signs(from, to);
    expect([...got].sort().join('')).toBe([...wanted].sort().join(''));
    expect(applied(from, matchElements(from, to))).toEqual(to);
  });

  test('what carries an id is never written over by another id', () => {
    const ids = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { maxLength: 6 });
    const list = ids.map((all) => all.map((id) => item(id, { n: id.charCodeAt(0) })));
    fc.assert(
      fc.property(list, list, (from, to) => {
        let index = 0;
        for (const step of matchElements(from, to)) {
          if (step.kind === 'insert') continue;
          if (step.kind === 'keep') expect(elementId(step.value)).toBe(elementId(from[index]));
          index++;
        }
        expect(index).toBe(from.length);
      }),
    );
  });

  test('the steps turn any array into any other one', () => {
    const leaf = fc.oneof(
      fc.constantFrom<Json>(null, true, 1, 2, 'a', 'b'),
      fc.constantFrom('x', 'y', 1, 2).map((id) => item(id)),
      fc.constantFrom<Json>({ a: 1 }, { a: 2 }, [1], [2]),
    );
    const list = fc.array(leaf, { maxLength: 12 });
    fc.assert(
      fc.property(list, list, (from, to) => {
        const steps = matchElements(from, to);
        expect(steps.filter(({ kind }) => kind !== 'insert')).toHaveLength(from.length);
        expect(applied(from, steps)).toEqual(to);
      }),
      { numRuns: runs(1_000) },
    );
  });

  test('arrays too long to be aligned are paired by position, in time', () => {
    const from = Array.from({ length: 3_000 }, (_, i) => i);
    const to = from.map((i) => -1 - i);
    expect(applied(from, matchElements(from, to))).toEqual(to);
  });

  test('[D3] in a list too long to be aligned, only what changed its place among the ids moves', () => {
    const from: Json[] = Array.from({ length: 1_200 }, (_, i) => (i % 100 === 99 ? i : item(`m${i}`)));
    const [first, second, ...others] = from as [Json, Json, ...Json[]];
    const to = [...others.slice(0, 600), second, ...others.slice(600), first, item('new')];
    const steps = matchElements(from, to);
    expect(applied(from, steps)).toEqual(to);
    expect(steps.filter(({ kind }) => kind === 'delete').length).toBeLessThanOrEqual(2 + 12);
    expect(steps.filter(({ kind }) => kind === 'insert').length).toBeLessThanOrEqual(3 + 12);
    const turned = [...from].reverse();
    expect(applied(from, matchElements(from, turned))).toEqual(turned);
  });

  test('an id is a string or a number of an object', () => {
    const values: unknown[] = [
      item('a'),
      item(1),
      { id: null },
      { id: {} },
      {},
      ['id'],
      'id',
      null,
      undefined,
    ];
    expect(values.map(elementId)).toEqual(['a', '1', null, null, null, null, null, null, null]);
  });
});
