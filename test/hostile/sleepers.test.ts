/** The same against users that are asleep when it comes, and against documents that were just written anew (P10). */
import { afterAll, beforeAll, describe, test } from 'vitest';
import * as Y from 'yjs';
import { messages } from '../../server/protocol/yjs.js';
import { cycle, deepValue, overlapOfCollected, protoKey, rootOfAnotherKind } from '../support/hostile.js';
import { longLived } from '../support/long-lived.js';
import { Arena, type Attack } from './arena.js';
import * as updates from './updates.js';

const update = (make: () => Uint8Array) => () => [messages.update(make())];

const ATTACKS: Attack[] = [
  { name: 'a root of another kind', messages: update(rootOfAnotherKind), ends: 1007 },
  { name: '__proto__', messages: update(() => protoKey(1)), ends: 1007 },
  { name: 'nested Any, 1,000,000 levels', messages: update(() => deepValue(1_000_000)), ends: 1007 },
  { name: 'cyclic origins', messages: update(cycle), ends: 1007 },
  {
    name: 'an item over what was collected',
    messages: () => overlapOfCollected().map(messages.update),
    ends: 1007,
  },
  { name: '600,000 structs', messages: update(() => updates.manyStructs(600_000)), ends: 1009 },
  {
    name: '300,000 deletions of what is missing, which a sleeper is asked for first',
    messages: update(() => updates.manyDeletions(300_000)),
    ends: 1009,
  },
  {
    name: 'a state vector of 300,000 entries',
    messages: () => [
      messages.syncStep1(Y.encodeStateVector(new Map(Array.from({ length: 300_000 }, (_, n) => [n, 1])))),
    ],
    ends: 1007,
  },
  {
    name: 'SyncStep1 of 3 bytes, 500 times',
    messages: () => Array.from({ length: 500 }, () => messages.syncStep1(Uint8Array.of(0))),
    ends: 'open',
  },
];

const setup = [Y.encodeStateAsUpdate(longLived())];
const OLD: Attack[] = [
  { name: 'all of the old document', messages: () => setup.map(messages.update), ends: 4409 },
  {
    name: 'its state vector',
    messages: () => [messages.syncStep1(Y.encodeStateVector(longLived()))],
    ends: 4409,
  },
  {
    name: 'a deletion of what it had',
    messages: () => {
      const doc = longLived();
      const before = Y.encodeStateVector(doc);
      doc.getMap('notes').delete('n1');
      return [messages.update(Y.encodeStateAsUpdate(doc, before))];
    },
    ends: 4409,
  },
];

describe('[S1 S3 N2 P10] hostile updates to who sleeps, or was just written anew', () => {
  let arena: Arena;
  beforeAll(async () => {
    arena = await Arena.open({ REST_AFTER: '20ms', IDLE_TIMEOUT: '20ms', HISTORY_DAYS: '0' });
  }, 60_000);
  afterAll(() => arena.close());

  test.each(ATTACKS)('asleep: $name', (attack) => arena.withstands({ ...attack, rests: 'asleep' }), 60_000);
  test.each(ATTACKS)(
    'written anew: $name',
    (attack) => arena.withstands({ ...attack, setup, rests: 'anew' }),
    60_000,
  );
  test.each(OLD)(
    'from before: $name',
    (attack) => arena.withstands({ ...attack, setup, rests: 'anew' }),
    60_000,
  );

  test('others waited for little work of the server, and for nothing else', () => arena.checkLatency());
  test('the next 100 edits are durable', () => arena.checkDurable(), 60_000);
});
