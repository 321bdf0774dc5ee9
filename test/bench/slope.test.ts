import { expect, test } from 'vitest';
import { lowest, slope } from '../../bench/support/slope.js';

/** Memory that grows by `perMinute`, with a collection every ten samples that frees 90 MB. */
const sawtooth = (perMinute: number) =>
  Array.from({ length: 300 }, (_, n) => ({ at: n / 60, value: 200 + (perMinute * n) / 60 + 9 * (n % 10) }));

test.each([0, 1, 5, -2])(
  'memory that grows by %i MB a minute is seen below what collections free',
  (rate) => {
    expect(slope(lowest(sawtooth(rate), 12))).toBeCloseTo(rate, 1);
  },
);

test('a few samples that are far off do not move it', () => {
  const samples = sawtooth(0).map((each, n) => (n === 150 ? { ...each, value: 5_000 } : each));
  expect(slope(lowest(samples, 12))).toBeCloseTo(0, 1);
});

test('too few samples have no slope', () => {
  expect(slope([])).toBe(0);
  expect(slope(lowest([{ at: 1, value: 9 }], 12))).toBe(0);
});
