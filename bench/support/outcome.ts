/** What is done with the figures of a benchmark: printed, judged, and kept in bench/results. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { dirname } from 'node:path';
import { type Figures, figureOf, type Judged, judge, type Machine, ratioOf } from './figures.js';
import { print, table } from './print.js';

export const commonOptions = {
  short: 'fewer rounds, and less in each',
  once: 'one round: shows that it works, measures little',
  check: 'exit code 1 where a goal is missed (with --short: by more than a quarter)',
  save: 'keeps the figures in bench/results',
  built: 'takes packages/*/dist as it is instead of building it',
};

export interface Size {
  readonly rounds: number;
}

export function sizeOf<S extends Size>(options: ReadonlySet<string>, long: S, short: S): S {
  if (options.has('once')) return { ...short, rounds: 1 };
  return options.has('short') ? short : long;
}

/** A short run measures less exactly: it fails only beyond this. */
const SHORT_TOLERANCE = 1.25;

/** Taken before a benchmark begins, since it is itself what the machine does afterwards. */
export const machine = (pinned: boolean): Machine => ({
  node: process.version,
  cpu: cpus()[0]?.model.trim() ?? '',
  cores: cpus().length,
  pinned,
  load: Number((loadavg()[0] ?? 0).toFixed(1)),
});

export const fileOf = (benchmark: string, short: boolean): string =>
  `bench/results/${short ? 'short/' : ''}${benchmark}.json`;

export const readFigures = (file: string): Figures => JSON.parse(readFileSync(file, 'utf8')) as Figures;

/** All that were kept; of a benchmark the long form, where there is one. */
export function keptFigures(): Figures[] {
  const named = (folder: string) => (existsSync(folder) ? readdirSync(folder) : []).filter(isJson);
  const [long, short] = [named('bench/results'), named('bench/results/short')];
  const files = [...new Set([...long, ...short])].sort();
  return files.map((file) => readFigures(fileOf(file.replace('.json', ''), !long.includes(file))));
}

const isJson = (file: string): boolean => file.endsWith('.json');

/** Prints, keeps where that is asked for, and gives the exit code. */
export function conclude(figures: Figures, options: ReadonlySet<string>): number {
  print(`\n${figures.line}`);
  print(`${settingOf(figures)}\n`);
  print(table(rowsOf(figures)));
  const judged = judge(figures);
  if (judged.length > 0) print();
  for (const each of judged) print(lineOf(figures, each));
  if (options.has('save')) {
    const file = fileOf(figures.benchmark, figures.short);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(rounded(figures), null, 1)}\n`);
    print(`\nKept in ${file}.`);
  }
  const tolerance = figures.short ? SHORT_TOLERANCE : 1;
  return options.has('check') && judged.some(({ is, most }) => !(is <= most * tolerance)) ? 1 : 0;
}

const rounded = (figures: Figures): Figures =>
  JSON.parse(
    JSON.stringify(figures, (_, value) => (typeof value === 'number' ? Number(value.toPrecision(4)) : value)),
  ) as Figures;

export const settingOf = ({ setting, machine }: Figures): string =>
  [
    ...Object.entries(setting).map(
      ([name, value]) => `${name} ${typeof value === 'number' ? value.toLocaleString('en') : value}`,
    ),
    `Node ${machine.node}`,
    `load before it ${machine.load}`,
  ].join(', ');

/** A row per arm: each measure, its multiple of the limit's, and the facts. */
export function rowsOf(figures: Figures): string[][] {
  const facts = [...new Set(figures.arms.flatMap((arm) => Object.keys(arm.facts)))];
  const header = ['', ...figures.measures.flatMap(({ line, unit }) => [`${line}, ${unit}`, '×']), ...facts];
  const rows = figures.arms.map((arm) => [
    arm.name,
    ...figures.measures.flatMap(({ id }) => [
      digits(figureOf(figures, arm.id, id)),
      digits(ratioOf(figures, arm.id, id)),
    ]),
    ...facts.map((fact) => arm.facts[fact] ?? '-'),
  ]);
  return [header, ...rows];
}

export function digits(value: number): string {
  if (Number.isNaN(value)) return '-';
  if (value >= 1_000) return Math.round(value).toLocaleString('en');
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}

export function lineOf(figures: Figures, { arm, measure, of, most, is, reached }: Judged): string {
  const name = (id: string) => figures.arms.find((each) => each.id === id)?.name ?? id;
  const { line = measure, unit = '' } = figures.measures.find(({ id }) => id === measure) ?? {};
  const [what, how] = of === null ? [unit, ''] : ['×', ` ${name(of)}`];
  return `${name(arm)}, ${line}: ${digits(is)} ${what}${how} (goal: at most ${digits(most)}; ${reached ? 'reached' : 'not reached'})`;
}
