import { expect, test } from 'vitest';
import { read } from './sources.js';

const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
const PROJECTS = [...read('vitest.config.ts').matchAll(/\bname: '([\w-]+)'/g)].map(([, name = '']) => name);

/** What vitest runs of all projects; of several names that begin with `!`, each lets in what another one leaves out. */
const chosenBy = (line: string): string[] => {
  const named = [...line.matchAll(/--project[ =]'?([!\w-]+)/g)].map(([, name = '']) => name);
  return PROJECTS.filter((project) =>
    named.some((name) => (name.startsWith('!') ? name.slice(1) !== project : name === project)),
  );
};

test('each project of the tests is run by a step of .ci/run', () => {
  const steps = read('.ci/run');
  for (const name of ['hostile', 'postgres', 'kills', 'browser'])
    expect(steps).toMatch(new RegExp(`\\bnpm run test:${name}\\b`));
  expect(steps).toMatch(/\bTEST_SHARE=1 npm test\b/);
  expect(scripts['test:kills']).toBe('vitest run --mode kill');
  expect(scripts['test:browser']).toBe('vitest run --mode browser');
  // All of what npm test makes a tenth of, unless TEST_SHARE tells it to make all, too.
  expect(scripts['test:models']).toBe('vitest run --mode model');
  const [all, hostile, debian] = [
    scripts.test ?? '',
    scripts['test:hostile'] ?? '',
    read('scripts/debian-postgres.sh'),
  ].map(chosenBy);
  expect([all, hostile, debian]).toEqual([
    ['apart', 'postgres', 'models', 'shared', 'react-18'],
    ['hostile'],
    ['postgres', 'on-postgres'],
  ]);
  expect(new Set([all, hostile, debian, 'kills', 'browser'].flat())).toEqual(new Set(PROJECTS));
});
