/** What a test does to a world of devices, step by step, and how a failed run tells its steps. */
import fc from 'fast-check';
import { type AppSetup, type Change, KINDS, World, type WorldSetup } from './legacy-world.js';

const MOVES = {
  edit: 12,
  send: 6,
  receive: 6,
  flush: 3,
  pause: 4,
  sync: 1,
  agree: 1,
  read: 5,
  wait: 1,
  away: 1,
  connect: 3,
  cut: 2,
  abandon: 3,
  notice: 4,
  hold: 2,
  release: 2,
  stop: 1,
  kill: 1,
  sleep: 3,
  restore: 1,
  rewrite: 1,
} as const;
export type Move = keyof typeof MOVES;

export interface Step {
  readonly move: Move;
  readonly device: number;
  readonly change: Change;
}

const changeArbitrary = fc.record({
  kind: fc.constantFrom(...KINDS),
  record: fc.constantFrom(0, 0, 0, 1, 2),
  pick: fc.nat(7),
});

export function stepsArbitrary(moves: readonly Move[], maxLength = 40): fc.Arbitrary<Step[]> {
  const move = fc.oneof(...moves.map((each) => ({ arbitrary: fc.constant(each), weight: MOVES[each] })));
  const step = fc.record({ move, device: fc.nat(3), change: changeArbitrary });
  return fc.array(step, { maxLength, size: 'max' });
}

export const DAY = 86_400_000;
export const PLAIN: AppSetup = {
  skew: 0,
  stamps: 'both',
  acks: true,
  old: false,
  lags: false,
  concurrent: false,
};

const appArbitrary = (parts: Partial<{ [K in keyof AppSetup]: readonly AppSetup[K][] }>) =>
  fc.record({
    skew: fc.constantFrom(...(parts.skew ?? [0])),
    stamps: fc.constantFrom(...(parts.stamps ?? ['both' as const])),
    acks: fc.constantFrom(...(parts.acks ?? [true])),
    old: fc.constantFrom(...(parts.old ?? [false])),
    lags: fc.constantFrom(...(parts.lags ?? [false])),
    concurrent: fc.constantFrom(...(parts.concurrent ?? [false])),
  });
export const appsArbitrary = (parts: Parameters<typeof appArbitrary>[0]) =>
  fc.array(appArbitrary(parts), { minLength: 2, maxLength: 3 });

/** The device of this number does it, or the next one for which there is anything to do. */
function firstToAct(world: World, index: number, act: (device: World['devices'][number]) => void): void {
  const { activity: before, devices } = world;
  for (let n = 0; n < devices.length && world.activity === before; n++) {
    const device = devices[(index + n) % devices.length];
    if (device !== undefined) act(device);
  }
}

/** Returns whether it did anything. */
async function take(world: World, { move, device: index, change }: Step): Promise<boolean> {
  const before = world.activity;
  const device = world.devices[index % world.devices.length] ?? world.native;
  await world.turnTo(world.now + 1);
  switch (move) {
    case 'edit':
      device.change(change);
      break;
    case 'send':
      firstToAct(world, index, (each) => each.sendOne());
      break;
    case 'receive':
      firstToAct(world, index, (each) => each.receiveOne());
      break;
    case 'read':
      firstToAct(world, index, (each) => each.readOne());
      break;
    case 'flush':
      for (let round = 0; round < 3; round++) {
        device.flush();
        await world.settle();
      }
      break;
    case 'pause':
      await world.pass(1 + 200 * change.pick);
      break;
    case 'wait':
      await world.pass(3_000 + 6_000 * change.pick);
      break;
    case 'away':
      await world.pass(3_600_000 * (1 + change.pick));
      break;
    case 'connect':
      firstToAct(world, index, (each) => each.connect());
      break;
    case 'cut':
      device.lose(true);
      break;
    case 'abandon':
      device.abandon();
      break;
    case 'notice':
      world.noticeGhosts();
      break;
    case 'hold':
      world.hold();
      break;
    case 'release':
      await world.release();
      break;
    case 'sync':
      device.requestSync();
      break;
    case 'agree':
      await world.agree();
      break;
    case 'stop':
      await world.stop();
      break;
    case 'kill':
      await world.kill();
      break;
    case 'rewrite':
      await world.rewrite();
      break;
    case 'sleep':
      await world.sleep();
      break;
    case 'restore':
      await world.restore(['r1', 'r2', 'n1'][change.record] ?? 'r1', change.pick);
      break;
  }
  await world.settle();
  return world.activity > before || PASSING.has(move);
}
const PASSING: ReadonlySet<Move> = new Set(['pause', 'wait', 'away', 'agree', 'stop', 'kill']);

/** Every device was there once, and has said something. */
async function begin(apps: readonly AppSetup[], setup: WorldSetup): Promise<World> {
  const world = await World.open(apps, setup);
  world.native.change({ kind: 'a', record: 2, pick: 7 });
  await world.agree();
  world.apps[0]?.change({ kind: 'a', record: 0, pick: 7 });
  for (const app of world.apps) app.requestSync();
  await world.agree();
  return world;
}

/** @param counts how often which move did something */
export async function run(
  apps: readonly AppSetup[],
  steps: readonly Step[],
  counts = new Map<Move, number>(),
  setup: WorldSetup = {},
): Promise<World> {
  const world = await begin(apps, setup);
  for (const step of steps) {
    if (await take(world, step)) counts.set(step.move, (counts.get(step.move) ?? 0) + 1);
  }
  await world.agree();
  const problems = await world.historyProblems();
  if (problems.length > 0) throw new Error(problems.join('\n'));
  return world;
}

/** A step as a failed run tells it: the move, the device, and what kind of change to which record where. */
export type Told = readonly [Move, number?, (Change['kind'] | null)?, number?, number?];

export const toldOf = ({ move, device, change: { kind, record, pick } }: Step): Told => {
  if (move === 'edit') return [move, device, kind, record, pick];
  return TIMED.has(move) ? [move, device, null, record, pick] : [move, device];
};
const TIMED: ReadonlySet<Move> = new Set(['pause', 'wait', 'away', 'restore']);

export const stepOf = ([move, device = 0, kind, record = 0, pick = 0]: Told): Step => ({
  move,
  device,
  change: { kind: kind ?? 'a', record, pick },
});
