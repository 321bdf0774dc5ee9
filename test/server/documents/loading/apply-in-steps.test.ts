/** A document that is loaded in short steps is the one that is loaded at once. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import type { PartSize } from '../../../../server/documents/intake/parts.js';
import { applyInSteps } from '../../../../server/documents/loading/apply-in-steps.js';
import { Replica, type ReplicaSource } from '../../../../server/documents/replica.js';
import { docsOf, edits } from '../../../support/edited-docs.js';
import { histories, lived, serverWith } from '../../../support/lived.js';
import { client, jsonOfDoc, options } from '../../../support/replicas.js';
import { runs } from '../../../support/runs.js';

const sizes = fc.record({
  structs: fc.integer({ min: 1, max: 6 }),
  bytes: fc.integer({ min: 1, max: 300 }),
  deletions: fc.integer({ min: 1, max: 3 }),
});

function finished<Result>(steps: Generator<void, Result>): { steps: number; result: Result } {
  for (let count = 1; ; count++) {
    const { done, value } = steps.next();
    if (done === true) return { steps: count, result: value };
  }
}

const structsOf = ({ store }: Y.Doc) =>
  [...store.clients].map(([id, structs]) => [
    id,
    structs.map((struct) => [
      struct.constructor.name,
      struct.id.clock,
      struct.length,
      struct.deleted,
      struct instanceof Y.Item ? struct.content.constructor.name : '',
    ]),
  ]);

const stateOf = (doc: Y.Doc) => ({
  json: jsonOfDoc(doc),
  structs: Object.fromEntries(structsOf(doc)),
  vector: Object.fromEntries(Y.decodeStateVector(Y.encodeStateVector(doc))),
  update: Y.encodeStateAsUpdate(doc),
  pending: [doc.store.pendingStructs?.missing, doc.store.pendingDs],
});

function compare(stored: ReplicaSource, size: PartSize): number {
  const eager = new Replica(stored, options);
  const { steps, result } = finished(Replica.inSteps(stored, options, undefined, size));
  expect(stateOf(result.doc)).toEqual(stateOf(eager.doc));
  expect(result.memory()).toEqual(eager.memory());
  expect(result.images.complete()).toEqual(eager.images.complete());
  // Both go on alike.
  const edit = (doc: Y.Doc) => void doc.getMap('appointments').set('x', new Y.Map([['late', 1]]));
  expect(result.write(edit).update).toEqual(eager.write(edit).update);
  expect(stateOf(result.doc)).toEqual(stateOf(eager.doc));
  return steps;
}

describe('[S] a load in steps has the same document, collected alike, and the same memory', () => {
  test('of all that was stored, one after the other, as one, and compacted', () => {
    let kept = 0;
    fc.assert(
      fc.property(histories, sizes, fc.constantFrom(0, 100), (history, size, serverId) => {
        const { server, asMade } = lived(history, serverId);
        const { rows, memory } = server;
        if (memory !== null && memory.length > 4) kept++;
        compare({ updates: rows, memory }, size);
        compare({ updates: [Y.mergeUpdates(rows)], memory }, size);
        // Nothing of it is collected yet.
        compare({ updates: [Y.mergeUpdates([...asMade, ...rows])], memory }, size);
        server.compact();
        compare({ updates: server.rows, memory: server.memory }, size);
      }),
      { numRuns: runs(60) },
    );
    expect(kept).toBeGreaterThan(0);
  });

  test('of texts with formats, and of any values', () => {
    fc.assert(
      fc.property(edits, sizes, (made, size) => {
        const updates = docsOf(made).map((doc) => Y.encodeStateAsUpdate(doc));
        compare({ updates, memory: null }, size);
        compare({ updates: [Y.mergeUpdates(updates)], memory: null }, size);
      }),
      { numRuns: runs(150) },
    );
  });

  test('of what misses something, as other servers store it: it waits, and comes with the rest', () => {
    fc.assert(
      fc.property(edits, sizes, fc.nat(30), (made, size, at) => {
        const updates: Uint8Array[] = [];
        docsOf(made, (doc) => doc.on('update', (update: Uint8Array) => updates.push(update)));
        const lacking = updates.filter((_, index) => index !== at);
        const whole = updates.length > 1 ? [Y.mergeUpdates(lacking), ...updates] : updates;
        for (const some of [lacking, whole]) {
          const [eager, stepped] = [new Y.Doc(), new Y.Doc()];
          for (const update of some) Y.applyUpdate(eager, update);
          finished(applyInSteps(stepped, some, size));
          expect(jsonOfDoc(stepped)).toEqual(jsonOfDoc(eager));
          expect(Y.encodeStateAsUpdate(stepped)).toEqual(Y.encodeStateAsUpdate(eager));
        }
      }),
      { numRuns: runs(100) },
    );
  });

  test('what was written over in a map that lost is kept with it, whichever part tells of that', () => {
    const server = serverWith(0);
    const updates: Uint8Array[] = [];
    const [first, second, third] = [client(11), client(12), client(13)];
    for (const doc of [first, second, third]) doc.on('update', (update: Uint8Array) => updates.push(update));
    first.getMap('appointments').set('x', new Y.Map([['note', 'old']]));
    (first.getMap('appointments').get('x') as Y.Map<string>).set('note', 'new');
    second.getMap('appointments').set('x', new Y.Map([['room', 'two']]));
    // By the order of clients, what is written here brings what it builds on before what wins.
    Y.applyUpdate(third, Y.encodeStateAsUpdate(first));
    (third.getMap('appointments').get('x') as Y.Map<string>).set('note', 'newest');
    for (const update of updates) server.receive(update);
    const whole = Y.mergeUpdates([...updates, ...server.rows]);
    compare({ updates: [whole], memory: server.memory }, { structs: 1, bytes: 10, deletions: 1 });
  });

  test('each update keeps its own end: what a later one deletes is not collected with an earlier one', () => {
    const doc = client(1);
    doc.getMap('patients').set('p', new Y.Map([['a', 1]]));
    const rows = [Y.encodeStateAsUpdate(doc)];
    const before = Y.encodeStateVector(doc);
    for (let n = 0; n < 20; n++) doc.getMap('patients').set('p', new Y.Map([['n', n]]));
    rows.push(Y.encodeStateAsUpdate(doc, before));
    expect(compare({ updates: rows, memory: null }, { structs: 2, bytes: 10, deletions: 1 })).toBeGreaterThan(
      20,
    );
  });
});
