/** What an update costs the server that has to keep it and pass it on, beside a relay that only passes it on. */
import { join } from 'node:path';
import { type Cores, pinSelf, twoCores } from './support/cores.js';
import { Crowd, type Stretch } from './support/crowd.js';
import { type Edits, prepareEdits } from './support/edits.js';
import { median, print, quantile, table } from './support/print.js';
import { durableServer, referenceServer, relay } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { buildServer, ServerProcess, type ServerProgram } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const USERS = 200;
const DEVICES = 3;
/** Edits per second of all users together, far from what any of the servers can take. */
const RATE = 2_000;
const EXPECTED = 2.2;
/** A short run measures less exactly: it fails only beyond this. */
const SHORT_TOLERANCE = 1.2;

interface Times {
  readonly rounds: number;
  /** Seconds, once per server before the first round. */
  readonly warmUp: number;
  /** Seconds, in each round before the measurement. */
  readonly settle: number;
  readonly measure: number;
}

const LONG: Times = { rounds: 7, warmUp: 4, settle: 0.5, measure: 4 };
const SHORT: Times = { rounds: 3, warmUp: 1, settle: 0.2, measure: 1.7 };

interface Round extends Stretch {
  /** Server CPU per update, in µs. */
  readonly cpu: number;
  /** Updates per batch on disk, where it is known. */
  readonly perBatch: number | null;
}

interface Contestant {
  readonly name: string;
  readonly server: ServerProcess;
  readonly crowd: Crowd;
  readonly countsBatches: boolean;
  readonly rounds: Round[];
}

export const fanout: Benchmark = {
  name: 'fanout',
  line: `server CPU per update, ${USERS} users × ${DEVICES} native devices, beside a relay and a reference`,
  options: {
    short: 'fewer and shorter rounds (at most 40 s)',
    check: `exit code 1 above ${EXPECTED} × the relay (with --short: above ${(EXPECTED * SHORT_TOLERANCE).toFixed(2)} ×)`,
    profile: 'writes a CPU profile of the durable server to artifacts/',
  },
  longest: (options) => (options.has('short') ? 90_000 : 300_000),
  run: async (options, scope) => {
    const times = options.has('short') ? SHORT : LONG;
    buildServer();
    const cores = pin();
    print(
      `${USERS} users × ${DEVICES} devices, ${RATE} edits/s, ${times.rounds} rounds of ${times.measure} s;`,
    );
    print('durable server: dist/server/main.js, NODE_ENV=production, LOG_LEVEL=warn\n');
    const contestants = await gather(times, cores, options.has('profile'), scope);
    for (const each of contestants) await each.crowd.edit(RATE, times.warmUp);
    for (let round = 0; round < times.rounds; round += 1) {
      for (const each of contestants) each.rounds.push(await measure(each, times));
    }
    report(contestants);
    return judge(contestants, options);
  },
};

function pin(): Cores | null {
  const cores = twoCores();
  if (cores === null) {
    print('No second core or no taskset: nothing is pinned, and the load disturbs the measurement.');
    return null;
  }
  pinSelf(cores.load);
  print(`Each server on core ${cores.server}, the load on core ${cores.load}.`);
  return cores;
}

async function gather(
  times: Times,
  cores: Cores | null,
  profile: boolean,
  scope: Scope,
): Promise<Contestant[]> {
  const folder = await scope.folder();
  const nodeOptions = profile ? ['--cpu-prof', '--cpu-prof-dir=artifacts'] : [];
  const seconds = times.warmUp + times.rounds * (times.settle + times.measure);
  const edits = prepareEdits(Math.ceil((seconds * RATE) / USERS) + 2 * times.rounds + 2);
  const core = cores?.server ?? null;
  return [
    await enter(durableServer(join(folder, 'ours'), nodeOptions)(core), edits, scope),
    await enter(relay(core), edits, scope),
    await enter(referenceServer(join(folder, 'reference'))(core), edits, scope),
  ];
}

async function enter(program: ServerProgram, edits: Edits, scope: Scope): Promise<Contestant> {
  const server = await ServerProcess.start(program, scope);
  const handshake = program.name !== 'ws relay';
  const crowd = await Crowd.gather(`ws://127.0.0.1:${server.port}/yjs`, {
    users: USERS,
    devicesPerUser: DEVICES,
    handshake,
    edits,
  });
  scope.atEnd(() => crowd.leave());
  return { name: program.name, server, crowd, countsBatches: program.name === 'durable server', rounds: [] };
}

async function measure({ server, crowd, countsBatches }: Contestant, times: Times): Promise<Round> {
  await crowd.edit(RATE, times.settle);
  const batchesBefore = countsBatches ? await server.ask<number>('batches') : 0;
  const before = server.cpu();
  const stretch = await crowd.edit(RATE, times.measure);
  const cpu = ((server.cpu() - before) * 1000) / stretch.edits;
  const perBatch = countsBatches
    ? stretch.edits / ((await server.ask<number>('batches')) - batchesBefore)
    : null;
  return { ...stretch, cpu, perBatch };
}

const cpuOf = ({ rounds }: Contestant): number => median(rounds.map(({ cpu }) => cpu));

function report(contestants: readonly Contestant[]): void {
  const relayCpu = cpuOf(find(contestants, 'ws relay'));
  const header = ['', 'µs CPU/update', '(rounds)', '× relay', 'p50 ms', 'p99 ms', 'updates/batch'];
  const rows = contestants.map((each) => {
    const latencies = each.rounds.flatMap((round) => round.latencies);
    const batches = each.rounds.flatMap(({ perBatch }) => perBatch ?? []);
    return [
      each.name,
      cpuOf(each).toFixed(0),
      each.rounds.map(({ cpu }) => cpu.toFixed(0)).join(' '),
      (cpuOf(each) / relayCpu).toFixed(2),
      quantile(latencies, 0.5).toFixed(2),
      quantile(latencies, 0.99).toFixed(2),
      batches.length === 0 ? '-' : median(batches).toFixed(1),
    ];
  });
  print(table([header, ...rows]));
  for (const { name, rounds } of contestants) {
    const slow = rounds.filter(({ drain }) => drain > 1_000).length;
    if (slow > 0)
      print(`The ${name} did not keep up in ${slow} rounds: the machine is too busy or too slow.`);
  }
}

function judge(contestants: readonly Contestant[], options: ReadonlySet<string>): number {
  const ratio = cpuOf(find(contestants, 'durable server')) / cpuOf(find(contestants, 'ws relay'));
  print(`\nfanout: durable server / relay = ${ratio.toFixed(2)} (expected ≤ ${EXPECTED})`);
  if (ratio <= EXPECTED) return 0;
  const limit = EXPECTED * (options.has('short') ? SHORT_TOLERANCE : 1);
  if (ratio <= limit) print('Warning: above the expectation, within what a short run can be wrong.');
  return options.has('check') && ratio > limit ? 1 : 0;
}

function find(contestants: readonly Contestant[], name: string): Contestant {
  const found = contestants.find((each) => each.name === name);
  if (found === undefined) throw new Error(`There is no ${name}.`);
  return found;
}
