/** Everybody comes back at once after a restart: CPU of the server per user, beside one that only accepts. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasHocuspocus, hocuspocusArm, peersOption, seedByHocuspocus } from './support/hocuspocus.js';
import { sizeOf } from './support/outcome.js';
import {
  connectAll,
  copyOf,
  type Kind,
  type Present,
  RECORDS,
  referenceNames,
  seedByLeveldb,
  seedByServer,
  type VisitedArm,
} from './support/population.js';
import { type Profiling, profilable } from './support/profile.js';
import { bareAccept, durableServer, floorServer, type Program, referenceServer } from './support/programs.js';
import { type Arm, type Measured, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import type { ServerProcess } from './support/server-process.js';
import { type ArmBenchmark, armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 3, users: 2_000 };
const SHORT = { rounds: 3, users: 500 };
/** Of the two servers that the goal compares. */
const LARGE = { rounds: 1, users: 10_000 };
/** So that the second storm, like the first, finds no document in memory, and what is noted of who left is written. */
const LET_GO = { IDLE_TIMEOUT: '1s', MAX_SOCKETS_PER_ADDRESS: '20000' };
const FORGETTING = 6_000;
/** Before the warm one that is profiled. */
const WARM_UPS = 2;
const MEASURES = [
  { id: 'cold', line: 'CPU per user, cold', unit: 'ms' },
  { id: 'warm', line: 'CPU per user, warm', unit: 'ms' },
  { id: 'incomplete', line: 'users without all records', unit: 'of all' },
];

const stormOf = (name: string, kind: Kind, devices: string, most: number): ArmBenchmark => {
  const benchmark = armBenchmark({
    name,
    line: `after a restart all users connect, ${RECORDS} records each, ${devices}: server CPU per user`,
    options: {
      ...(kind !== 'JSON' && peersOption),
      large: `${LARGE.users.toLocaleString('en')} users, of the two that the goal compares`,
    },
    measure: (start) => measure(kind, most, start),
  });
  return profilable(benchmark, (options, scope) => profilingsOf(name, kind, options, scope));
};

export const storm = stormOf('storm', 'up to date', 'native devices that lack nothing', 2);
export const stormFresh = stormOf('storm-fresh', 'fresh', 'native devices that have nothing yet', 3.5);
export const stormJson = stormOf('storm-json', 'JSON', 'JSON devices', 4);

async function measure(kind: Kind, most: number, { options, scope, cores }: Start): Promise<Found> {
  const { users, rounds } = stormSize(options);
  const isLarge = options.has('large');
  const run = (server: ServerProcess, { device }: VisitedArm) =>
    stormTwice(server, () => connectAll(kind, users, server.port, device), users);
  const arms = await gather(kind, users, scope, isLarge);
  if (kind !== 'JSON' && hasHocuspocus(options))
    arms.push(hocuspocusArm(await seedByHocuspocus(users, scope)));
  return {
    setting: { users, records: RECORDS, rounds },
    limit: 'accept',
    measures: MEASURES,
    arms: await race({ arms, rounds, cores, scope, run }),
    goals: ['cold', 'warm'].map((measure) => ({ arm: 'ours', measure, of: 'accept', most })),
  };
}

const stormSize = (options: ReadonlySet<string>): typeof LONG =>
  options.has('large') ? LARGE : sizeOf(options, LONG, SHORT);

/** Each with the records already on its disk, as it stores them itself. */
async function gather(kind: Kind, users: number, scope: Scope, isLarge: boolean): Promise<VisitedArm[]> {
  const ours = (folder: string) => durableServer(folder, [], LET_GO);
  const seeded = (id: string, name: string, program: (folder: string) => Program, folder: string): Arm => ({
    id,
    name,
    program,
    prepare: (inner) => copyOf(folder, inner),
  });
  const accept: Arm = { id: 'accept', name: 'bare accept, constant answers', program: bareAccept };
  const durable = seeded(
    'ours',
    'durable server',
    ours,
    await seedByServer(ours, users, scope, kind === 'JSON' ? 'JSON' : 'native'),
  );
  if (kind === 'JSON' || isLarge) return [accept, durable];
  return [
    accept,
    seeded('floor', 'floor server', floorServer, await seedByServer(floorServer, users, scope)),
    durable,
    seeded(
      'leveldb',
      '@y/websocket-server 0.1.1 + y-leveldb',
      referenceServer,
      await seedByLeveldb(referenceNames(users), scope),
    ),
  ];
}

/** The first storm of a process, and one of those that come after. */
async function profilingsOf(
  name: string,
  kind: Kind,
  options: ReadonlySet<string>,
  scope: Scope,
): Promise<Profiling<VisitedArm>[]> {
  const { users } = stormSize(options);
  const all = await gather(kind, users, scope, options.has('large'));
  const arms = all.filter(({ id }) => id !== 'leveldb');
  const profiling = (moment: string, before: number): Profiling<VisitedArm> => ({
    name: `${name}, ${moment}`,
    arms,
    unit: 'reconnect',
    count: users,
    prepare: async (server, { device }, inner) => {
      const come = () => connectAll(kind, users, server.port, device);
      for (let storms = 0; storms < before; storms++) {
        (await come()).leave();
        await sleep(FORGETTING);
      }
      return async () => {
        const { leave } = await come();
        inner.atEnd(leave);
      };
    },
  });
  return [profiling('cold', 0), profiling('warm', WARM_UPS)];
}

async function stormTwice(
  server: ServerProcess,
  connect: () => Promise<Present>,
  users: number,
): Promise<Measured> {
  const one = async () => {
    const before = server.cpu();
    const { incomplete, leave } = await connect();
    const perUser = (server.cpu() - before) / users;
    leave();
    return { perUser, incomplete };
  };
  const { perUser: cold, incomplete } = await one();
  await sleep(FORGETTING);
  return { cold, warm: (await one()).perUser, incomplete };
}
