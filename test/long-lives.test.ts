/**
 * Random lives of a user's devices of all kinds, whose document is written anew now and then (P10): everybody ends up
 * with the same, nothing that was written is lost, and nothing that was deleted comes back.
 *
 * Others by hand: `LIVES=2000 LIVES_SEED=5 npx vitest run test/long-lives.test.ts`.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Chance } from './faults/chance.js';
import { LongLives } from './support/long-lives.js';
import { ownEditArbitrary } from './support/random-edits.js';
import { runs } from './support/runs.js';

const RUNS = Number(process.env.LIVES ?? runs(30));
const FIRST = Number(process.env.LIVES_SEED ?? 1);
/** Lives in which the user is erased now and then. */
const ERASED = Math.ceil(RUNS / 3);
const STEPS = 40;

const stepsOf = (
  world: LongLives,
  seed: number,
  isErased: boolean,
): readonly (readonly [number, () => unknown])[] => {
  const { chance } = world;
  const edits = fc.sample(ownEditArbitrary, { seed, numRuns: 4 * STEPS });
  const any = () => world.devices[chance.below(world.devices.length)] as LongLives['devices'][number];
  const next = () => edits.pop() as (typeof edits)[number];
  const edit = () => any().edit(next());
  return [
    [30, edit],
    [6, () => any().create()],
    [6, () => any().change(false)],
    [4, () => any().change(true)],
    [10, () => any().flush()],
    [10, () => world.settle()],
    [10, () => any().goOffline()],
    [10, () => any().comeOnline()],
    [12, () => world.rest()],
    [4, () => world.year()],
    [3, () => world.store.hold()],
    [3, () => world.store.release()],
    [3, () => world.restart(false)],
    [3, () => world.restart(true)],
    [3, () => world.agree()],
    [isErased ? 4 : 0, () => world.erase()],
    [isErased ? 10 : 0, () => world.haunt(next())],
  ];
};

async function faultsOf(seed: number, isErased = false): Promise<{ faults: string[]; rewrites: number }> {
  const world = await LongLives.open(new Chance(seed));
  const steps = stepsOf(world, seed, isErased);
  for (let step = 0; step < STEPS && world.faults.length === 0; step++) await world.chance.pick(steps)();
  await world.agree();
  await world.close();
  return { faults: world.faultsText.map((fault) => `seed ${seed}: ${fault}`), rewrites: world.rewrites };
}

test.each([632, 744])(
  '[P10] [L7] no older write makes what was deleted before a rewrite: %i',
  async (seed) => {
    expect((await faultsOf(seed)).faults).toEqual([]);
  },
);

test('[L8] [L5] what it had read is not forgotten while a device that was away sends its queue: 2104', async () => {
  expect((await faultsOf(2104)).faults).toEqual([]);
});

test('[L7] [L8] nothing that others deleted comes back by a device that was away: 5108', async () => {
  expect((await faultsOf(5108)).faults).toEqual([]);
});

test('[L5 L7] what a queue sends again makes nothing anew that others deleted: 5031', async () => {
  expect((await faultsOf(5031)).faults).toEqual([]);
});

test.each([3204, 4026])(
  '[L5] [L8] what crossed queued writes, and was forgotten since, makes no later one undo them: %i',
  async (seed) => {
    expect((await faultsOf(seed)).faults).toEqual([]);
  },
);

test(
  `[P10] [N3] [D5] nothing is lost, and nothing comes back, in ${RUNS} lives of a document`,
  async () => {
    const faults: string[] = [];
    let rewrites = 0;
    for (let seed = FIRST; seed < FIRST + RUNS && faults.length < 10; seed++) {
      const life = await faultsOf(seed);
      faults.push(...life.faults);
      rewrites += life.rewrites;
    }
    expect(faults).toEqual([]);
    expect(rewrites).toBeGreaterThan(RUNS / 2);
  },
  60_000 + 1_000 * RUNS,
);

test(
  `[P7] [P10] nothing of before an erasure comes back, in ${ERASED} lives`,
  async () => {
    const faults: string[] = [];
    for (let seed = FIRST; seed < FIRST + ERASED && faults.length < 10; seed++)
      faults.push(...(await faultsOf(seed, true)).faults);
    expect(faults).toEqual([]);
  },
  60_000 + 1_000 * RUNS,
);
