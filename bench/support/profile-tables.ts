/** What profiles say, as tables: by part beside other servers, and by function. */
import { BUILT_IN, type FunctionTime } from './cpu-profile.js';
import type { ThreadTimes } from './server-process.js';

export interface Profiled {
  /** In µs of what is counted. */
  readonly threads: ThreadTimes;
  readonly functions: readonly FunctionTime[];
}

const MOST_FUNCTIONS = 60;
/** In µs; what takes less everywhere is left out. */
const LEAST = 0.1;

/**
 * One row for each part of any server, what ours takes more of than the first of the others first.
 *
 * @param others by what stands above their columns
 */
export function partRows(ours: Profiled, others: ReadonlyMap<string, Profiled>): string[][] {
  const all = [ours, ...others.values()];
  const parts = all.map(partsOf);
  const names = [...new Set(parts.flatMap((each) => [...each.keys()]))];
  const rows = names.map((name) => ({ name, values: parts.map((each) => each.get(name) ?? 0) }));
  const total = (name: string, of: (each: Profiled) => number) => rowOf({ name, values: all.map(of) });
  return [
    ['part', 'ours', ...others.keys(), 'more'],
    total('all', (each) => mainOf(each) + each.threads.others),
    total('other threads', ({ threads }) => threads.others),
    total('main thread', mainOf),
    total('  of that, in the kernel', ({ threads }) => threads.kernel),
    ...rows
      .filter(({ values }) => Math.max(...values) >= LEAST)
      .sort((a, b) => moreIn(b.values) - moreIn(a.values))
      .map(rowOf),
  ];
}

const rowOf = ({ name, values }: { name: string; values: readonly number[] }): string[] => [
  name,
  ...values.map(micros),
  micros(moreIn(values)),
];

const moreIn = ([ours = 0, first = 0]: readonly number[]): number => ours - first;

const mainOf = ({ threads }: Profiled): number => threads.user + threads.kernel;

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

export function functionRows(profiled: Profiled): string[][] {
  const all = mainOf(profiled);
  const rows = profiled.functions
    .slice(0, MOST_FUNCTIONS)
    .map(({ name, part, self, total }) => [`${name}  ${part}`, micros(self * all), micros(total * all)]);
  return [['function of ours', 'alone', 'with what it calls'], ...rows];
}

const micros = (value: number): string => value.toFixed(1);
