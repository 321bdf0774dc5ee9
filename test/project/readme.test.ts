import { expect, test } from 'vitest';
import { apiReference } from '../../scripts/api-reference.js';
import { withOptionTable } from '../../scripts/option-table.js';
import { read } from './sources.js';

test('[O1] the option table of docs/reference/OPTIONS.md is that of the code (npm run docs:options writes it)', () => {
  const page = read('docs/reference/OPTIONS.md');
  expect(page).toBe(withOptionTable(page));
});

test('docs/reference/API.md is made of the declarations (npm run docs:api writes it)', () => {
  expect(read('docs/reference/API.md')).toBe(apiReference());
});

test('[C2] docs/reference/CLIENT.md names every option and every call of the client', () => {
  const members = (name: string): string[] => {
    const [, body = ''] = new RegExp(`^interface ${name} \\{\n(.*?)^\\}`, 'ms').exec(apiReference()) ?? [];
    return [...body.matchAll(/^ {2}(?:readonly )?(\w+)[?<(:]/gm)].map(([, member = '']) => member);
  };
  const all = ['SyncClient', 'SyncOptions', 'SyncStatus', 'SyncedData', 'Draft'].flatMap(members);
  expect(all.length).toBeGreaterThan(50);
  const client = read('docs/reference/CLIENT.md');
  expect(all.filter((name) => !new RegExp(`\\b${name}\\b`).test(client))).toEqual([]);
});

test('the README fits on a few screens: at most 150 lines', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(150);
});
