/** The workers that large documents are written anew in (P10). */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { RewritingWorkers } from '../../../../server/documents/epochs/rewriting-workers.js';

test('[P10] a few are under way in all; the others wait for their turn, also behind one that fails', async () => {
  const workers = new RewritingWorkers(2);
  const doc = new Y.Doc();
  doc.getMap('notes').set('a', 1);
  const task = { updates: [Y.encodeStateAsUpdate(doc)], memory: null, client: 7 };
  const begun: number[] = [];
  const run = (n: number, fails = false) =>
    workers.run(async () => {
      begun.push(n);
      if (fails) throw new Error('can not be loaded');
      return task;
    });
  const all = [run(1), run(2), run(3, true), run(4)];
  expect([begun, workers.underWay]).toEqual([[1, 2], 2]);
  const results = await Promise.allSettled(all);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect(begun).toEqual([1, 2, 3, 4]);
  expect(workers.underWay).toBe(0);
  const first = await all[0];
  const read = new Y.Doc();
  Y.applyUpdate(read, first?.update as Uint8Array);
  expect([read.getMap('notes').toJSON(), [...read.store.clients.keys()]]).toEqual([{ a: 1 }, [7]]);
});
