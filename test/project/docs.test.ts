import { existsSync, readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { ERRORS } from '../../server/errors.js';
import { encodeExchange } from '../../server/protocol/exchange.js';
import { checkMessage } from '../../server/protocol/json.js';
import { decodeMessage, messages } from '../../server/protocol/yjs.js';
import { user } from '../support/notes.js';
import { filesBelow, read } from './sources.js';

const PROTOCOL = read('docs/reference/PROTOCOL.md');
const DOCUMENTS = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => posix.join('docs', name)),
];

const section = (title: string): string =>
  PROTOCOL.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? '';

test('the error table of docs/reference/PROTOCOL.md is that of server/errors.ts', () => {
  const rows = [...section('Error codes').matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\d*) ?\|/gm)];
  const listed = rows.map(([, code, status, close]) => [code, Number(status), close ? Number(close) : null]);
  expect(listed).toEqual(
    Object.entries(ERRORS).map(([code, entry]) => [
      code,
      entry.status,
      'close' in entry ? entry.close : null,
    ]),
  );
});

/** The bytes of a row, or the bytes after a word in it. */
function bytesOf(row: string, index = 0): Uint8Array {
  const line = PROTOCOL.split('\n').find((each) => each.startsWith(`| ${row} |`)) ?? '';
  const hex = [...line.matchAll(/`((?:[0-9a-f]{2} ?)+)`/g)].map(([, bytes = '']) => bytes);
  return Uint8Array.from(Buffer.from((hex.at(index) ?? '').replaceAll(' ', ''), 'hex'));
}

function exampleDoc(): Y.Doc {
  const doc = new Y.Doc();
  doc.clientID = 1;
  doc.transact(() => doc.getMap('appointments').set('a1', new Y.Map([['room', 4]])));
  return doc;
}

test('[N1 N4] the bytes in docs/reference/PROTOCOL.md are those of the code', () => {
  const [empty, doc] = [new Y.Doc(), exampleDoc()];
  const update = Y.encodeStateAsUpdate(doc);
  const examples: [string, Uint8Array, number?][] = [
    ['SyncStep1, empty document', messages.syncStep1(Y.encodeStateVector(empty))],
    ['SyncStep1, client 1 up to clock 2', messages.syncStep1(Y.encodeStateVector(doc))],
    ['SyncStep2 with nothing new', messages.syncStep2(Y.encodeStateAsUpdate(empty))],
    ['Update that creates the record', messages.update(update)],
    ['Awareness: client 1, clock 1, state `{}`', messages.awareness([{ id: 1, clock: 1, state: '{}' }])],
    ['Awareness: client 1 left', messages.awareness([{ id: 1, clock: 2, state: 'null' }])],
    ['Keep-alive (awareness without entries)', messages.keepAlive],
    ['Auth, permission denied, `read only`', messages.permissionDenied('read only')],
    ['Checkpoint 1; checkpoint 300', messages.checkpoint(1), 0],
    ['Checkpoint 1; checkpoint 300', messages.checkpoint(300), 1],
    [
      'Checkpoint 7, which tells that of 12 changes 9 are left, the oldest a second old',
      messages.checkpoint(7, 12, 9, 1_000),
    ],
    ['Body', encodeExchange({ stateVector: Y.encodeStateVector(doc), update })],
    [
      'Answer',
      encodeExchange({ stateVector: Y.encodeStateVector(doc), update: Y.encodeStateAsUpdate(empty) }),
    ],
  ];
  for (const [row, bytes, index] of examples) expect([row, bytesOf(row, index)]).toEqual([row, bytes]);
  expect(decodeMessage(bytesOf('Query awareness', -1))).toEqual({ type: 'queryAwareness' });
});

test('[L10] the messages of devices in docs/reference/PROTOCOL.md are accepted', () => {
  const part = section('JSON messages').split('### To the device')[0] ?? '';
  const examples = [...part.matchAll(/```json\n(.*?)\n```/gs)].map(([, text = '']) => JSON.parse(text));
  const types = examples.map((example) => checkMessage(example, user('demo'), { maxDepth: 64 }).type);
  expect(types).toEqual(['DATA_UPDATE', 'DATA_DELETE', 'REQUEST_SYNC']);
});

