/**
 * Which lane of the tests a file is in, by what it and what it imports of the tests need: the slowest of these. Lanes
 * choose what is run (`--mode net`); a few projects of vitest run them, since each compiles and loads all for itself.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** One project of vitest, whose files share processes: to load everything anew costs more than most of them. */
export const SHARING = ['unit', 'store', 'net', 'process'] as const;
export const LANES = [...SHARING, 'early', 'browser', 'replay', 'model', 'kill', 'postgres'] as const;
export type Lane = (typeof LANES)[number];

/** The first that fits: other processes; sockets; LevelDB. */
const NEEDS: readonly [Lane, RegExp][] = [
  ['process', /^node:child_process$/],
  ['net', /^test\/support\/server\.ts$|^node:(net|http)$|^ws$/],
  [
    'store',
    /^server\/store\/level\/level-store\.ts$|^client\/local-store\/level\/level\.ts$|^classic-level$/,
  ],
];
const BROWSER = 'test/support/browser.ts';
const POSTGRES = 'test/support/postgres.ts';
/** Where a PostgreSQL is, when the run is about one. */
const EITHER = 'test/support/either-store.ts';
/** Processes that are killed round after round, and disks that lose their power with them. */
const KILLS = /(^test|[-/])(kill|power-cut)\.test\.ts$/;
const MODELS = /-model\.test\.ts$|\/(convergence|long-lives|pending-runs)\.test\.ts$/;
/** Models that need no more than a store, and less time: the fast tests make a few of their runs, too. */
const REPLAYS = /^test\/(history|later-wins)\.test\.ts$/;
const IMPORT = /\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g;

const needed = new Map<string, ReadonlySet<string>>();

/** What it imports, and what the files of the tests among these import. */
function needsOf(file: string): ReadonlySet<string> {
  const known = needed.get(file);
  if (known !== undefined) return known;
  const needs = new Set<string>();
  needed.set(file, needs);
  for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    const target = name.startsWith('.') ? sourceOf(posix.join(posix.dirname(file), name)) : name;
    needs.add(target);
    if (target === EITHER || !target.startsWith('test/') || !existsSync(target)) continue;
    for (const further of needsOf(target)) needs.add(further);
  }
  return needs;
}

const sourceOf = (path: string): string =>
  ['.ts', '.tsx'].map((end) => path.replace(/\.js$/, end)).find((file) => existsSync(file)) ?? path;

/**
 * What is put in place before modules are loaded, and the one client of the whole app before its first use: no other
 * test may have loaded them in the same process.
 */
const EARLY = /\bvi\.(hoisted|mock)\(|\/client\/compat\/index\.js'/;

export function laneOf(file: string): Lane {
  if (needsOf(file).has(BROWSER)) return 'browser';
  if (needsOf(file).has(POSTGRES)) return 'postgres';
  if (KILLS.test(file)) return 'kill';
  if (REPLAYS.test(file)) return 'replay';
  if (MODELS.test(file)) return 'model';
  if (EARLY.test(readFileSync(file, 'utf8'))) return 'early';
  const needs = [...needsOf(file)];
  return NEEDS.find(([, need]) => needs.some((each) => need.test(each)))?.[0] ?? 'unit';
}

const FILES: readonly string[] = readdirSync('test', { recursive: true, encoding: 'utf8' })
  .map((name) => posix.join('test', name.replaceAll('\\', '/')))
  .filter((file) => /\.test\.tsx?$/.test(file) && !/^test\/(hostile|postgres|react-18|package)\//.test(file));

/** The files of these lanes. */
export const filesIn = (lanes: readonly Lane[]): string[] =>
  FILES.filter((file) => lanes.includes(laneOf(file)));

/** Suites of all stores and devices that run on a PostgreSQL, too. */
export const ON_POSTGRES_TOO = ['convergence', 'created-apart', 'legacy-model', 'phone-day'].map(
  (name) => `test/${name}.test.ts`,
);
