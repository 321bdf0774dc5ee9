/** Everybody comes back at once after a restart: CPU of the server per user, beside one that only accepts. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Figures } from './support/figures.js';
import { commonOptions, conclude, machine, sizeOf } from './support/outcome.js';
import { connectAll, copyOf, type Kind, RECORDS, seedByLeveldb, seedByServer } from './support/population.js';
import { bareAccept, durableServer, floorServer, type Program, referenceServer } from './support/programs.js';
import { type Arm, type Measured, pin, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import { buildServer, type ServerProcess } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const LONG = { rounds: 3, users: 2_000 };
const SHORT = { rounds: 3, users: 500 };
const LARGE = 10_000;
/** So that the second storm, like the first, finds no document in memory. */
const LET_GO = { IDLE_TIMEOUT: '1s', MAX_SOCKETS_PER_ADDRESS: '20000' };
const FORGETTING = 3_000;

const storms: readonly { name: string; kind: Kind; line: string; most: number }[] = [
  { name: 'storm', kind: 'up to date', line: 'native devices that lack nothing', most: 2 },
  { name: 'storm-fresh', kind: 'fresh', line: 'native devices that have nothing yet', most: 3.5 },
  { name: 'storm-json', kind: 'JSON', line: 'JSON devices', most: 4 },
];

export const [storm, stormFresh, stormJson] = storms.map(({ name, kind, line, most }): Benchmark => {
  const whole = `after a restart all users connect, ${RECORDS} records each, ${line}: server CPU per user`;
  return {
    name,
    line: whole,
    options: {
      ...commonOptions,
      large: `${LARGE.toLocaleString('en')} users instead of ${LONG.users.toLocaleString('en')}`,
    },
    longest: () => 1_200_000,
    run: async (options, scope) => {
      if (!options.has('built')) buildServer();
      const benchmark = options.has('large') ? `${name}-large` : name;
      const measured = await measure(kind, options, scope);
      const goals = ['cold', 'warm'].map((id) => ({ arm: 'ours', measure: id, of: 'accept', most }));
      return conclude({ benchmark, line: whole, ...measured, goals }, options);
    },
  };
}) as [Benchmark, Benchmark, Benchmark];

type Measurement = Omit<Figures, 'benchmark' | 'line' | 'goals'>;

async function measure(kind: Kind, options: ReadonlySet<string>, scope: Scope): Promise<Measurement> {
  const size = sizeOf(options, LONG, SHORT);
  const users = options.has('large') ? LARGE : size.users;
  const cores = pin();
  const before = machine(cores !== null);
  const arms = await gather(kind, users, scope);
  const run = (server: ServerProcess) => stormTwice(kind, users, server);
  return {
    short: options.has('short'),
    taken: new Date().toISOString(),
    machine: before,
    setting: { users, records: RECORDS, rounds: size.rounds },
    limit: 'accept',
    measures: [
      { id: 'cold', line: 'CPU per user, cold', unit: 'ms' },
      { id: 'warm', line: 'CPU per user, warm', unit: 'ms' },
      { id: 'incomplete', line: 'users without all records', unit: 'of all' },
    ],
    arms: await race({ arms, rounds: size.rounds, cores, scope, run }),
  };
}

/** Each with the records already on its disk, as it stores them itself. */
async function gather(kind: Kind, users: number, scope: Scope): Promise<Arm[]> {
  const ours = (folder: string) => durableServer(folder, [], LET_GO);
  const seeded = (id: string, name: string, program: (folder: string) => Program, folder: string): Arm => ({
    id,
    name,
    program,
    prepare: (inner) => copyOf(folder, inner),
  });
  const accept: Arm = { id: 'accept', name: 'bare accept, constant answers', program: bareAccept };
  const durable = seeded('ours', 'durable server', ours, await seedByServer(ours, users, scope));
  if (kind === 'JSON') return [accept, durable];
  return [
    accept,
    seeded('floor', 'floor server', floorServer, await seedByServer(floorServer, users, scope)),
    durable,
    seeded(
      'leveldb',
      '@y/websocket-server 0.1.1 + y-leveldb',
      referenceServer,
      await seedByLeveldb(users, scope),
    ),
  ];
}

async function stormTwice(kind: Kind, users: number, server: ServerProcess): Promise<Measured> {
  const one = async () => {
    const before = server.cpu();
    const { incomplete, leave } = await connectAll(kind, users, server.port);
    const perUser = (server.cpu() - before) / users;
    leave();
    return { perUser, incomplete };
  };
  const { perUser: cold, incomplete } = await one();
  await sleep(FORGETTING);
  return { cold, warm: (await one()).perUser, incomplete };
}
