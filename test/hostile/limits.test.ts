/** Floods: what the limits of connections have to withstand. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { messages } from '../../server/protocol/yjs.js';
import { Arena, type Attack } from './arena.js';

const entry = (id: number, clock = 1) => ({ id, clock, state: '{}' });
const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

const ROWS: Attack[] = [
  {
    name: 'an awareness clock of 2^53 - 1',
    messages: () => [messages.awareness([entry(1, Number.MAX_SAFE_INTEGER)])],
    ends: 'open',
  },
  {
    name: '300,000 awareness states',
    messages: () => [messages.awareness(many(300_000, (index) => entry(index)))],
    ends: 1007,
  },
  {
    // Above the rate, so that it is read more slowly; nothing of it is lost.
    name: 'SyncStep1 of 3 bytes, 1,500 times',
    messages: () => many(1_500, () => messages.syncStep1(Uint8Array.of(0))),
    ends: 'open',
  },
  { name: 'a message above the limit', messages: () => [new Uint8Array(34 * 2 ** 20)], ends: 1009 },
];

describe('[S1 S4 N6] floods', () => {
  let arena: Arena;
  beforeAll(async () => {
    arena = await Arena.open();
  }, 60_000);
  afterAll(() => arena.close());

  test.each(ROWS)('$name', (attack) => arena.withstands(attack), 120_000);
  test('others waited for little work of the server, and for nothing else', () => arena.checkLatency());
  test('the next 100 edits are durable', () => arena.checkDurable(), 60_000);
});
