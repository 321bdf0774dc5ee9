/** What is all new is stored and sent on as it came; everything else as Yjs writes it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { docsOf, edits } from '../../support/edited-docs.js';
import { client, jsonOfDoc, Server } from '../../support/replicas.js';
import { runs } from '../../support/runs.js';

const recordOf = (doc: Y.Doc) => doc.getMap('patients').get('r1') as Y.Map<unknown>;

/** A device whose updates are noted one by one. */
function device(clientID: number): { doc: Y.Doc; made: Uint8Array[] } {
  const made: Uint8Array[] = [];
  const doc = client(clientID);
  doc.on('update', (update: Uint8Array) => made.push(update));
  return { doc, made };
}

function withRecord(): { server: Server; doc: Y.Doc; edit: (key: string, value: unknown) => Uint8Array } {
  const server = new Server();
  const { doc, made } = device(7);
  const edit = (key: string, value: unknown) => {
    recordOf(doc).set(key, value);
    return made.at(-1) as Uint8Array;
  };
  doc.getMap('patients').set('r1', new Y.Map([['name', 'Ada']]));
  server.receive(made[0] as Uint8Array);
  return { server, doc, edit };
}

describe('[N5] an update that is all new goes on as it came', () => {
  test('a field that is new, and one that is written over', () => {
    const { server, edit } = withRecord();
    for (const update of [edit('age', 36), edit('age', 37)])
      expect(server.receive(update).update).toBe(update);
  });

  test('what is repeated, has a gap, comes of two clients or meets what its author had not seen does not', () => {
    const { server, doc, edit } = withRecord();
    const [first, second] = [edit('age', 36), edit('age', 37)];
    server.receive(first);
    expect(server.receive(Y.mergeUpdates([first, second])).update).toEqual(second);
    const [apart, also] = [device(8), device(9)];
    for (const each of [apart, also]) Y.applyUpdate(each.doc, Y.encodeStateAsUpdate(doc), 'server');
    recordOf(apart.doc).set('age', 38);
    recordOf(also.doc).set('room', 2);
    const both = Y.mergeUpdates([apart.made.at(-1), also.made.at(-1)] as Uint8Array[]);
    expect(server.receive(both).update).not.toBe(both);
    const late = edit('age', 39);
    expect(server.receive(late).update).not.toBe(late);
  });

  test('a deletion alone is encoded, and one that is not new is none', () => {
    const { server, doc, edit } = withRecord();
    server.receive(edit('age', 36));
    const before = Y.encodeStateVector(doc);
    recordOf(doc).delete('age');
    const deletion = Y.encodeStateAsUpdate(doc, before);
    expect(server.receive(deletion).update).not.toBe(deletion);
    expect(server.receive(deletion).update).toBeNull();
  });
});

test('[N3] whoever gets what the server sends, and whoever loads what it stores, has what it has', () => {
  let kept = 0;
  fc.assert(
    fc.property(edits, (made) => {
      const [server, other] = [new Server(), new Y.Doc()];
      docsOf(made, (doc) =>
        doc.on('update', (update: Uint8Array) => {
          const written = server.receive(update).update;
          if (written === update) kept++;
          if (written !== null) Y.applyUpdate(other, written);
        }),
      );
      expect(jsonOfDoc(other)).toEqual(server.json());
      const [json, state] = [server.json(), Y.encodeStateVector(server.replica.doc)];
      server.restart();
      expect(server.json()).toEqual(json);
      expect(Y.encodeStateVector(server.replica.doc)).toEqual(state);
    }),
    { numRuns: runs(500) },
  );
  expect(kept).toBeGreaterThan(0);
});
