/** Servers side by side while the same crowd edits at each: CPU per update, and what a crash loses. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cores } from './cores.js';
import { Crowd, type Device, type Stretch } from './crowd.js';
import type { Edits } from './edits.js';
import type { ArmFigures, Goal } from './figures.js';
import { lossOf, syncsOf } from './loss.js';
import { NativeDevice } from './native-device.js';
import { type Size, sizeOf } from './outcome.js';
import { type Arm, type Measured, race, within } from './race.js';
import type { Scope } from './scope.js';
import type { ServerProcess } from './server-process.js';
import type { Found, Start } from './start.js';

export const USERS = 200;
export const DEVICES = 3;

export interface EditArm<Frame> extends Arm {
  readonly device: (port: number, user: string, index: number) => Device<Frame>;
  /** Whether the program writes to a disk, so that a crash can be survived. */
  readonly stores: boolean;
  /** A native device that reads what is stored; one of y-websocket where it is left out. */
  readonly reader?: (port: number, user: string) => NativeDevice;
}

const yReader = (port: number, user: string): NativeDevice =>
  new NativeDevice(`ws://127.0.0.1:${port}/yjs/${user}`, true);

export interface Contest<Frame> {
  readonly arms: readonly EditArm<Frame>[];
  readonly goals: readonly Goal[];
  readonly edits: (count: number) => Edits<Frame>;
  /** Edits per second of all users together; left out: each user makes the next one when the last has arrived. */
  readonly rate?: number;
}

interface Load extends Size {
  /** Edits of each user in each of the two loads of a round. */
  readonly edits: number;
}

const LONG: Load = { rounds: 5, edits: 100 };
const SHORT: Load = { rounds: 3, edits: 40 };

const MEASURES = [
  { id: 'warm', line: 'CPU per update, warm', unit: 'µs' },
  { id: 'cold', line: 'CPU per update, cold', unit: 'µs' },
];

/** What work is like on this machine now, and what ours takes. */
const LEAN: ReadonlySet<string> = new Set(['floor', 'ours']);

export async function compete<Frame>(
  contest: Contest<Frame>,
  { options, scope, cores }: Start,
): Promise<Found> {
  const { rounds, edits: count } = sizeOf(options, LONG, SHORT);
  const edits = contest.edits(2 * count);
  const lean = options.has('lean');
  const racers = lean ? contest.arms.filter(({ id }) => LEAN.has(id)) : contest.arms;
  const gather = (arm: EditArm<Frame>, server: ServerProcess, inner: Scope) =>
    gatherAt(arm, edits, server, inner);
  const arms = await race({
    arms: racers,
    rounds,
    cores,
    scope,
    run: async (server, arm, inner) =>
      loadTwice(server, await gather(arm, server, inner), count, contest.rate),
  });
  // At a rate, what arrives is not told from what is sent again (L4): what is lost is counted in turn only.
  const showsFacts = !lean && contest.rate === undefined;
  const factsFor = (arm: EditArm<Frame>) =>
    within(scope, (inner) =>
      factsOf(arm, { cores, edits: 2 * count, scope: inner }, (server) => gather(arm, server, inner)),
    );
  const isThere = (id: string | null) => id === null || arms.some((arm) => arm.id === id);
  return {
    setting: { users: USERS, devices: DEVICES, 'updates a load': USERS * count, rounds },
    limit: racers[0]?.id ?? '',
    measures: MEASURES,
    arms: showsFacts ? await withFacts(arms, racers, factsFor) : arms,
    goals: contest.goals.filter(({ arm, of }) => isThere(arm) && isThere(of)),
  };
}

async function withFacts<A extends Arm>(
  figures: readonly ArmFigures[],
  arms: readonly A[],
  factsFor: (arm: A) => Promise<ArmFigures['facts']>,
): Promise<ArmFigures[]> {
  const all: ArmFigures[] = [];
  for (const [index, arm] of arms.entries())
    all.push({ ...(figures[index] as ArmFigures), facts: await factsFor(arm) });
  return all;
}

export async function gatherAt<Frame>(
  { device }: EditArm<Frame>,
  edits: Edits<Frame>,
  { port }: ServerProcess,
  scope: Scope,
): Promise<Crowd<Frame>> {
  const crowd = await Crowd.gather({
    users: USERS,
    devicesPerUser: DEVICES,
    device: (user, index) => device(port, user, index),
    edits,
  });
  scope.atEnd(() => crowd.leave());
  return crowd;
}

/** The first load meets code that was never run; the second one is warm. */
async function loadTwice<Frame>(
  server: ServerProcess,
  crowd: Crowd<Frame>,
  count: number,
  rate: number | undefined,
): Promise<Measured> {
  const cpuPerUpdate = async () => {
    const before = server.cpu();
    const { edits } = await loadOnce(crowd, count, rate);
    await atRest(server);
    return ((server.cpu() - before) * 1_000) / edits;
  };
  const cold = await cpuPerUpdate();
  return { cold, warm: await cpuPerUpdate() };
}

/** So many edits of each user, in turn or at a rate. */
export const loadOnce = <Frame>(
  crowd: Crowd<Frame>,
  count: number,
  rate: number | undefined,
): Promise<Stretch> =>
  rate === undefined ? crowd.editInTurn(count) : crowd.edit(rate, (count * USERS) / rate);

const LOOK = 200;
const MOST_LOOKS = 100;

/** A server that stores behind its answers has work left when all have seen the last edit: that counts, too. */
export async function atRest(server: Pick<ServerProcess, 'cpu'>): Promise<void> {
  let before = server.cpu();
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    await sleep(LOOK);
    const now = server.cpu();
    if (now - before < LOOK / 10) return;
    before = now;
  }
}

interface Where {
  readonly cores: Cores | null;
  readonly edits: number;
  readonly scope: Scope;
}

async function factsOf<Frame>(
  arm: EditArm<Frame>,
  { cores, edits, scope }: Where,
  gather: (server: ServerProcess) => Promise<Crowd<Frame>>,
): Promise<Record<string, string>> {
  if (!arm.stores) return { [DURABLE]: 'no: kept nowhere', [LOST]: 'all' };
  const runOf = async (count: number) => ({
    program: arm.program(await scope.folder()),
    core: cores?.server ?? null,
    gather,
    edits: count,
    scope,
    reader: arm.reader ?? yReader,
  });
  const { seen, lost } = await lossOf(await runOf(edits));
  const syncs = await syncsOf(await runOf(FEW));
  const fsyncs = syncs === null ? 'fsyncs not traced' : `${syncs} fsyncs for ${FEW * USERS} edits`;
  return {
    [DURABLE]: `${lost === 0 && syncs !== 0 ? 'yes' : 'no'}: ${fsyncs}`,
    [LOST]: `${lost} of ${seen} seen`,
  };
}

const FEW = 5;
const DURABLE = 'durable when shown';
const LOST = 'lost after kill -9 in mid-run';
