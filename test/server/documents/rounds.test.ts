/** Stored documents are looked at whether their users come or not (P5, H7). */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it, onTestFinished, vi } from 'vitest';
import * as Y from 'yjs';
import { DocumentPruning } from '../../../server/documents/history/document-pruning.js';
import { type RoundOptions, Rounds } from '../../../server/documents/rounds.js';
import { SyncError } from '../../../server/errors.js';
import { Moved } from '../../../server/store/store.js';
import type { UserId } from '../../../shared/names.js';
import { user } from '../../support/notes.js';
import { client } from '../../support/replicas.js';
import { ANNA, SleepWorld } from '../../support/sleep-world.js';

const DAY = 86_400_000;
const BERT = user('bert');

interface Looks {
  readonly rounds: Rounds;
  readonly looked: [string, string | null][];
  readonly pruned: string[];
}

/** Rounds over the documents of a world, at a time. */
function roundsOf(
  world: SleepWorld,
  now: number,
  prune = world.registry.prune.bind(world.registry),
  options: Partial<RoundOptions> = {},
): Looks {
  const looked: Looks['looked'] = [];
  const pruned: string[] = [];
  const rounds = new Rounds({
    store: world.store,
    historyDays: 90,
    retention: () => now,
    prune: async (name) => {
      pruned.push(name);
      await prune(name);
    },
    onLooked: (name, damage) => looked.push([name, damage?.code ?? null]),
    onUnexpected: (error) => expect.unreachable(String(error)),
    pause: async () => {},
    ...options,
  });
  return { rounds, looked, pruned };
}

async function worldOf(now: () => number): Promise<SleepWorld> {
  const world = new SleepWorld(new Map(), { now });
  for (const name of [ANNA, BERT]) {
    const device = await world.connect(name, client(name.length), { of: name });
    device.set('n1', new Y.Map([['text', 'a note']]));
    await world.settle();
  }
  await world.sleep();
  return world;
}

it('[P5] damage is found although nobody comes; nothing is loaded, and others are looked at', async () => {
  const world = await worldOf(() => 1_000);
  const { rounds, looked, pruned } = roundsOf(world, 1_000);
  const { loads } = world;
  await rounds.round();
  expect(looked).toEqual([
    ['anna', null],
    ['bert', null],
  ]);
  world.inner.damage(ANNA);
  await rounds.round();
  expect(looked.slice(2)).toEqual([
    ['anna', 'DOCUMENT_CORRUPT'],
    ['bert', null],
  ]);
  expect([world.loads, pruned, world.registry.asleep]).toEqual([loads, [], 2]);
});

it('[H7] history that is too old goes while its user sleeps; who sleeps notices nothing', async () => {
  let now = 1_000;
  const world = await worldOf(() => now);
  const before = await world.store.history(ANNA, { below: 100, limit: 100 });
  expect(before.length).toBeGreaterThan(0);
  now += 91 * DAY;
  const { rounds, pruned } = roundsOf(world, now);
  await rounds.round();
  await world.settle();
  expect(pruned).toEqual(['anna', 'bert']);
  expect(await world.store.history(ANNA, { below: 100, limit: 100 })).toEqual([]);
  pruned.length = 0;
  await rounds.round();
  expect(pruned).toEqual([]);
  await world.sleep();
  const n = world.phone.askCheckpoint();
  await world.settle();
  expect(world.phone.of('checkpoint')).toContainEqual({ type: 'checkpoint', n });
  expect([world.phone.closed, world.failures]).toEqual([null, []]);
});

it('[H7] a round passes over a user whom another server has', async () => {
  let now = 1_000;
  const world = await worldOf(() => now);
  now += 91 * DAY;
  const { rounds, looked, pruned } = roundsOf(world, now, async (name) => {
    if (name === ANNA) throw new SyncError('STORE_UNAVAILABLE', undefined, { cause: new Moved() });
  });
  await rounds.round();
  expect(looked.map(([name]) => name)).toEqual(['anna', 'bert']);
  expect(pruned).toEqual(['anna', 'bert']);
});

it('[P3] a round ends where the store fails, and where it is closed', async () => {
  const world = await worldOf(() => 1_000);
  world.inner.failNext({ kept: false, stayDown: true });
  world.phone.set('lost', 1);
  await world.settle();
  const { rounds, looked } = roundsOf(world, 1_000);
  await rounds.round();
  expect(looked).toEqual([]);
  world.inner.recover();
  rounds.close();
  await rounds.round();
  expect(looked).toEqual([]);
});

