/** Hostile updates against the built server: what each of them ends in, and what it costs everybody else. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import * as Y from 'yjs';
import { messages } from '../../server/protocol/yjs.js';
import {
  cycle,
  deepThenDelete,
  deepValue,
  overlapOfCollected,
  protoInValue,
  protoKey,
  protoRoot,
  randomBytes,
  rawUpdate,
  rootItem,
  rootOfAnotherKind,
  subdocument,
  v2Of,
} from '../support/hostile.js';
import { Arena, type Attack } from './arena.js';
import * as updates from './updates.js';

const update = (make: () => Uint8Array) => () => [messages.update(make())];
const small = () => {
  const doc = new Y.Doc();
  doc.clientID = 7_001;
  doc.getMap('appointments').set('a1', new Y.Map([['status', 'booked']]));
  return doc;
};
const trailing = () => Uint8Array.from([...Y.encodeStateAsUpdate(small()), 0]);

/** Updates of one client, each of which needs the one before; the first never comes. */
function missingClocks(count: number, bytes: number): Uint8Array[] {
  const doc = new Y.Doc();
  doc.clientID = 7_002;
  const made: Uint8Array[] = [];
  doc.on('update', (each: Uint8Array) => made.push(messages.update(each)));
  for (let i = 0; i <= count; i++) doc.getMap('notes').set('x', 'x'.repeat(bytes));
  return made.slice(1);
}

const MALFORMED: Attack[] = [
  { name: 'a sub-document', messages: update(subdocument), ends: 1007 },
  { name: 'a root of another kind', messages: update(rootOfAnotherKind), ends: 1007 },
  { name: 'a root __proto__', messages: update(protoRoot), ends: 1007 },
  ...[0, 1, 2, 3, 10].map(
    (levels): Attack => ({
      name: `__proto__ ${levels} maps deep`,
      messages: update(() => protoKey(levels)),
      ends: 1007,
    }),
  ),
  { name: '__proto__ in a value', messages: update(protoInValue), ends: 1007 },
  {
    name: 'NUL in a name',
    messages: update(() => rawUpdate([[1, 0, [rootItem(8, [1, 126], 'a\0b')]]])),
    ends: 1007,
  },
  {
    name: 'a lone surrogate',
    messages: update(() => rawUpdate([[1, 0, [rootItem(4, [3, 0xed, 0xa0, 0x80])]]])),
    ends: 1007,
  },
  { name: 'nested Any, 1,000,000 levels', messages: update(() => deepValue(1_000_000)), ends: 1007 },
  { name: 'V2 as V1', messages: update(() => v2Of(small())), ends: 1007 },
  { name: 'trailing bytes', messages: update(trailing), ends: 1007 },
  { name: 'random bytes', messages: update(() => randomBytes(9, 100_000)), ends: 1007 },
  { name: 'cyclic origins', messages: update(cycle), ends: 1007 },
  {
    name: 'a client id that is in use',
    setup: [updates.manyStructs(3)],
    messages: update(() => updates.chain(0, 3, 900)),
    ends: 1007,
  },
  {
    name: 'an item over what was collected',
    messages: () => overlapOfCollected().map(messages.update),
    ends: 1007,
  },
  { name: 'depth 65', messages: update(() => updates.chain(0, 65)), ends: 1007 },
  { name: 'depth 65, the deepest first', messages: update(() => updates.chainChildFirst(65)), ends: 1007 },
  {
    name: 'depth 65 over two updates',
    setup: [updates.chain(0, 40)],
    messages: update(() => updates.chain(40, 65)),
    ends: 1007,
  },
  {
    name: 'depth 2,000 and its deletion',
    messages: () => deepThenDelete(2_000).map(messages.update),
    ends: 1007,
  },
  {
    name: 'depth 10,000, the deepest first',
    messages: update(() => updates.chainChildFirst(10_000)),
    ends: 1007,
  },
];

const COSTLY: Attack[] = [
  { name: '600,000 structs', messages: update(() => updates.manyStructs(600_000)), ends: 1009 },
  { name: '300,000 root types', messages: update(() => updates.manyRoots(300_000)), ends: 1009 },
  { name: '300,000 clients', messages: update(() => updates.manySections(300_000)), ends: 1009 },
  {
    name: '40,000 structs that can be joined',
    messages: update(() => updates.mergeable(40_000)),
    ends: 1009,
  },
  {
    name: '1,000,000 deletions of what is missing',
    messages: update(() => updates.manyDeletions(1_000_000)),
    ends: 1009,
  },
  {
    name: 'a state vector of 1,000,000 entries',
    messages: () => [messages.syncStep1(stateVector(1_000_000))],
    ends: 1007,
  },
  { name: '3,000 small updates on missing changes', messages: () => missingClocks(3_000, 10), ends: 1008 },
  { name: '200 large updates on missing changes', messages: () => missingClocks(200, 100_000), ends: 1008 },
];

