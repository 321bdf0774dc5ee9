/** What a user costs who is connected and does nothing. */
import { setTimeout as sleep } from 'node:timers/promises';
import { hasHocuspocus, hocuspocusArm, peersOption, seedByHocuspocus } from './support/hocuspocus.js';
import { sizeOf } from './support/outcome.js';
import {
  connectAll,
  copyOf,
  RECORDS,
  referenceNames,
  seedByLeveldb,
  seedByServer,
  type VisitedArm,
} from './support/population.js';
import { bareAccept, durableServer, referenceServer } from './support/programs.js';
import { type Measured, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import type { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

/** `settle`: seconds until what a document does when it comes to rest is done; `quiet`: seconds that are measured. */
const LONG = { rounds: 1, users: 10_000, settle: 45, quiet: 30 };
const SHORT = { rounds: 1, users: 1_000, settle: 5, quiet: 5 };
const MANY = { MAX_SOCKETS_PER_ADDRESS: '20000' };

export const idle = armBenchmark({
  name: 'idle',
  line: `users with ${RECORDS} records who are connected and quiet: memory and CPU of the server for each`,
  options: peersOption,
  measure,
});

async function measure({ options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const arms = await gather(size.users, scope);
  if (hasHocuspocus(options)) arms.push(hocuspocusArm(await seedByHocuspocus(size.users, scope)));
  const run = (server: ServerProcess, { device }: VisitedArm) => rest(server, size, device);
  return {
    setting: { records: RECORDS, ...size },
    limit: 'accept',
    measures: [
      { id: 'rss', line: 'memory per user', unit: 'KB' },
      { id: 'cpu', line: 'CPU per user and second', unit: 'µs' },
    ],
    arms: await race({ arms, rounds: size.rounds, cores, scope, run }),
    goals: [{ arm: 'ours', measure: 'rss', of: null, most: 15 }],
  };
}

async function gather(users: number, scope: Scope): Promise<VisitedArm[]> {
  const ours = (folder: string) => durableServer(folder, [], MANY);
  const [mine, theirs] = [
    await seedByServer(ours, users, scope),
    await seedByLeveldb(referenceNames(users), scope),
  ];
  return [
    { id: 'accept', name: 'bare accept', program: bareAccept },
    { id: 'ours', name: 'durable server', program: ours, prepare: (inner) => copyOf(mine, inner) },
    {
      id: 'leveldb',
      name: '@y/websocket-server 0.1.1 + y-leveldb',
      program: referenceServer,
      prepare: (inner) => copyOf(theirs, inner),
    },
  ];
}

async function rest(
  server: ServerProcess,
  { users, settle, quiet }: typeof LONG,
  device: VisitedArm['device'],
): Promise<Measured> {
  const before = server.rss();
  const { leave } = await connectAll('up to date', users, server.port, device);
  await sleep(settle * 1_000);
  const [rss, busy] = [server.rss() - before, server.cpu()];
  await sleep(quiet * 1_000);
  const cpu = ((server.cpu() - busy) * 1_000) / users / quiet;
  leave();
  return { rss: rss / users, cpu };
}
