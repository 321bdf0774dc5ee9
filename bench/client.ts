/** Our client adds very many records at once: what being online adds to it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { sizeOf } from './support/outcome.js';
import { durableServer } from './support/programs.js';
import { type Arm, type Measured, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import type { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 5, records: 10_000 };
const SHORT = { rounds: 3, records: 2_000 };
/** Where nobody listens. */
const NOWHERE = 1;

export const client = armBenchmark({
  name: 'client',
  line: 'addData for very many records at once, by our client in Node with its store in memory',
  measure,
});

interface ClientArm extends Arm {
  readonly online: boolean;
}

async function measure({ options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const arms: ClientArm[] = [
    { id: 'offline', name: 'offline', program: durableServer, online: false },
    { id: 'online', name: 'online', program: durableServer, online: true },
  ];
  const run = (server: ServerProcess, { online }: ClientArm, inner: Scope) =>
    addData(online ? server.port : NOWHERE, size.records, inner);
  return {
    setting: size,
    limit: 'offline',
    measures: [
      { id: 'cpu', line: 'CPU until all calls have resolved, warm', unit: 'ms' },
      { id: 'warm', line: 'time until then', unit: 'ms' },
      { id: 'cold', line: 'the same time, cold', unit: 'ms' },
      { id: 'synced', line: 'until the server has all of it, warm', unit: 'ms' },
    ],
    arms: await race({ arms, rounds: size.rounds, cores, scope, run }),
    goals: ['cpu', 'warm'].map((measure) => ({ arm: 'online', measure, of: 'offline', most: 2 })),
  };
}

/** In a process of its own each time, on the core of the load. */
async function addData(port: number, records: number, scope: Scope): Promise<Measured> {
  const args = ['--import', 'tsx', 'bench/clients/add-data.ts', String(port), String(records)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  scope.atEnd(() => child.kill('SIGKILL'));
  const [measured] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('The client ended before it was done.'))),
  ]);
  return measured as Measured;
}