function stateVector(entries: number): Uint8Array {
  const clocks = new Map(Array.from({ length: entries }, (_, index) => [index, 1]));
  return Y.encodeStateVector(clocks);
}

/** Of what takes long at a machine that does other work, too, only with LONG=1. */
const LONG: Attack[] = [
  {
    name: '10,000 clients on one key',
    messages: update(() => updates.manyClientsOneKey(10_000)),
    ends: 'open',
  },
  {
    // 10,000 take about as long as a trial may take.
    name: '20,000 deletions in an array of 200,000: a trial takes too long',
    setup: [updates.largeArray(200_000)],
    messages: update(() => updates.scatteredDeletions(20_000, 200_000)),
    ends: 1009,
    tried: true,
  },
  {
    name: '2,000 maps created apart',
    messages: update(() => updates.manyMapsOneKey(2_000)),
    ends: 'open',
  },
];

/** Dear, and for a trial to decide; what is legal gets in. */
const TRIED: Attack[] = [
  {
    name: '2,000 clients on one key',
    messages: update(() => updates.manyClientsOneKey(2_000)),
    ends: 'open',
  },
  { name: '500 maps created apart', messages: update(() => updates.manyMapsOneKey(500)), ends: 'open' },
  {
    name: '1,000 deletions in a large array',
    setup: [updates.largeArray(50_000)],
    messages: update(() => updates.scatteredDeletions(1_000, 50_000)),
    ends: 'open',
  },
  {
    name: 'a split bomb',
    setup: [updates.largeArray(50_000)],
    messages: update(() => updates.splitBomb(1_000, 50_000)),
    ends: 'open',
  },
  { name: 'a large offline document', messages: update(() => updates.offlineDocument(2_000)), ends: 'open' },
  {
    name: '2,000 clients at one place of an array',
    setup: [updates.largeArray(10)],
    messages: update(() => updates.manyClientsOnePlace(2_000)),
    ends: 'open',
  },
];

const LEGAL: Attack[] = [
  { name: 'depth 64', messages: update(() => updates.chain(0, 64)), ends: 'open' },
  {
    name: 'depth 64, the deepest first, and its deletion',
    messages: () => [updates.chainChildFirst(64), rawUpdate([], [[30_000, [[0, 1]]]])].map(messages.update),
    ends: 'open',
  },
  {
    name: '4,000 structs that can be joined, in deletions of the same',
    setup: [updates.largeArray(1_000)],
    messages: update(() => updates.sameDeletion(4_000, 1_000)),
    ends: 'open',
  },
  {
    name: 'collected structs under ids of others',
    messages: update(() => rawUpdate([[4_711, 0, [[0, 100]]]])),
    ends: 'open',
  },
];

describe('[S1 S3 S4] hostile updates end their connection, and nobody else notices', () => {
  let arena: Arena;
  beforeAll(async () => {
    arena = await Arena.open();
  }, 60_000);
  afterAll(() => arena.close());

  test.each(MALFORMED)('malformed: $name', (attack) => arena.withstands(attack), 60_000);
  test.each(COSTLY)('costly: $name', (attack) => arena.withstands(attack), 60_000);
  test.each(LEGAL)('legal: $name', (attack) => arena.withstands(attack), 60_000);

  test('others waited for little work of the server, and for nothing else', () => arena.checkLatency());
  test('the next 100 edits are durable', () => arena.checkDurable(), 60_000);
});

describe('[S1] what is dear but legal is tried first, and gets in part by part', () => {
  let arena: Arena;
  beforeAll(async () => {
    arena = await Arena.open();
  }, 60_000);
  afterAll(() => arena.close());

  test.each([...TRIED, ...(process.env.LONG ? LONG : [])])(
    '$name',
    (attack) => arena.withstands(attack),
    300_000,
  );
  test('others waited for little work of the server, and for nothing else', () => arena.checkLatency());
  test('the next 100 edits are durable', () => arena.checkDurable(), 60_000);
});
