/** The tables of docs/BENCHMARKS.md, made from figures that were kept. */
import { type Figures, figureOf, judge, ratioOf } from './figures.js';
import { digits, lineOf, settingOf } from './outcome.js';

/** The block of one benchmark: how it was taken, its table, what was to be reached. */
function blockOf(figures: Figures): string {
  const { benchmark, machine, taken } = figures;
  const pinned = machine.pinned ? 'server and load on a core each' : 'nothing pinned';
  return [
    `![${figures.measures[0]?.line ?? benchmark}](benchmarks/${benchmark}.svg)`,
    '',
    markdown(tableOf(figures)),
    '',
    `Taken ${taken.slice(0, 10)}${figures.short ? ', short form' : ''}: ${settingOf(figures)}; ${machine.cpu}, ${machine.cores} cores, ${pinned}.`,
    '',
    ...judge(figures).map((each) => `- ${lineOf(figures, each)}`),
  ].join('\n');
}

/** The median of each measure, with its multiple of the limit's. */
function tableOf(figures: Figures): string[][] {
  const facts = [...new Set(figures.arms.flatMap((arm) => Object.keys(arm.facts)))];
  const cell = (arm: string, measure: string): string => {
    const [value, ratio] = [figureOf(figures, arm, measure), ratioOf(figures, arm, measure)];
    return Number.isFinite(ratio) ? `${digits(value)} (${digits(ratio)} ×)` : digits(value);
  };
  return [
    ['', ...figures.measures.map(({ line, unit }) => `${line}, ${unit}`), ...facts],
    ...figures.arms.map((arm) => [
      arm.name,
      ...figures.measures.map(({ id }) => cell(arm.id, id)),
      ...facts.map((fact) => arm.facts[fact] ?? '-'),
    ]),
  ];
}

function markdown([header = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(header), `|${header.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

/** Every goal that was missed, worst first. */
function lostRows(all: readonly Figures[]): string {
  const missed = all.flatMap((figures) =>
    judge(figures)
      .filter(({ reached }) => !reached)
      .map((goal) => ({
        over: goal.is / goal.most,
        line: `- \`${figures.benchmark}\`: ${lineOf(figures, goal)}`,
      })),
  );
  return missed
    .sort((a, b) => b.over - a.over)
    .map(({ line }) => line)
    .join('\n');
}

/** A document with each block between its marks, `<!-- figures NAME -->` and `<!-- end -->`, written anew. */
export function withFigures(document: string, all: readonly Figures[]): string {
  return document.replace(
    /(<!-- figures ([a-z-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}${blockFor(name, all)}\n${end}`,
  );
}

function blockFor(name: string, all: readonly Figures[]): string {
  if (name === 'lost') return lostRows(all);
  const figures = all.find(({ benchmark }) => benchmark === name);
  return figures === undefined ? 'Not measured yet.' : blockOf(figures);
}
