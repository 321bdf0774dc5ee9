/** Where the CPU of a server goes: ours beside others, function by function, in µs of what is counted. */
import { mkdirSync, readFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { pathToFileURL } from 'node:url';
import { functionTimes } from './cpu-profile.js';
import { print, table } from './print.js';
import { functionRows, type Profiled, partRows } from './profile-tables.js';
import { type Arm, pin, within } from './race.js';
import type { Scope } from './scope.js';
import { buildServer, ServerProcess, type ThreadTimes } from './server-process.js';
import type { ArmBenchmark } from './start.js';

const profileOption = {
  profile: 'where the CPU goes instead: a table of parts and of functions, and profiles in artifacts/',
} as const;

const FOLDER = 'artifacts';
const HOOK = ['--import', pathToFileURL('bench/servers/profile-hook.mjs').href];

/** One comparison. */
export interface Profiling<A extends Arm> {
  /** What its files and its table are called. */
  readonly name: string;
  /** Ours is among them, as `ours`; the others stand beside it in this order. */
  readonly arms: readonly A[];
  /** What is counted. */
  readonly unit: string;
  readonly count: number;
  /** Does what is not to be in the profile; resolves with what is. */
  readonly prepare: (server: ServerProcess, arm: A, scope: Scope) => Promise<() => Promise<unknown>>;
}

/** The benchmark; with `--profile`, servers of it are profiled instead. */
export function profilable<A extends Arm>(
  benchmark: ArmBenchmark,
  profilingsOf: (options: ReadonlySet<string>, scope: Scope) => Promise<readonly Profiling<A>[]>,
): ArmBenchmark {
  const profile = async (options: ReadonlySet<string>, scope: Scope): Promise<number> => {
    if (!options.has('built')) buildServer();
    mkdirSync(FOLDER, { recursive: true });
    const core = pin()?.server ?? null;
    for (const profiling of await profilingsOf(options, scope)) await profileAll(profiling, core, scope);
    return 0;
  };
  return {
    ...benchmark,
    options: { ...benchmark.options, ...profileOption },
    run: (options, scope) =>
      options.has('profile') ? profile(options, scope) : benchmark.run(options, scope),
  };
}

async function profileAll<A extends Arm>(
  profiling: Profiling<A>,
  core: number | null,
  scope: Scope,
): Promise<void> {
  const found = new Map<string, Profiled>();
  for (const arm of profiling.arms)
    found.set(arm.id, await within(scope, (inner) => profileOne(profiling, arm, core, inner)));
  const { name, unit, count } = profiling;
  const ours = found.get('ours');
  if (ours === undefined) throw new Error(`${name} lacks our server.`);
  found.delete('ours');
  print(`\nµs per ${unit}, ${name}, of ${count}\n`);
  print(table(partRows(ours, found)));
  print();
  print(table(functionRows(ours)));
}

async function profileOne<A extends Arm>(
  { name, count, prepare }: Profiling<A>,
  arm: A,
  core: number | null,
  scope: Scope,
): Promise<Profiled> {
  const folder = await (arm.prepare?.(scope) ?? scope.folder());
  const program = arm.program(folder)(core);
  const server = await ServerProcess.start({ ...program, args: [...HOOK, ...program.args] }, scope);
  const work = await prepare(server, arm, scope);
  const file = `${FOLDER}/${name.replaceAll(/\W+/g, '-')}-${arm.id}.cpuprofile`;
  const threads = await server.profiled(file, async () => {
    const before = server.threads();
    await work();
    return microsPer(before, server.threads(), count);
  });
  return { threads, functions: functionTimes(JSON.parse(readFileSync(file, 'utf8')) as Profiler.Profile) };
}

function microsPer(before: ThreadTimes, after: ThreadTimes, count: number): ThreadTimes {
  const of = (kind: keyof ThreadTimes) => ((after[kind] - before[kind]) * 1_000) / count;
  return { user: of('user'), kernel: of('kernel'), others: of('others') };
}
