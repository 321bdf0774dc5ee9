import { expect, test } from 'vitest';
import { codeOf, filesBelow, read } from './sources.js';

/** Rules that the code does not keep yet. A rule leaves this list with its first test. */
const OPEN: readonly string[] = [];

/** The ids in brackets in a text: '[N3 P6]' names two, '[S1–S3]' three. */
function idsIn(text: string): string[] {
  const lists = text.matchAll(/\[((?:[A-Z]\d+(?:[–-][A-Z]?\d+)?[ ,]*)+)\]/g);
  return [...lists].flatMap(([, list = '']) => list.split(/[ ,]+/).filter(Boolean).flatMap(expand));
}

function expand(part: string): string[] {
  const [, letter, first, last] = /^([A-Z])(\d+)(?:[–-][A-Z]?(\d+))?$/.exec(part) ?? [];
  const from = Number(first);
  const length = Number(last ?? first) - from + 1;
  return Array.from({ length }, (_, index) => `${letter}${from + index}`);
}

/** The names of tests in a source: its strings, but for tests that are switched off. */
function testNames(source: string): string {
  const active = codeOf(source).replace(/\.(?:skip|todo|fails)\(\s*(['"`]).*?\1/g, '');
  return [...active.matchAll(/'[^'\n]*'|"[^"\n]*"|`[^`]*`/g)].join('\n');
}

// A contract suite holds tests in a file of another name; this file speaks of ids in its own strings.
const SUITES = filesBelow('test').filter(
  (file) => /\.test\.tsx?$|^test\/contract\//.test(file) && file !== 'test/project/rules.test.ts',
);

const rules = [...read('docs/SPEC.md').matchAll(/^- ([A-Z]\d+) /gm)].map(([, id = '']) => id);
const proven = new Set(SUITES.flatMap((file) => idsIn(testNames(read(file)))));

test('docs/SPEC.md has rules, each id once', () => {
  expect(rules.length).toBeGreaterThan(50);
  expect(rules).toHaveLength(new Set(rules).size);
});

test('every rule that is not open has a test that names it', () => {
  expect(rules.filter((id) => !OPEN.includes(id) && !proven.has(id))).toEqual([]);
});

test('no open rule has a test: it would no longer be open', () => {
  expect(OPEN.filter((id) => proven.has(id))).toEqual([]);
});

test('every id in a test name, and every open one, is that of a rule', () => {
  expect([...proven, ...OPEN].filter((id) => !rules.includes(id))).toEqual([]);
});

test('ids are found in names of tests only', () => {
  const source =
    "// [D1]\ntest('[D4] a', x);\ntest.skip('[D5] b', x);\nit.each(t)(`[N3 P6] c`, x);\n'[S1–S3, H1]'";
  expect(idsIn(testNames(source))).toEqual(['D4', 'N3', 'P6', 'S1', 'S2', 'S3', 'H1']);
});
