import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { withOptionTable } from '../../scripts/option-table.js';

test('[O1] the option table of the README is that of the code (npm run docs:options writes it)', async () => {
  const readme = await readFile('README.md', 'utf8');
  expect(readme).toBe(withOptionTable(readme));
});
