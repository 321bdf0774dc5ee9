import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { optionTable } from '../server/config.js';

const START = '<!-- options -->';
const END = '<!-- /options -->';
const FILE = new URL('../docs/reference/OPTIONS.md', import.meta.url);

/** The page with the option table of the code between its markers. */
export function withOptionTable(page: string): string {
  const from = page.indexOf(START);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error(`docs/reference/OPTIONS.md needs the lines ${START} and ${END}`);
  return `${page.slice(0, from + START.length)}\n\n${optionTable()}\n\n${page.slice(to)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(FILE, withOptionTable(await readFile(FILE, 'utf8')));
}
