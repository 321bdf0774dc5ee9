/** Code in the guides is code that runs: an excerpt of a file below docs/examples, which TypeScript and tests hold. */
import { existsSync, readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { OPTIONS } from '../../server/config.js';
import { read } from './sources.js';

const markdownIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join(folder, name));
const GUIDES = ['README.md', 'docs/reference/CLIENT.md', ...markdownIn('docs/guides')];

interface Block {
  readonly file: string;
  readonly language: string;
  readonly lines: readonly string[];
}

/** Its lines without what they are indented by, and without empty ones. */
const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

const blocksOf = (file: string): Block[] =>
  [...read(file).matchAll(/^ *```(\w*)\n(.*?)^ *```$/gms)].map(([, language = '', text = '']) => ({
    file,
    language,
    lines: linesOf(text),
  }));

const blocks = (...languages: readonly string[]): Block[] =>
  GUIDES.flatMap(blocksOf).filter(({ language }) => languages.includes(language));

/** Those below test/package are checked where the packages are (`npm run test:package`). */
const EXAMPLES = ['docs/examples', 'test/package']
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => posix.join(folder, name)),
  )
  .filter((name) => /\.(tsx?|m?js|cjs)$/.test(name))
  .map((name) => linesOf(read(name)));

const exampleOf = (part: readonly string[]): readonly string[] | undefined =>
  EXAMPLES.find((lines) =>
    lines.some((_, from) => part.every((line, index) => lines[from + index] === line)),
  );
const isExcerpt = (part: readonly string[]): boolean => exampleOf(part) !== undefined;

test('each code block of a guide is in a file below docs/examples, line by line', () => {
  const code = blocks('ts', 'tsx', 'js').filter(({ lines }) => !isExcerpt(lines));
  // Of a change, what is there after it.
  const changed = blocks('diff').filter(
    ({ lines }) =>
      !isExcerpt(
        linesOf(
          lines
            .filter((line) => !line.startsWith('-'))
            .join('\n')
            .replaceAll(/^\+/gm, ''),
        ),
      ),
  );
  expect([...code, ...changed]).toEqual([]);
});

/** Names that an import brings. */
const importedBy = (line: string): string[] =>
  /^import (.*) from /
    .exec(line)?.[1]
    ?.split(/[{},\s]+|\* as |\btype /)
    .filter(Boolean) ?? [];

test('what the code of a guide uses is imported there, so that it can be copied as it is', () => {
  const code = blocks('ts', 'tsx', 'js').filter(({ file }) => file.startsWith('docs/guides/'));
  const missing = code.flatMap(({ file, lines }) => {
    const shown = code.filter((each) => each.file === file).flatMap((each) => each.lines);
    const imported = new Set(shown.flatMap(importedBy));
    const used = new Set(lines.join('\n').match(/\w+/g));
    const wanted = (exampleOf(lines) ?? []).flatMap(importedBy).filter((name) => used.has(name));
    return wanted.filter((name) => !imported.has(name)).map((name) => `${file}: ${name}`);
  });
  expect(missing).toEqual([]);
});

test('no block of a guide is of a language that nothing checks', () => {
  const known = ['ts', 'tsx', 'js', 'diff', 'sh', 'json', 'yaml', 'text', 'xml'];
  expect(GUIDES.flatMap(blocksOf).filter(({ language }) => !known.includes(language))).toEqual([]);
});

test('[O1] what guides set for the server are options, and each of them can be read', () => {
  const SET = /(?<![\w$./-])([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|AUTH|HOST|PORT|DEMO)=/g;
  /** Of the shell, and of the small programs. */
  const others = ['SERVER', 'TOKEN'];
  const named = blocks('sh').flatMap(({ file, lines }) =>
    lines.flatMap((line) => [...line.matchAll(SET)].map(([, name = '']) => `${file} ${name}`)),
  );
  expect(
    named.filter((each) => {
      const name = each.split(' ')[1] ?? '';
      return !(name in OPTIONS) && !others.includes(name);
    }),
  ).toEqual([]);
});

test('commands of the server that guides call exist', () => {
  const called = [...GUIDES, ...markdownIn('docs/reference')].flatMap((file) =>
    [...read(file).matchAll(/npx telemed-sync ([a-z]+)/g)].map(([, name = '']) => name),
  );
  expect(called.filter((name) => !existsSync(`server/cli/${name}.ts`))).toEqual([]);
});

test('JSON and YAML in guides can be read', () => {
  for (const { lines } of blocks('json')) expect(() => JSON.parse(lines.join('\n'))).not.toThrow();
  for (const { file } of blocks('yaml')) {
    for (const [, text = ''] of read(file).matchAll(/^```yaml\n(.*?)^```$/gms)) parse(text);
  }
});
