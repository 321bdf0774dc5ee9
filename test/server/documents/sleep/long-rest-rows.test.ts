/** What is noted of a document that sleeps may be long: no message makes the server read all of it (S, P8). */
import * as encoding from 'lib0/encoding';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import * as Y from 'yjs';
import { answerFor, needsDocument } from '../../../../server/documents/sleep/needs-document.js';
import { ByteReader } from '../../../../server/protocol/bytes.js';
import { messages, type YjsMessage } from '../../../../server/protocol/yjs.js';
import { client, unnamedDoc } from '../../../support/replicas.js';
import { SleepWorld } from '../../../support/sleep-world.js';

const EMPTY = Uint8Array.of(0);
const NOTHING = Uint8Array.of(0, 0);
/** Changes of one message, at most. */
const CHANGES = 200;

/** An update that deletes these clocks of client 77. */
const deletionsOf = (clocks: readonly number[]): Uint8Array =>
  encoding.encode((encoder) => {
    for (const number of [0, 1, 77, clocks.length]) encoding.writeVarUint(encoder, number);
    for (const clock of clocks) for (const number of [clock, 1]) encoding.writeVarUint(encoder, number);
  });

const restWith = (many: number) => ({
  stateVector: EMPTY,
  deletions: deletionsOf(Array.from({ length: many }, (_, index) => 2 * index)),
  isWhole: true,
});

const updateOf = (clocks: readonly number[]): YjsMessage => ({ type: 'update', update: deletionsOf(clocks) });

/** As many changes as a message may have, each the same. */
function timedOf(clocks: readonly number[]): YjsMessage {
  const change = { madeAt: null, update: deletionsOf(clocks) };
  return { type: 'timed', sentAt: 1, changes: new Array(CHANGES).fill(change) };
}

describe('deletions that are known', () => {
  const MANY = 7_000;
  const rest = restWith(MANY);
  const timeOf = (clock: number): number => {
    const message = timedOf([clock]);
    const began = performance.now();
    expect(needsDocument(message, rest)).toBe(false);
    return performance.now() - began;
  };

  it('[N7] [P8] cost the same wherever they stand', () => {
    timeOf(0);
    const last = timeOf(2 * (MANY - 1));
    expect(last).toBeLessThan(20 * timeOf(0) + 50);
  });

  it('[S] [P8] are read once for a message of many changes', () => {
    const reads = vi.spyOn(ByteReader.prototype, 'uint');
    onTestFinished(() => reads.mockRestore());
    timeOf(0);
    expect(reads.mock.calls.length).toBeLessThan(2 * MANY + 10 * CHANGES + 10);
  });

  it('[N2] and one that is not is found between them', () => {
    for (const clock of [1, MANY + 1, 2 * MANY - 1, 2 * MANY + 10]) {
      expect(needsDocument(updateOf([0, clock, 4]), rest)).toBe(true);
    }
  });

  it('[S] [P8] where they are too many to be read in a moment, the document is asked; not for who is up to date', () => {
    const large = restWith(100_000);
    for (const message of [updateOf([0]), timedOf([0])]) expect(needsDocument(message, large)).toBe(true);
    for (const update of [Uint8Array.from(large.deletions), NOTHING]) {
      expect(needsDocument({ type: 'syncStep2', update }, large)).toBe(false);
    }
  });

  it('[S] [P8] so it is where too many come, in one update or in some', () => {
    expect(needsDocument(updateOf(new Array(20_000).fill(0)), rest)).toBe(true);
    expect(needsDocument(timedOf(new Array(100).fill(0)), rest)).toBe(true);
  });
});

it('[S] [P8] where very many clients have written, the document is asked; not for who is up to date or has nothing', () => {
  const clocks = new Map(Array.from({ length: 20_000 }, (_, id) => [id + 1, 1]));
  const rest = { ...restWith(1), stateVector: Y.encodeStateVector(clocks) };
  expect(answerFor(Uint8Array.from(rest.stateVector), rest)).toBe('deletions');
  expect(answerFor(EMPTY, rest)).toBe('whole');
  expect(answerFor(Y.encodeStateVector(clocks.set(1, 2)), rest)).toBeNull();
});

it('[N2] [N7] [P8] with very many deletions, who is up to date does not wake it; who tells of one does, once', async () => {
  const doc = client(77);
  const notes = doc.getMap('notes');
  doc.transact(() => {
    for (let n = 0; n < 24_000; n++) notes.set(`n${n}`, n);
  });
  doc.transact(() => {
    for (let n = 0; n < 24_000; n += 2) notes.delete(`n${n}`);
  });
  const world = await SleepWorld.asleep(doc);
  const copy = unnamedDoc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  const tablet = await world.connect('tablet', copy, { readOnly: true });
  expect(world.registry.asleep).toBe(1);
  const { loads } = world;
  const { commits } = world.store;
  for (let message = 0; message < 3; message++) {
    tablet.say(messages.update(deletionsOf([0])));
    await world.settle();
  }
  await vi.waitUntil(() => tablet.isAwake, { timeout: 10_000 });
  await world.settle();
  expect([world.loads - loads, world.store.commits - commits]).toEqual([1, 0]);
  expect([tablet.of('auth'), tablet.closed, world.failures]).toEqual([[], null, []]);
  await world.sleep();
  expect(world.registry.asleep).toBe(1);
});
