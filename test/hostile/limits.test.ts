/**
 * What is for the limits of connections to withstand: rates, awareness, frames. `LIMITS=1` runs it; it comes into
 * every run together with those limits.
 */
import { afterAll, beforeAll, describe, test } from 'vitest';
import { messages } from '../../shared/protocol/yjs.js';
import { Arena, type Attack } from './arena.js';

const entry = (id: number, clock = 1) => ({ id, clock, state: '{}' });
const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

const ROWS: Attack[] = [
  {
    name: 'an awareness clock of 2^53 - 1',
    messages: () => [messages.awareness([entry(1, Number.MAX_SAFE_INTEGER)])],
    ends: 1007,
  },
  {
    name: '300,000 awareness states',
    messages: () => [messages.awareness(many(300_000, (index) => entry(index)))],
    ends: 1008,
  },
  {
    name: 'SyncStep1 of 3 bytes, 20,000 times',
    messages: () => many(20_000, () => messages.syncStep1(Uint8Array.of(0))),
    ends: 'open',
  },
  { name: 'a message above the limit', messages: () => [new Uint8Array(34 * 2 ** 20)], ends: 1009 },
];

describe.runIf(process.env.LIMITS === '1')('[S1 S4] floods', () => {
  let arena: Arena;
  beforeAll(async () => {
    arena = await Arena.open();
  }, 60_000);
  afterAll(() => arena.close());

  test.each(ROWS)('$name', (attack) => arena.withstands(attack), 120_000);
  test('others waited at most twice as long as at a server beside it', (context) =>
    arena.checkLatency(context));
  test('the next 100 edits are durable', () => arena.checkDurable(), 60_000);
});
