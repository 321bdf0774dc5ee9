/** Short runs beside those that were committed: by how much a ratio has grown. */
import { existsSync } from 'node:fs';
import { client } from './client.js';
import { fanout } from './fanout.js';
import { growth } from './growth.js';
import { legacy } from './legacy.js';
import { storm, stormFresh, stormJson } from './storm.js';
import { type Change, compareRuns, type Figures, type Goal } from './support/figures.js';
import { digits, fileOf, readFigures } from './support/outcome.js';
import { print } from './support/print.js';
import type { Scope } from './support/scope.js';
import { buildServer } from './support/server-process.js';
import type { ArmBenchmark } from './support/start.js';
import type { Benchmark } from './support/types.js';

type Options = ReadonlySet<string>;

const COMPARED: readonly ArmBenchmark[] = [fanout, legacy, storm, stormFresh, stormJson, growth, client];
/**
 * What costs the same work on any machine: CPU beside that of the floor server, which does work of the same kind.
 * One round of `legacy`, which edits at a rate, takes a minute.
 */
const QUICK: readonly { readonly benchmark: ArmBenchmark; readonly options: Options }[] = [
  { benchmark: fanout, options: new Set(['short', 'built', 'lean']) },
  { benchmark: legacy, options: new Set(['short', 'built', 'lean', 'once']) },
];
const ALL = COMPARED.map((benchmark) => ({ benchmark, options: new Set(['short', 'built']) }));
const QUICK_GOAL: Goal = { arm: 'ours', measure: 'warm', of: 'floor', most: 1 };
const MOST = 0.25;
/** On a quiet machine, too, `fanout` gives 1.6 to 2.0 times the floor from one run to the next. */
const AGAIN = 2;

export const compare: Benchmark = {
  name: 'compare',
  line: `${COMPARED.map(({ name }) => name).join(', ')} in short form, beside the figures that were committed`,
  options: {
    quick: `${QUICK.map(({ benchmark }) => benchmark.name).join(' and ')} alone, and beside the floor server alone`,
    built: 'takes packages/*/dist as it is instead of building it',
  },
  longest: () => 1_800_000,
  run: async (options, scope) => {
    if (!options.has('built')) buildServer();
    let worse = 0;
    for (const { benchmark, options: given } of options.has('quick') ? QUICK : ALL)
      if (!(await holds(benchmark, given, scope))) worse++;
    return worse === 0 ? 0 : 1;
  },
};

/** What is worse is measured twice more: it counts only if it is worse each time. */
async function holds(benchmark: ArmBenchmark, options: Options, scope: Scope): Promise<boolean> {
  const file = fileOf(benchmark.name, true);
  if (!existsSync(file)) {
    print(`${benchmark.name}: no figures were kept to compare with`);
    return true;
  }
  const began = performance.now();
  const pick = (figures: Figures) => (options.has('lean') ? { ...figures, goals: [QUICK_GOAL] } : figures);
  const before = pick(readFigures(file));
  const changesNow = async () => compareRuns(before, pick(await benchmark.figures(options, scope)));
  let changes = await changesNow();
  for (let again = 0; again < AGAIN && changes.some(isWorse); again++)
    changes = (await changesNow()).filter(isAlsoIn(changes));
  const seconds = (performance.now() - began) / 1_000;
  print(`${benchmark.name} (${seconds.toFixed(0)} s)`);
  for (const each of changes) print(`  ${lineOf(each)}`);
  return !changes.some(isWorse);
}

/** A figure that is gone is worse, too. */
const isWorse = ({ worse }: Change): boolean => !(worse <= MOST);

const isAlsoIn =
  (earlier: readonly Change[]) =>
  ({ goal }: Change): boolean =>
    earlier.some((each) => isWorse(each) && each.goal.measure === goal.measure && each.goal.of === goal.of);

function lineOf(change: Change): string {
  const { goal, before, now, worse } = change;
  const what = `${goal.measure}${goal.of === null ? '' : ` / ${goal.of}`}`;
  const percent = `${worse >= 0 ? '+' : ''}${(100 * worse).toFixed(0)} %`;
  return `${what}: ${digits(before)} → ${digits(now)} (${percent})${isWorse(change) ? ', worse' : ''}`;
}
