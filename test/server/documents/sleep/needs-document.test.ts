/** Whatever is answered without the document leaves device and document as the document itself would (N2). */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import * as Y from 'yjs';
import { answerFor, needsDocument } from '../../../../server/documents/sleep/needs-document.js';
import { scanUpdate } from '../../../../server/protocol/scan.js';
import type { YjsMessage } from '../../../../server/protocol/yjs.js';
import { type Edit, editArbitrary, editNative } from '../../../support/random-edits.js';
import { client } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

const EMPTY = Uint8Array.of(0);
const NOTHING = Uint8Array.of(0, 0);

/** Everything that there is in a document, deletions included. */
const stateOf = (doc: Y.Doc): string =>
  JSON.stringify([
    [...Y.decodeStateVector(Y.encodeStateVector(doc))].sort(([a], [b]) => a - b),
    Buffer.from(Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc))).toString('hex'),
    [...doc.share.keys()].sort().map((name) => doc.getMap(name).toJSON()),
  ]);

const sync = (from: Y.Doc, to: Y.Doc): void =>
  Y.applyUpdate(to, Y.encodeStateAsUpdate(from, Y.encodeStateVector(to)));

function copyOf(doc: Y.Doc, clientID = 900): Y.Doc {
  const copy = client(clientID);
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  return copy;
}

function restOf(doc: Y.Doc) {
  const stateVector = Y.encodeStateVector(doc);
  const deletions = Y.encodeStateAsUpdate(doc, stateVector);
  return { stateVector, deletions, isWhole: true, whole: Y.encodeStateAsUpdate(doc) };
}

interface Step {
  readonly edit: Edit;
  readonly by: number;
  readonly syncs: 'both' | 'up' | 'down' | 'none';
}
const steps = fc.array(
  fc.record({
    edit: editArbitrary,
    by: fc.nat(2),
    syncs: fc.constantFrom('both', 'both', 'up', 'down', 'none') as fc.Arbitrary<Step['syncs']>,
  }),
  { minLength: 1, maxLength: 25 },
);

/** A document, and devices that are up to date, behind, ahead, or fresh. */
function live(all: readonly Step[]): { server: Y.Doc; devices: Y.Doc[] } {
  const server = client(1);
  const devices = [client(11), client(12), client(13), client(14)];
  for (const [index, { edit, by, syncs }] of all.entries()) {
    const device = devices[by] as Y.Doc;
    editNative(device, edit, `v${index}`);
    if (syncs === 'both' || syncs === 'up') sync(device, server);
    if (syncs === 'both' || syncs === 'down') sync(server, device);
  }
  return { server, devices };
}

test('[N2] an answer at rest leaves every device as an answer of the document does', () => {
  const seen = { deletions: 0, whole: 0, needed: 0 };
  const property = fc.property(steps, (all) => {
    const { server, devices } = live(all);
    const rest = restOf(server);
    for (const device of devices) {
      const stateVector = Y.encodeStateVector(device);
      const answer = answerFor(stateVector, rest);
      seen[answer ?? 'needed']++;
      expect(needsDocument({ type: 'syncStep1', stateVector }, rest)).toBe(answer === null);
      if (answer === null) continue;
      const [asleep, awake] = [copyOf(device), copyOf(device)];
      Y.applyUpdate(asleep, answer === 'whole' ? rest.whole : rest.deletions);
      Y.applyUpdate(awake, Y.encodeStateAsUpdate(server, stateVector));
      expect(stateOf(asleep)).toBe(stateOf(awake));
    }
  });
  fc.assert(property, { numRuns: runs(300), seed: 1 });
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(runs(300) / 10);
});

