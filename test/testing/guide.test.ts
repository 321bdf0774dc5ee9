/**
 * The code of docs/guides/TESTING.md: what is for Vitest here and in guide-screen, the rest by its runner; Jest itself
 * in scripts/pack-check.ts.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import '../../docs/examples/guides/testing/offline.test.js';
import '../../docs/examples/guides/testing/what.test.js';

const FOLDER = 'docs/examples/guides/testing';
const FILES = [
  'offline.test.js',
  'offline.node.mjs',
  'offline.jest.cjs',
  'screen.test.js',
  'what.test.js',
] as const;

async function run(...command: readonly string[]): Promise<string> {
  const { VITEST: _, NODE_OPTIONS: __, ...env } = process.env;
  const { stdout } = await promisify(execFile)(process.execPath, [...command], { cwd: FOLDER, env });
  return stdout;
}

test('each block of it is one of these files', async () => {
  const guide = await readFile('docs/guides/TESTING.md', 'utf8');
  const blocks = [...guide.matchAll(/```(?!sh)\w+\n(.*?)```/gs)].map(([, code]) => code);
  expect(blocks).toEqual(await Promise.all(FILES.map((name) => readFile(join(FOLDER, name), 'utf8'))));
});

test('with node:test', async () => {
  expect(await run('--test', '--test-reporter=tap', 'offline.node.mjs')).toContain('# pass 1');
});

test('as CommonJS', async () => {
  const flags = ['--no-experimental-require-module', '--require', './as-jest.cjs'];
  expect(await run(...flags, '--test', '--test-reporter=tap', 'offline.jest.cjs')).toContain('# pass 1');
});
