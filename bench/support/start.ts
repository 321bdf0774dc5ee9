/** A benchmark of arms: how it begins, and what becomes of its figures. */
import type { Cores } from './cores.js';
import type { Figures } from './figures.js';
import { commonOptions, conclude, machine } from './outcome.js';
import { pin } from './race.js';
import type { Scope } from './scope.js';
import { buildServer } from './server-process.js';
import type { Benchmark } from './types.js';

export interface Start {
  readonly options: ReadonlySet<string>;
  readonly scope: Scope;
  readonly cores: Cores | null;
}

/** What it measures itself; the rest of the figures is the same for all. */
export type Found = Omit<Figures, 'benchmark' | 'line' | 'short' | 'taken' | 'machine'>;

interface Described {
  readonly name: string;
  readonly line: string;
  readonly longest?: number;
  /** Beside those that all have. */
  readonly options?: Readonly<Record<string, string>>;
  readonly measure: (start: Start) => Promise<Found>;
}

const LONGEST = 1_800_000;

export interface ArmBenchmark extends Benchmark {
  /** Measures, and neither prints nor keeps the figures. */
  figures(options: ReadonlySet<string>, scope: Scope): Promise<Figures>;
}

export function armBenchmark(described: Described): ArmBenchmark {
  const { name, line, longest = LONGEST, options = {}, measure } = described;
  const figures: ArmBenchmark['figures'] = async (given, scope) => {
    if (!given.has('built')) buildServer();
    const cores = pin();
    const run = {
      taken: new Date().toISOString(),
      machine: machine(cores !== null),
      short: given.has('short'),
    };
    const benchmark = given.has('large') ? `${name}-large` : name;
    return { benchmark, line, ...run, ...(await measure({ options: given, scope, cores })) };
  };
  return {
    name,
    line,
    options: { ...commonOptions, ...options },
    longest: () => longest,
    figures,
    run: async (given, scope) => conclude(await figures(given, scope), given),
  };
}
