/** `npm run docs:benchmarks`: writes the tables of docs/BENCHMARKS.md and its plots, from bench/results. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { keptFigures } from '../bench/support/outcome.js';
import { plot } from '../bench/support/plot.js';
import { withFigures } from '../bench/support/report.js';

const DOCUMENT = 'docs/BENCHMARKS.md';
const PLOTS = 'docs/benchmarks';

const all = keptFigures();
mkdirSync(PLOTS, { recursive: true });
for (const figures of all) writeFileSync(`${PLOTS}/${figures.benchmark}.svg`, plot(figures));
writeFileSync(DOCUMENT, withFigures(readFileSync(DOCUMENT, 'utf8'), all));