test('links between the documents lead to files', () => {
  const broken = DOCUMENTS.flatMap((file) =>
    [...read(file).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, target = '']) => posix.join(posix.dirname(file), target))
      .filter((target) => !existsSync(target))
      .map((target) => `${file} → ${target}`),
  );
  expect(broken).toEqual([]);
});

/** How a heading is named in a link, as GitHub does it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');
const anchorsIn = (file: string): string[] =>
  [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));

test('links to a part of a document lead to a heading', () => {
  const broken = DOCUMENTS.flatMap((file) =>
    [...read(file).matchAll(/\]\((?!https?:)([^)#]*)#([^)]*)\)/g)]
      .filter(([, target]) => target === '' || target?.endsWith('.md'))
      .map(([, target = '', anchor = '']) => ({
        to: target === '' ? file : posix.join(posix.dirname(file), target),
        anchor,
      }))
      .filter(({ to, anchor }) => !anchorsIn(to).includes(anchor))
      .map(({ to, anchor }) => `${file} → ${to}#${anchor}`),
  );
  expect(broken).toEqual([]);
});

test('every npm script that the documents name exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const named = DOCUMENTS.flatMap((file) =>
    [...read(file).matchAll(/npm run ([a-z][a-z:-]*)/g)].map(([, name = '']) => name),
  );
  expect(named.filter((name) => !(name in scripts))).toEqual([]);
});

test('every source file that the documents name is there', () => {
  const sources = [
    'server',
    'shared',
    'client',
    'test',
    'scripts',
    'bench',
    'packages',
    'demo',
    'admin',
    'web',
  ].flatMap(filesBelow);
  const missing = DOCUMENTS.filter((file) => file !== 'CHANGELOG.md').flatMap((file) =>
    [...read(file).matchAll(/`([a-z][\w/-]+\.c?tsx?)`/g)]
      .map(([, name = '']) => name)
      .filter((name) => !sources.some((source) => source === name || source.endsWith(`/${name}`)))
      .map((name) => `${file} → ${name}`),
  );
  expect(missing).toEqual([]);
});

const blockOf = (name: string | undefined): string =>
  read('docs/BENCHMARKS.md').split(`<!-- figures ${name} -->`)[1]?.split('<!-- end -->')[0] ?? '';

/** Cells of one line, without what is in brackets beside a figure. */
const cellsOf = (line: string): string[] => line.split('|').map((cell) => cell.replace(/\(.*\)/, '').trim());

test('the costs in docs/guides/SCALING.md are those of docs/BENCHMARKS.md, each row of one line there', () => {
  const rows = [...read('docs/guides/SCALING.md').matchAll(/^\| (.* \| .*) \| `([a-z-]+)` \|$/gm)];
  expect(rows.length).toBeGreaterThan(4);
  for (const [, costs = '', name] of rows) {
    const lines = blockOf(name).split('\n').map(cellsOf);
    // What stands in brackets is compared with, and of another line.
    for (const said of [costs.replace(/\(.*?\)/g, ''), ...(costs.match(/\(.*?\)/g) ?? [])]) {
      const figures = said.replace('100 records', '').match(/\d[\d.,]*\d/g) ?? [];
      const isThere = lines.some((cells) => figures.every((figure) => cells.includes(figure)));
      expect([name, figures, isThere]).toEqual([name, figures, true]);
    }
  }
});

test('the costs in docs/guides/SIZING.md are those of docs/BENCHMARKS.md', () => {
  const rows = [...read('docs/guides/SIZING.md').matchAll(/^\| .* \| (.*) \| `([a-z-]+)` \|$/gm)];
  expect(rows.length).toBeGreaterThan(4);
  for (const [, costs = '', name] of rows) {
    const server =
      blockOf(name)
        .split('\n')
        .find((line) => line.startsWith('| durable server |')) ?? '';
    for (const [figure] of costs.matchAll(/\d[\d.,]*/g))
      expect([name, server]).toEqual([name, expect.stringContaining(figure)]);
  }
});
