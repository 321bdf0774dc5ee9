import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { optionTable } from '../server/config.js';

const START = '<!-- options -->';
const END = '<!-- /options -->';
const README = new URL('../README.md', import.meta.url);

/** The README with the option table of the code between its markers. */
export function withOptionTable(readme: string): string {
  const from = readme.indexOf(START);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`README.md needs the lines ${START} and ${END}`);
  return `${readme.slice(0, from + START.length)}\n\n${optionTable()}\n\n${readme.slice(to)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(README, withOptionTable(await readFile(README, 'utf8')));
}