/** The round of one day, with the pauses in it; what fails unexpectedly is told. */
async function dayOf(world: SleepWorld) {
  const pauses: number[] = [];
  const unexpected: unknown[] = [];
  const { rounds, looked } = roundsOf(world, 1_000, undefined, {
    onUnexpected: (error) => unexpected.push(error),
    pause: async (ms) => {
      pauses.push(ms);
      if (ms > DAY / 2) rounds.close();
    },
  });
  await rounds.run();
  return { looked: looked.map(([name]) => name), pauses: pauses.slice(0, -1), unexpected };
}

/** Each look at this user fails with the next of these. */
function failFor(world: SleepWorld, name: UserId, ...errors: Error[]): void {
  const check = world.inner.check.bind(world.inner);
  world.inner.check = async (of) => {
    const error = of === name ? errors.shift() : undefined;
    if (error !== undefined) throw error;
    return check(of);
  };
}

const [FIRST, BETWEEN, AGAIN] = [600_000, 20, 60_000];
const EIO = new Error('EIO');

it('[P3] [P5] where the store fails for a moment, the round goes on there after a pause', async () => {
  const world = await worldOf(() => 1_000);
  failFor(world, BERT, new SyncError('STORE_UNAVAILABLE'));
  const pauses = [FIRST, BETWEEN, AGAIN, BETWEEN];
  expect(await dayOf(world)).toEqual({ looked: ['anna', 'bert'], pauses, unexpected: [] });
});

it('[P3] [P5] where the users can not be read for a moment, it goes on after a pause, too', async () => {
  const world = await worldOf(() => 1_000);
  vi.spyOn(world.inner, 'users').mockRejectedValueOnce(EIO);
  const pauses = [FIRST, AGAIN, BETWEEN, BETWEEN];
  expect(await dayOf(world)).toEqual({ looked: ['anna', 'bert'], pauses, unexpected: [EIO] });
});

it('[P3] [P5] a user for whom it fails again is passed over', async () => {
  const world = await worldOf(() => 1_000);
  failFor(world, ANNA, EIO, EIO);
  const pauses = [FIRST, AGAIN, BETWEEN, BETWEEN];
  expect(await dayOf(world)).toEqual({ looked: ['bert'], pauses, unexpected: [EIO, EIO] });
});

/** Two users whose history is too old, after a start; of the first one, the store never answers a pruning. */
async function withOneSilent(): Promise<{ world: SleepWorld; now: number; answer: () => void }> {
  let now = 1_000;
  const before = await worldOf(() => now);
  await before.registry.flush();
  now += 91 * DAY;
  const world = before.restarted({ now: () => now, idleTimeout: 1 });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const history = world.inner.history.bind(world.inner);
  const unanswered: (() => void)[] = [];
  world.inner.history = (name, range) => {
    if (name !== ANNA || unanswered.length > 0) return history(name, range);
    return new Promise((resolve, reject) => {
      unanswered.push(() => history(name, range).then(resolve, reject));
    });
  };
  await world.registry.open(ANNA);
  await world.settle();
  const [answer] = unanswered;
  if (answer === undefined) throw new Error('no pruning has begun');
  return { world, now, answer };
}

it('[H7] where the store never answers for one user, others have their turn, and rounds go on', async () => {
  const { world, now, answer } = await withOneSilent();
  await world.registry.open(BERT);
  const { rounds, looked } = roundsOf(world, now);
  const round = rounds.round();
  await world.settle();
  await vi.advanceTimersByTimeAsync(60_000);
  await round;
  expect(looked.map(([name]) => name)).toEqual(['anna', 'bert']);
  for (const name of [ANNA, BERT])
    expect(await world.store.history(name, { below: 100, limit: 100 })).toEqual([]);
  answer(); // after all: it has nothing to do any more
  await world.settle();
  expect(world.failures).toEqual([]);
});

it('[H7] [P8] who waits for that, and has left the memory, is not kept in it', async () => {
  const { world, answer } = await withOneSilent();
  const pruned = vi.spyOn(DocumentPruning.prototype, 'run');
  onTestFinished(() => pruned.mockRestore());
  const visit = async () => {
    const { document, release } = await world.registry.open(BERT);
    release();
    return new WeakRef(document);
  };
  const document = await visit();
  await vi.advanceTimersByTimeAsync(10);
  await world.settle();
  expect(world.registry.isInUse(BERT)).toBe(false);
  collectGarbage();
  await world.settle();
  collectGarbage();
  expect(document.deref()).toBeUndefined();
  await vi.advanceTimersByTimeAsync(60_000);
  await world.settle();
  expect(pruned).not.toHaveBeenCalled();
  const { document: again } = await world.registry.open(BERT); // it was not tried
  await world.settle();
  expect(pruned.mock.contexts).toEqual([again.pruning]);
  answer(); // which the store could all the time
});

/** The flag is set here alone, so that no other test has it. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}
