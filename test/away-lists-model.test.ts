/**
 * Lists of values, of a device that was away for longer than history is kept: what comes of what it sends is the same
 * as where all of the history is there (L6, L8).
 *
 * Others by hand: `MODEL_RUNS=2000 MODEL_SEED=5 npx vitest run test/away-lists-model.test.ts`.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { anyLife, listsIn, lived, plainLife } from './support/away-lists.js';
import { runs } from './support/runs.js';

const RUNS = Number(process.env.MODEL_RUNS ?? runs(60));
const OPTIONS = {
  numRuns: RUNS,
  seed: Number(process.env.MODEL_SEED ?? 1),
};
const TIMEOUT = 60_000 + 2_000 * RUNS;
const ALL = 100_000;

test(
  `[L6 L8] in ${RUNS} lives, lists are as where the history is kept`,
  async () => {
    const property = fc.asyncProperty(anyLife, async (any) => {
      // A queue without times that is sent again is not always known by what it was compared with before.
      const life = any.isTimed ? any : { ...any, again: null };
      const [gone, kept] = [await lived(life, 1), await lived(life, ALL)];
      expect(gone.record).toEqual(kept.record);
    });
    await fc.assert(property, OPTIONS);
  },
  TIMEOUT,
);

test(
  `[L6 L8] in ${RUNS} lives, what was added to a list is there, and what was removed is not`,
  async () => {
    const property = fc.asyncProperty(plainLife, async (life) => {
      const { record, left } = await lived(life, 1);
      expect(listsIn(record).flat().sort()).toEqual([...left].sort());
    });
    await fc.assert(property, OPTIONS);
  },
  TIMEOUT,
);
