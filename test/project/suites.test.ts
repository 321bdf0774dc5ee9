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

test('each project of the tests is run by one step of .ci/run, those that measure times or need another PostgreSQL not by npm test', () => {
  const steps = read('.ci/run');
  for (const step of ['npm test', 'npm run test:hostile', 'npm run test:postgres'])
    expect(steps).toContain(step);
  const [all, hostile, debian] = [
    scripts.test ?? '',
    scripts['test:hostile'] ?? '',
    read('scripts/debian-postgres.sh'),
  ].map(chosenBy);
  expect([all, hostile, debian]).toEqual([
    ['shared', 'apart', 'models', 'postgres', 'react-18'],
    ['hostile'],
    ['postgres', 'on-postgres'],
  ]);
  expect(new Set([all, hostile, debian].flat())).toEqual(new Set(PROJECTS));
});
