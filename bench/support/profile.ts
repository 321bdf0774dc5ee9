/** Where the CPU of an edit goes: our server beside the floor, function by function, in µs per edit of a warm process. */
import { mkdirSync, readFileSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { pathToFileURL } from 'node:url';
import { atRest, type Contest, type EditArm, gatherAt, loadOnce, USERS } from './contest.js';
import { BUILT_IN, type FunctionTime, functionTimes } from './cpu-profile.js';
import { sizeOf } from './outcome.js';
import { print, table } from './print.js';
import { pin, within } from './race.js';
import type { Scope } from './scope.js';
import { buildServer, ServerProcess, type ThreadTimes } from './server-process.js';
import type { ArmBenchmark } from './start.js';

export const profileOption = {
  profile: 'where the CPU goes instead: a table of parts and of functions, and profiles in artifacts/',
} as const;

/** Edits of each user; the first ones are not in the profile. */
const LONG = { rounds: 1, warmUp: 60, edits: 200 };
const SHORT = { rounds: 1, warmUp: 40, edits: 60 };
const FOLDER = 'artifacts';
const HOOK = ['--import', pathToFileURL('bench/servers/profile-hook.mjs').href];
const MOST_FUNCTIONS = 60;

/** The benchmark; with `--profile`, its two servers that store are profiled instead. */
export function profilable<Frame>(
  benchmark: ArmBenchmark,
  contestOf: (options: ReadonlySet<string>) => Contest<Frame>,
): ArmBenchmark {
  return {
    ...benchmark,
    options: { ...benchmark.options, ...profileOption },
    run: (options, scope) =>
      options.has('profile')
        ? profile(benchmark.name, contestOf(options), options, scope)
        : benchmark.run(options, scope),
  };
}

interface Profiled {
  /** In µs of an edit. */
  readonly threads: ThreadTimes;
  readonly functions: readonly FunctionTime[];
}

async function profile<Frame>(
  name: string,
  contest: Contest<Frame>,
  options: ReadonlySet<string>,
  scope: Scope,
): Promise<number> {
  if (!options.has('built')) buildServer();
  mkdirSync(FOLDER, { recursive: true });
  const core = pin()?.server ?? null;
  const size = sizeOf(options, LONG, SHORT);
  const found = new Map<string, Profiled>();
  for (const arm of contest.arms.filter(({ id }) => id === 'floor' || id === 'ours')) {
    const file = `${FOLDER}/${name}-${arm.id}.cpuprofile`;
    found.set(
      arm.id,
      await within(scope, (inner) => profileOne({ arm, contest, core, size, file, scope: inner })),
    );
  }
  const [ours, floor] = [found.get('ours'), found.get('floor')];
  if (ours === undefined || floor === undefined) throw new Error(`${name} lacks a server to compare.`);
  print(`\nµs per edit, warm, of ${USERS * size.edits} edits\n`);
  print(table(partRows(ours, floor)));
  print();
  print(table(functionRows(ours)));
  return 0;
}

interface Run<Frame> {
  readonly arm: EditArm<Frame>;
  readonly contest: Contest<Frame>;
  readonly core: number | null;
  readonly size: typeof LONG;
  readonly file: string;
  readonly scope: Scope;
}

async function profileOne<Frame>({ arm, contest, core, size, file, scope }: Run<Frame>): Promise<Profiled> {
  const program = arm.program(await scope.folder())(core);
  const server = await ServerProcess.start({ ...program, args: [...HOOK, ...program.args] }, scope);
  const { warmUp, edits } = size;
  const crowd = await gatherAt(arm, contest.edits(warmUp + edits), server, scope);
  await loadOnce(crowd, warmUp, contest.rate);
  await atRest(server);
  const threads = await server.profiled(file, async () => {
    const before = server.threads();
    await loadOnce(crowd, edits, contest.rate);
    await atRest(server);
    return perEdit(before, server.threads(), edits * USERS);
  });
  return { threads, functions: functionTimes(JSON.parse(readFileSync(file, 'utf8')) as Profiler.Profile) };
}

function perEdit(before: ThreadTimes, after: ThreadTimes, edits: number): ThreadTimes {
  const of = (kind: keyof ThreadTimes) => ((after[kind] - before[kind]) * 1_000) / edits;
  return { user: of('user'), kernel: of('kernel'), others: of('others') };
}

const mainOf = ({ threads }: Profiled): number => threads.user + threads.kernel;

/** One row for each part of either server, what ours takes more of first. */
function partRows(ours: Profiled, floor: Profiled): string[][] {
  const [mine, theirs] = [partsOf(ours), partsOf(floor)];
  const parts = [...new Set([...mine.keys(), ...theirs.keys()])].map((part) => ({
    part,
    ours: mine.get(part) ?? 0,
    floor: theirs.get(part) ?? 0,
  }));
  const rows = parts
    .sort((a, b) => b.ours - b.floor - (a.ours - a.floor))
    .filter(({ ours, floor }) => Math.max(ours, floor) >= 0.1)
    .map(({ part, ours, floor }) => [part, micros(ours), micros(floor), micros(ours - floor)]);
  const total = (of: (each: Profiled) => number) => [
    micros(of(ours)),
    micros(of(floor)),
    micros(of(ours) - of(floor)),
  ];
  return [
    ['part', 'ours', 'floor', 'more'],
    ['all', ...total((each) => mainOf(each) + each.threads.others)],
    ['other threads', ...total(({ threads }) => threads.others)],
    ['main thread', ...total(mainOf)],
    ['  of that, in the kernel', ...total(({ threads }) => threads.kernel)],
    ...rows,
  ];
}

function partsOf(profiled: Profiled): Map<string, number> {
  const parts = new Map<string, number>();
  for (const each of profiled.functions) {
    const part = WRITES.has(each.name) ? 'writes to sockets' : each.part || each.name;
    parts.set(part, (parts.get(part) ?? 0) + each.self * mainOf(profiled));
  }
  return parts;
}

const WRITES: ReadonlySet<string> = new Set(
  ['writev', 'writeBuffer', 'writeUtf8String', 'writeLatin1String'].map((name) => name + BUILT_IN),
);

function functionRows(profiled: Profiled): string[][] {
  const all = mainOf(profiled);
  const rows = profiled.functions
    .slice(0, MOST_FUNCTIONS)
    .map(({ name, part, self, total }) => [`${name}  ${part}`, micros(self * all), micros(total * all)]);
  return [['function of ours', 'alone', 'with what it calls'], ...rows];
}

const micros = (value: number): string => value.toFixed(1);
