import { expect, test } from 'vitest';
import { withOptionTable } from '../../scripts/option-table.js';
import { read } from './sources.js';

test('[O1] the option table of docs/reference/OPTIONS.md is that of the code (npm run docs:options writes it)', () => {
  const page = read('docs/reference/OPTIONS.md');
  expect(page).toBe(withOptionTable(page));
});

test('the README fits on a few screens: at most 150 lines', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(150);
});
