/**
 * D3 with devices of every kind at once: of concurrent writes to one field the later stays, whoever wrote it, and
 * whatever moved the elements meanwhile; nothing is undone by somebody who did not know of it.
 */
import fc from 'fast-check';
import { test } from 'vitest';
import { LaterWorld, type PartySetup, PLACES, type Place } from './support/later-world.js';
import { runs } from './support/runs.js';

/** Runs per property; more by hand: `LATER_MODEL_RUNS=20000 npx vitest run test/later-model.test.ts`. */
const RUNS = Number(process.env.LATER_MODEL_RUNS ?? runs(200));
const SEED = Number(process.env.LATER_MODEL_SEED ?? 1);

const WEIGHTS = {
  write: 12,
  move: 5,
  send: 6,
  receive: 6,
  connect: 4,
  cut: 2,
  wait: 2,
  away: 1,
  agree: 1,
  compact: 1,
  hold: 2,
  release: 2,
  kill: 1,
} as const;
type Kind = keyof typeof WEIGHTS;
/** What, by which device, where, and how many or where to. */
type Step = readonly [Kind, number, Place, number];

async function take(world: LaterWorld, [kind, index, place, n]: Step): Promise<void> {
  world.now += 10;
  const party = world.parties[index % world.parties.length];
  if (party === undefined) return;
  if (kind === 'write') party.write(place);
  else if (kind === 'move') party.move(n % 3, index % 3);
  else if (kind === 'send') party.send(1 + n);
  else if (kind === 'receive') party.receive(1 + n);
  else if (kind === 'connect') party.connect();
  else if (kind === 'cut') party.lose(true);
  else if (kind === 'wait') world.now += 3_000 + 6_000 * n;
  else if (kind === 'away') world.now += 3_600_000 * (1 + n);
  else if (kind === 'agree') await world.agree();
  else if (kind === 'compact') world.document.compact();
  else if (kind === 'hold') world.hold();
  else if (kind === 'release') await world.release();
  else await world.kill();
  await world.settle();
}

async function run(
  setups: readonly PartySetup[],
  ids: readonly number[],
  steps: readonly Step[],
): Promise<void> {
  try {
    const world = await LaterWorld.open(setups, ids);
    for (const step of steps) await take(world, step);
    await world.agree();
  } catch (error) {
    const told = [setups, ids, steps].map((each) => JSON.stringify(each)).join('\n');
    throw new Error(`${told}\n${(error as Error).message}`, { cause: error });
  }
}

const stepsOf = (kinds: readonly Kind[]) => {
  const kind = fc.oneof(...kinds.map((each) => ({ arbitrary: fc.constant(each), weight: WEIGHTS[each] })));
  const step = fc.tuple(kind, fc.nat(5), fc.constantFrom(...PLACES), fc.nat(5));
  return fc.array(step, { maxLength: 60, size: 'max' });
};
const partiesOf = (kinds: readonly PartySetup['kind'][]) =>
  fc.array(
    fc.record({ kind: fc.constantFrom(...kinds), skew: fc.constantFrom(0, -3 * 86_400_000, 40_000) }),
    { minLength: 2, maxLength: 4 },
  );
const idsArbitrary = fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 31 }), { minLength: 4, maxLength: 4 });

const STILL = ['write', 'send', 'receive', 'connect', 'cut', 'wait', 'away', 'agree', 'compact'] as const;
const MOVING = [...STILL, 'move'] as const;

const KILLED = ['hold', 'release', 'kill'] as const;

const properties: [string, readonly PartySetup['kind'][], readonly Kind[]][] = [
  ['[D3 N9] native devices with times', ['timed'], STILL],
  ['[D3 N9] native devices with times and without', ['timed', 'plain'], STILL],
  ['[D3 N9 L6] native devices with times, and JSON devices', ['timed', 'json'], STILL],
  // What JSON devices had seen when a server was killed is in legacy-model.test.ts.
  [
    '[D3 N9 P6] native devices of both kinds, and a server that is killed',
    ['timed', 'plain'],
    [...STILL, ...KILLED],
  ],
  ['[D3 N9] native devices with times that move elements', ['timed'], MOVING],
  // What a provider without times brings of a move on connecting hides what it had seen.
  ['[D3 N9 L6] native devices with times and JSON devices that move elements', ['timed', 'json'], MOVING],
  [
    '[D3 N9 P6] native devices with times that move elements, and a server that is killed',
    ['timed'],
    [...MOVING, ...KILLED],
  ],
];

test.for(properties)('%s', { timeout: 120_000 + 100 * RUNS }, async ([, kinds, steps]) => {
  await fc.assert(fc.asyncProperty(partiesOf(kinds), idsArbitrary, stepsOf(steps), run), {
    numRuns: RUNS,
    seed: SEED,
  });
});

type Told = readonly [Kind, number?, Place?, number?];
type Kinds = readonly PartySetup['kind'][];

const cases: [string, Kinds, readonly number[], readonly Told[]][] = [
  [
    '[D3] the later edit of an element stays where its author moves it, though Yjs has the other in what went',
    ['timed', 'timed'],
    [1, 2],
    [
      ['write', 1, 'items/e1/q'],
      ['write', 0, 'items/e1/q'],
      ['move', 0],
    ],
  ],
  [
    '[D3] an edit that is later than that of who moved the element is carried, though Yjs has the other',
    ['timed', 'timed'],
    [2, 1],
    [
      ['write', 0, 'items/e1/q'],
      ['move', 0],
      ['send', 0, 'a', 1],
      ['write', 1, 'items/e1/q'],
    ],
  ],
  [
    '[D3] the same where a provider without times wrote later',
    ['timed', 'plain'],
    [2, 1],
    [
      ['write', 0, 'items/e2/p'],
      ['move', 0, 'a', 1],
      ['send', 0, 'a', 1],
      ['write', 1, 'items/e2/p'],
    ],
  ],
  [
    '[D3] what a provider without times writes on top of its own later value is not replaced by a copy of that',
    ['plain', 'timed'],
    [1, 2],
    [
      ['write', 1, 'a'],
      ['write', 0, 'a'],
      ['send', 1, 'a', 1],
      ['cut', 0],
      ['write', 0, 'a'],
    ],
  ],
];

test.for(cases)('%s', async ([, kinds, ids, told]) => {
  const setups = kinds.map((kind) => ({ kind, skew: 0 }));
  await run(
    setups,
    ids,
    told.map(([kind, index = 0, place = 'a', n = 0]): Step => [kind, index, place, n]),
  );
});
