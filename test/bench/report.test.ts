import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { keptFigures } from '../../bench/support/outcome.js';
import { plot } from '../../bench/support/plot.js';
import { withFigures } from '../../bench/support/report.js';

const all = keptFigures();

test('docs/BENCHMARKS.md shows what bench/results holds (npm run docs:benchmarks writes it)', () => {
  const document = readFileSync('docs/BENCHMARKS.md', 'utf8');
  expect(withFigures(document, all)).toBe(document);
});

test.each(all.map((figures) => [figures.benchmark, figures] as const))(
  'the plot of %s, too',
  (name, figures) => {
    expect(plot(figures)).toBe(readFileSync(`docs/benchmarks/${name}.svg`, 'utf8'));
  },
);