test('[N2] an update that does not need the document changes nothing of it', () => {
  const seen = { needed: 0, news: 0, nothing: 0 };
  const property = fc.property(steps, fc.nat(3), (all, at) => {
    const { server, devices } = live(all);
    const rest = restOf(server);
    const device = devices[at] as Y.Doc;
    const before = stateOf(copyOf(server));
    const answers = [Y.encodeStateAsUpdate(device, rest.stateVector), Y.encodeStateAsUpdate(device)];
    for (const update of answers) {
      const isNeeded = needsDocument({ type: 'syncStep2', update }, rest);
      expect(needsDocument({ type: 'update', update }, rest)).toBe(isNeeded);
      const changes = [
        { madeAt: null, update: NOTHING },
        { madeAt: 1, update },
      ];
      expect(needsDocument({ type: 'timed', sentAt: 1, changes }, rest)).toBe(isNeeded);
      const copy = copyOf(server);
      Y.applyUpdate(copy, update);
      const isNews = stateOf(copy) !== before;
      seen[isNeeded ? 'needed' : 'nothing']++;
      if (isNews) seen.news++;
      if (!isNeeded) expect(isNews).toBe(false);
    }
  });
  fc.assert(property, { numRuns: runs(300), seed: 2 });
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(runs(300) / 10);
});

test('[S1] [N2] bytes that were changed on the way need the document wherever they would change it, or can not be read', () => {
  let passed = 0;
  const change = fc.record({ position: fc.nat(200), byte: fc.nat(255), cut: fc.boolean() });
  const property = fc.property(steps, change, (all, { position, byte, cut }) => {
    const { server } = live(all);
    const rest = restOf(server);
    const bytes = Uint8Array.from(rest.deletions);
    bytes[position % bytes.length] = byte;
    const update = cut ? bytes.subarray(0, position % bytes.length) : bytes;
    if (needsDocument({ type: 'update', update }, rest)) return;
    passed++;
    expect(() => scanUpdate(update, { maxDepth: 64 })).not.toThrow();
    const copy = copyOf(server);
    const before = stateOf(copy);
    Y.applyUpdate(copy, update);
    expect(stateOf(copy)).toBe(before);
    expect(copy.store.pendingDs).toBeNull();
  });
  fc.assert(property, { numRuns: runs(2_000), seed: 3 });
  expect(passed).toBeGreaterThan(0);
});

describe('what needs the document', () => {
  const server = client(1);
  server.getMap('notes').set('a', 1);
  server.getMap('notes').set('b', 1);
  const before = copyOf(server);
  server.getMap('notes').delete('a');
  const rest = restOf(server);

  it('[N2] equal state vectors with unequal deletions: the deletions are sent, and taken', () => {
    expect(Y.encodeStateVector(before)).toEqual(rest.stateVector);
    expect(answerFor(Y.encodeStateVector(before), rest)).toBe('deletions');
    Y.applyUpdate(before, rest.deletions);
    expect(before.getMap('notes').toJSON()).toEqual({ b: 1 });
    const other = copyOf(server, 2);
    other.getMap('notes').delete('b');
    const update = Y.encodeStateAsUpdate(other, rest.stateVector);
    expect(Y.encodeStateVector(other)).toEqual(rest.stateVector);
    expect(needsDocument({ type: 'syncStep2', update }, rest)).toBe(true);
  });

  it('[N2] a device that has nothing does, where the document is not stored whole', () => {
    expect(answerFor(EMPTY, rest)).toBe('whole');
    expect(answerFor(EMPTY, { ...rest, isWhole: false })).toBeNull();
  });

  it('[N2] an empty document is what every device has', () => {
    const empty = { stateVector: EMPTY, deletions: NOTHING, isWhole: false };
    expect(answerFor(EMPTY, empty)).toBe('deletions');
    // Clients that are not known may be of a document before this one (P10).
    expect(answerFor(rest.stateVector, empty)).toBeNull();
    expect(needsDocument({ type: 'syncStep2', update: NOTHING }, empty)).toBe(false);
    expect(needsDocument({ type: 'syncStep2', update: rest.deletions }, empty)).toBe(true);
  });

  it('[N4] [N6] presence and checkpoints never do', () => {
    const all: YjsMessage[] = [
      { type: 'awareness', entries: [] },
      { type: 'queryAwareness' },
      { type: 'checkpoint', n: 1 },
      { type: 'auth', reason: '' },
    ];
    expect(all.filter((message) => needsDocument(message, rest))).toEqual([]);
  });
});
