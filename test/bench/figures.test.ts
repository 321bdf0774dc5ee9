import { describe, expect, test } from 'vitest';
import { compareRuns, type Figures, figureOf, judge, ratioOf } from '../../bench/support/figures.js';
import { inTurn } from '../../bench/support/race.js';

/** CPU per round of a relay and of a server, and one goal: at most 3 times the relay. */
const figures = (relay: number[], ours: number[]): Figures => ({
  benchmark: 'fanout',
  line: '',
  short: true,
  taken: '',
  machine: { node: '', cpu: '', cores: 2, pinned: true, load: 0 },
  setting: {},
  limit: 'relay',
  measures: [{ id: 'warm', line: 'CPU', unit: 'µs' }],
  arms: [
    { id: 'relay', name: 'relay', values: { warm: relay }, facts: {} },
    { id: 'ours', name: 'ours', values: { warm: ours }, facts: {} },
  ],
  goals: [{ arm: 'ours', measure: 'warm', of: 'relay', most: 3 }],
});

describe('figures of a benchmark', () => {
  test('are the median of the rounds', () => {
    expect(figureOf(figures([30, 20, 90], [1]), 'relay', 'warm')).toBe(30);
  });

  test('each round stands beside the same round: a slow one makes no other ratio', () => {
    expect(ratioOf(figures([10, 40, 20], [30, 120, 60]), 'ours', 'warm')).toBe(3);
    expect(ratioOf(figures([10, 40, 20], [30, 100, 80]), 'ours', 'warm')).toBe(3);
  });

  test('a measure or an arm that is missing has no ratio, and its goal is not reached', () => {
    const run = figures([10], []);
    expect(ratioOf(run, 'ours', 'warm')).toBeNaN();
    expect(ratioOf(run, 'nobody', 'cold')).toBeNaN();
    expect(judge(run)).toMatchObject([{ reached: false }]);
  });

  test.each([
    [[30], true],
    [[31], false],
  ])('a goal of 3 times 10 with %j: %s', (ours, reached) => {
    expect(judge(figures([10], ours))).toMatchObject([{ reached }]);
  });

  test('a goal without another arm is of the figure itself', () => {
    const run = figures([10], [40]);
    const goals = [{ arm: 'ours', measure: 'warm', of: null, most: 50 }];
    expect(judge({ ...run, goals })).toMatchObject([{ is: 40, reached: true }]);
  });
});

describe('two runs of a benchmark', () => {
  test('are compared by their ratios: on a machine of half the speed nothing is worse', () => {
    expect(compareRuns(figures([10], [30]), figures([20], [60]))).toMatchObject([
      { before: 3, now: 3, worse: 0 },
    ]);
  });

  test('say how much worse it is', () => {
    const [change] = compareRuns(figures([10], [20]), figures([10], [26]));
    expect(change?.worse).toBeCloseTo(0.3);
  });

  test('a figure that the earlier one lacks is left out', () => {
    expect(compareRuns(figures([10], []), figures([10], [26]))).toEqual([]);
  });

  test('a figure that is gone now is worse than anything', () => {
    expect(compareRuns(figures([10], [20]), figures([10], []))).toMatchObject([{ worse: Number.NaN }]);
  });
});

test('another arm begins in each round', () => {
  expect([0, 1, 2, 3].map((round) => inTurn(['a', 'b', 'c'], round).join(''))).toEqual([
    'abc',
    'bca',
    'cab',
    'abc',
  ]);
});
