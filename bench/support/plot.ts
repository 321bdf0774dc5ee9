/** Figures as an SVG: one bar per arm, of the first measure. */
import { type Figures, figureOf, ratioOf } from './figures.js';
import { digits } from './outcome.js';

const WIDTH = 760;
const NAMES = 290;
const VALUES = 90;
const ROW = 26;
const BAR = 16;
const TOP = 34;
const [OURS, OTHERS, TEXT, PAPER] = ['#0b6e99', '#b8c4cc', '#24292f', '#ffffff'];

interface Bar {
  readonly name: string;
  readonly value: number;
  readonly ours: boolean;
}

/** Multiples of the limit; figures as they are where a goal is one, or where the limit has none. */
const isRatio = (figures: Figures, measure: string): boolean =>
  !figures.goals.some((goal) => goal.measure === measure && goal.of === null) &&
  !Number.isNaN(figureOf(figures, figures.limit, measure));

export function plot(figures: Figures): string {
  const { id, line, unit } = figures.measures[0] ?? { id: '', line: '', unit: '' };
  const ratio = isRatio(figures, id);
  const bars = figures.arms
    .map((arm): Bar => {
      const value = ratio ? ratioOf(figures, arm.id, id) : figureOf(figures, arm.id, id);
      return { name: arm.name, value, ours: isOurs(arm.id) };
    })
    .filter(({ value }) => Number.isFinite(value));
  const most = Math.max(...bars.map(({ value }) => value));
  const limit = figures.arms.find((arm) => arm.id === figures.limit)?.name ?? '';
  const title = ratio ? `${line}: times ${limit}` : `${line}, ${unit}`;
  const height = TOP + bars.length * ROW + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" role="img" aria-label="${escaped(title)}">`,
    `<rect width="${WIDTH}" height="${height}" fill="${PAPER}"/>`,
    `<text x="10" y="20" fill="${TEXT}" font-weight="bold">${escaped(title)}</text>`,
    ...bars.map((bar, index) => drawn(bar, TOP + index * ROW, most, ratio ? ' ×' : ` ${unit}`)),
    '</svg>',
    '',
  ].join('\n');
}

const isOurs = (arm: string): boolean => /^(ours|online|anew)/.test(arm);

function drawn({ name, value, ours }: Bar, top: number, most: number, unit: string): string {
  const length = Math.max(1, Math.round((value / most) * (WIDTH - NAMES - VALUES)));
  const y = top + BAR - 4;
  return [
    `<text x="${NAMES - 10}" y="${y}" fill="${TEXT}" text-anchor="end">${escaped(name)}</text>`,
    `<rect x="${NAMES}" y="${top}" width="${length}" height="${BAR}" fill="${ours ? OURS : OTHERS}"/>`,
    `<text x="${NAMES + length + 6}" y="${y}" fill="${TEXT}">${digits(value)}${escaped(unit)}</text>`,
  ].join('\n');
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
