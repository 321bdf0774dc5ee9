/** Large documents are compacted in steps, while they are used (P4). */
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { SMALL_DOCUMENT } from '../../../../server/documents/compaction/document-compaction.js';
import type { UserDocument } from '../../../../server/documents/user-document.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import type { DeviceId, UserId } from '../../../../shared/names.js';
import { writeRecord } from '../../../../shared/records.js';
import { registryOf } from '../../../support/document.js';
import { PATIENCE, Watched } from '../../../support/wait.js';

const ORIGIN = { via: 'json' as const, device: 'phone' as DeviceId, actor: null, subscriber: null };

function write(document: UserDocument, id: string, fields: object): void {
  document.write(ORIGIN, (doc) =>
    writeRecord(doc, 'notes' as never, id as never, { id, ...fields } as never),
  );
}

/** A document larger than what is encoded at once, in several stored updates. */
async function useLarge(store = new MemoryStore()) {
  const events = new Watched();
  const compacted: number[] = [];
  const registry = () =>
    registryOf(store, {
      onRebuilt: () => {},
      onCompacted: (_, { updates }) => {
        compacted.push(updates);
        events.changed();
      },
    });
  const open = async () => (await registry().open('anna' as UserId)).document;
  const documents = registry();
  const { document } = await documents.open('anna' as UserId);
  write(document, 'large', { text: 'x'.repeat(SMALL_DOCUMENT) });
  for (let n = 0; n < 5; n++) write(document, `n${n}`, { n });
  await document.durable();
  const stored = () => store.contents.get('anna' as never)?.updates ?? [];
  const until = (look: () => unknown, what: string) =>
    events.until(
      () => Boolean(look()),
      () => what,
    );
  return { store, documents, document, open, compacted, stored, until };
}

const idsIn = (document: UserDocument): string[] =>
  (document.collections().notes ?? []).map(({ id }) => String(id)).sort();

describe('[P4] a large document', () => {
  test('takes edits while it is compacted; they stay behind the snapshot, and nothing is lost', async () => {
    const { document, open, compacted, stored, until } = await useLarge();
    const before = document.revision;
    document.compact();
    expect([document.compaction.isUnderWay, document.isPaused]).toEqual([true, false]);
    for (let n = 5; n < 9; n++) write(document, `n${n}`, { n });
    await document.durable();
    document.compact(); // at most one is under way
    await until(() => compacted.length > 0, 'a compaction');
    expect(compacted.length).toBe(1);
    const behind = 10 - (compacted[0] ?? 0);
    expect(stored()).toHaveLength(1 + behind);
    expect(document.compaction.isUnderWay).toBe(false);
    write(document, 'n9', { n: 9 });
    await document.durable();
    const again = await open();
    expect(again.revision).toBe(before + 5);
    expect(idsIn(again)).toEqual(['large', ...Array.from({ length: 10 }, (_, n) => `n${n}`)]);
    expect(Y.encodeStateAsUpdate(again.doc)).toEqual(Y.encodeStateAsUpdate(document.doc));
  });

  test('[D4] keeps what lost against a concurrent creation: a late edit of it is in the record', async () => {
    const { document, open, compacted, until } = await useLarge();
    const [a, b] = [new Y.Doc(), new Y.Doc()];
    a.clientID = 1;
    b.clientID = 2;
    for (const doc of [a, b]) doc.getMap('notes').set('both', new Y.Map([[`by${doc.clientID}`, 'first']]));
    for (const doc of [a, b]) document.receive(ORIGIN, Y.encodeStateAsUpdate(doc), null);
    document.compact();
    await until(() => compacted.length > 0, 'a compaction');
    await document.durable();
    const again = await open();
    const before = Y.encodeStateVector(a);
    (a.getMap('notes').get('both') as Y.Map<unknown>).set('by1', 'late');
    again.receive(ORIGIN, Y.encodeStateAsUpdate(a, before), null);
    const record = again.record({ collection: 'notes' as never, id: 'both' as never });
    expect(record).toEqual({ id: 'both', by1: 'late', by2: 'first' });
  });

  test('shrinks by what was overwritten and deleted', async () => {
    const { document, compacted, stored, until } = await useLarge();
    for (let n = 0; n < 5; n++) write(document, 'large', { text: `${n}`.repeat(SMALL_DOCUMENT) });
    document.compact();
    await until(() => compacted.length > 0, 'a compaction');
    expect(stored().reduce((sum, { length }) => sum + length, 0)).toBeLessThan(1.1 * SMALL_DOCUMENT);
  });

  test('one that fails, or ends with the server, leaves everything as it is', async () => {
    const { documents, document, open, stored } = await useLarge();
    document.compact();
    documents.close();
    await expect.poll(() => document.compaction.isUnderWay, { timeout: PATIENCE }).toBe(false);
    write(document, 'n5', { n: 5 });
    await document.durable();
    expect(stored()).toHaveLength(7);
    expect(idsIn(await open())).toHaveLength(7);
  });

  test('[S1] nothing of a document that was left halfway is in it', async () => {
    const { document, open, compacted, stored, until } = await useLarge();
    for (let id = 1; id < 5; id++) {
      const doc = new Y.Doc();
      doc.clientID = id;
      doc.getMap('notes').set(`by${id}`, new Y.Map([['a', id]]));
      document.receive(ORIGIN, Y.encodeStateAsUpdate(doc), null);
    }
    await document.durable();
    document.compact();
    await new Promise(setImmediate);
    const halfway = (doc: Y.Doc) => {
      doc.getMap('notes').set('half', new Y.Map([['a', 1]]));
      throw new Error('A write that fails halfway.');
    };
    expect(() => document.write(ORIGIN, halfway)).toThrow('halfway');
    const isAtWork = () => document.compaction.isUnderWay || document.isPaused;
    await expect.poll(isAtWork, { timeout: PATIENCE }).toBe(false);
    expect([compacted, stored().length]).toEqual([[], 10]);
    document.compact();
    await until(() => compacted.length > 0, 'a compaction');
    expect(idsIn(await open())).toEqual(['by1', 'by2', 'by3', 'by4', 'large', 'n0', 'n1', 'n2', 'n3', 'n4']);
  });

  test('[N3] one that ends while the store is down for others fails nothing, and comes later', async () => {
    const { store, documents, document, compacted, until } = await useLarge();
    const { document: other } = await documents.open('ben' as UserId);
    store.failNext({ kept: false, stayDown: true });
    document.compact();
    write(other, 'n', { n: 1 });
    await expect(other.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
    expect([store.state, document.compaction.isUnderWay]).toEqual(['reopening', true]);
    await expect.poll(() => document.compaction.isUnderWay, { timeout: PATIENCE }).toBe(false);
    expect([document.failure, compacted]).toEqual([null, []]);
    store.recover();
    await expect.poll(() => store.state, { timeout: PATIENCE }).toBe('ready');
    document.compact();
    await until(() => compacted.length > 0, 'a compaction');
  });

  test('[N3] what failed meanwhile is not touched by it', async () => {
    const { store, document, open, stored } = await useLarge();
    store.failNext({ kept: false });
    document.compact();
    write(document, 'n5', { n: 5 });
    await expect(document.durable()).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await expect.poll(() => document.compaction.isUnderWay, { timeout: PATIENCE }).toBe(false);
    expect(stored()).toHaveLength(6);
    expect(idsIn(await open())).toHaveLength(6);
  });
});
