/** Servers side by side: the same crowd at each, rounds in turn, and the CPU of each per update beside a relay's. */
import { type Cores, pinSelf, twoCores } from './cores.js';
import type { Crowd, Stretch } from './crowd.js';
import { median, print, quantile, table } from './print.js';
import type { ServerProcess } from './server-process.js';

export const USERS = 200;
export const DEVICES = 3;
/** A short run measures less exactly: it fails only beyond this. */
const SHORT_TOLERANCE = 1.2;

export interface Contest {
  readonly name: string;
  /** Edits per second of all users together, far from what any of the servers can take. */
  readonly rate: number;
  /** How many times the CPU of the relay the durable server may take. */
  readonly expected: number;
}

type Options = ReadonlySet<string>;

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
const timesOf = (options: Options): Times => (options.has('short') ? SHORT : LONG);

interface Round extends Stretch {
  /** Server CPU per update, in µs. */
  readonly cpu: number;
  /** Updates per batch on disk, where it is known. */
  readonly perBatch: number | null;
}

export type Role = 'durable' | 'encrypted' | 'relay' | 'reference';

export interface Contestant {
  readonly name: string;
  readonly role: Role;
  readonly server: ServerProcess;
  readonly crowd: Pick<Crowd<unknown>, 'edit'>;
  readonly rounds: Round[];
}

/** What `--help` says of `--check` and `--profile`. */
export const contestOptions = ({ expected }: Contest) => ({
  check: `exit code 1 above ${expected} × the relay (with --short: above ${(expected * SHORT_TOLERANCE).toFixed(2)} ×)`,
  profile: 'writes a CPU profile of the durable server to artifacts/',
});

/** Arguments of node for the durable server. */
export const profileOptions = (options: Options): string[] =>
  options.has('profile') ? ['--cpu-prof', '--cpu-prof-dir=artifacts'] : [];

export function pin(): Cores | null {
  const cores = twoCores();
  if (cores === null) {
    print('No second core or no taskset: nothing is pinned, and the load disturbs the measurement.');
    return null;
  }
  pinSelf(cores.load);
  print(`Each server on core ${cores.server}, the load on core ${cores.load}.`);
  return cores;
}

export function announce({ rate }: Contest, options: Options): void {
  const { rounds, measure } = timesOf(options);
  print(`${USERS} users × ${DEVICES} devices, ${rate} edits/s, ${rounds} rounds of ${measure} s;`);
  print('durable server: packages/server/dist/server/main.js, NODE_ENV=production, LOG_LEVEL=warn\n');
}

/** How many edits each user makes at most. */
export function editsPerUser({ rate }: Contest, options: Options): number {
  const { rounds, warmUp, settle, measure } = timesOf(options);
  return Math.ceil(((warmUp + rounds * (settle + measure)) * rate) / USERS) + 2 * rounds + 2;
}

export async function compete(
  contestants: readonly Contestant[],
  { rate }: Contest,
  options: Options,
): Promise<void> {
  const times = timesOf(options);
  for (const { crowd } of contestants) await crowd.edit(rate, times.warmUp);
  for (let round = 0; round < times.rounds; round += 1) {
    for (const each of contestants) each.rounds.push(await measure(each, rate, times));
  }
}

async function measure({ server, crowd, role }: Contestant, rate: number, times: Times): Promise<Round> {
  await crowd.edit(rate, times.settle);
  const countsBatches = role === 'durable' || role === 'encrypted';
  const batchesBefore = countsBatches ? await server.ask<number>('batches') : 0;
  const before = server.cpu();
  const stretch = await crowd.edit(rate, times.measure);
  const cpu = ((server.cpu() - before) * 1000) / stretch.edits;
  const perBatch = countsBatches
    ? stretch.edits / ((await server.ask<number>('batches')) - batchesBefore)
    : null;
  return { ...stretch, cpu, perBatch };
}

const cpuOf = ({ rounds }: Contestant): number => median(rounds.map(({ cpu }) => cpu));

export function report(contestants: readonly Contestant[]): void {
  const relayCpu = cpuOf(find(contestants, 'relay'));
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

/** What encryption may add to the CPU of an update. */
const ENCRYPTION = 1.1;

/** The exit code for what encryption costs; each round of one server stands beside that of the other. */
export function judgeEncryption(contestants: readonly Contestant[], options: Options): number {
  const plain = find(contestants, 'durable').rounds;
  const ratios = find(contestants, 'encrypted').rounds.map(
    ({ cpu }, round) => cpu / (plain[round]?.cpu ?? cpu),
  );
  const ratio = median(ratios);
  print(`encrypted / durable = ${ratio.toFixed(2)} (expected ≤ ${ENCRYPTION})`);
  const limit = ENCRYPTION * (options.has('short') ? SHORT_TOLERANCE : 1);
  return options.has('check') && ratio > limit ? 1 : 0;
}

/** The exit code. */
export function judge(
  contestants: readonly Contestant[],
  { name, expected }: Contest,
  options: Options,
): number {
  const ratio = cpuOf(find(contestants, 'durable')) / cpuOf(find(contestants, 'relay'));
  print(`\n${name}: durable server / relay = ${ratio.toFixed(2)} (expected ≤ ${expected})`);
  if (ratio <= expected) return 0;
  const limit = expected * (options.has('short') ? SHORT_TOLERANCE : 1);
  if (ratio <= limit) print('Warning: above the expectation, within what a short run can be wrong.');
  return options.has('check') && ratio > limit ? 1 : 0;
}

function find(contestants: readonly Contestant[], role: Role): Contestant {
  const found = contestants.find((each) => each.role === role);
  if (found === undefined) throw new Error(`There is no ${role}.`);
  return found;
}
