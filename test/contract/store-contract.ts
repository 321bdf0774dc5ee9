import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../server/store/store.js';
import { Author, notesOf, stateReached, user, writeNotes } from '../support/notes.js';
import { epochContract } from './store-epoch-contract.js';
import { erasureContract } from './store-erasure-contract.js';
import type { StoreFixture } from './store-fixture.js';
import { historyContract } from './store-history-contract.js';
import { restContract } from './store-rest-contract.js';
import { viewContract } from './store-view-contract.js';

const ANNA = user('anna');
const BERT = user('bert');
const NOTHING = {
  updates: [],
  revision: 0,
  memory: null,
  devices: new Map(),
  historyFrom: 0,
  tombstone: null,
  epoch: null,
  rest: null,
};

/** The contract of `Store`, clause by clause. */
export function storeContract(name: string, create: () => Promise<StoreFixture>): void {
  historyContract(name, create);
  erasureContract(name, create);
  restContract(name, create);
  epochContract(name, create);
  viewContract(name, create);
  describe(`the store contract: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await fixture.open();
    };

    it('[P1] a user never met has nothing', async () => {
      expect(await store.load(ANNA)).toEqual(NOTHING);
      expect(store.state).toBe('ready');
    });

    it('[P1] what was committed is loaded in the order of the commits, byte for byte, also after a restart', async () => {
      const author = new Author();
      const updates = [author.set('a', 1), author.set('b', 2), author.set('a', 3)];
      await store.load(ANNA);
      for (const [i, update] of updates.entries()) await store.commit(ANNA, { update, revision: i + 1 });
      await reopen();
      expect(await store.load(ANNA)).toEqual({ ...NOTHING, updates, revision: 3, historyFrom: 3 });
      expect(await store.load(BERT)).toEqual(NOTHING);
    });

    it('[P9] what is noted belongs to no user, and outlives a restart', async () => {
      expect(await store.note('clock')).toBeNull();
      await store.setNote('clock', Uint8Array.of(1));
      await store.setNote('other', Uint8Array.of(2));
      await store.setNote('clock', Uint8Array.of(3));
      await reopen();
      expect([await store.note('clock'), await store.note('other')]).toEqual([
        Uint8Array.of(3),
        Uint8Array.of(2),
      ]);
      expect(await store.load(ANNA)).toEqual(NOTHING);
    });

    it('[P1] the memory stays until it is replaced, also by an empty one', async () => {
      const author = new Author();
      const memory = Uint8Array.of(1, 2, 3);
      await store.load(ANNA);
      await store.commit(ANNA, { update: author.set('a', 1), revision: 1, memory });
      await store.commit(ANNA, { update: author.set('a', 2), revision: 2 });
      await reopen();
      expect((await store.load(ANNA)).memory).toEqual(memory);
      await store.commit(ANNA, { update: author.set('a', 3), revision: 3, memory: new Uint8Array(0) });
      await reopen();
      expect((await store.load(ANNA)).memory).toEqual(new Uint8Array(0));
    });

    it('[P2] commits of all users that are handed over at once resolve in order', async () => {
      const order: string[] = [];
      await Promise.all([store.load(ANNA), store.load(BERT)]);
      const author = new Author();
      const commits = Array.from({ length: 50 }, (_, i) => {
        const name = i % 2 === 0 ? ANNA : BERT;
        return store
          .commit(name, { update: author.set('k', i), revision: i + 1 })
          .then(() => order.push(`${i}`));
      });
      await Promise.all(commits);
      expect(order).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
    });

    it('[P2] a load sees every commit that was handed over before it', async () => {
      await store.load(ANNA);
      const saved = writeNotes(store, ANNA, 20);
      expect((await store.load(ANNA)).updates).toHaveLength(20);
      await saved;
    });

    it('[P2] loads at the same time, with commits between, leave nothing behind that is out of date', async () => {
      const author = new Author();
      await Promise.all([store.load(ANNA), store.load(ANNA)]);
      const first = store.commit(ANNA, { update: author.set('a', 1), revision: 1 });
      const load = store.load(ANNA);
      store.forget(ANNA);
      const again = store.load(ANNA);
      await Promise.all([first, load, again]);
      await store.commit(ANNA, { update: author.set('b', 2), revision: 2 });
      expect(notesOf(await store.load(ANNA))).toEqual({ a: 1, b: 2 });
    });

    it('[P1] the caller may reuse its bytes as soon as commit has returned', async () => {
      const bytes = new Author().set('a', 'value');
      const memory = Buffer.from([7, 8]);
      const copy = bytes.slice();
      await store.load(ANNA);
      const saved = store.commit(ANNA, { update: bytes, revision: 1, memory });
      bytes.fill(0);
      memory.fill(0);
      await saved;
      const { updates, memory: kept } = await store.load(ANNA);
      expect(updates).toEqual([copy]);
      expect(kept).toEqual(Uint8Array.of(7, 8));
    });

    it('[P4] a compaction takes the place of all that was handed over before, and of nothing after it', async () => {
      await store.load(ANNA);
      const author = await writeNotes(store, ANNA, 10);
      const before = store.commit(ANNA, { update: author.set('n10', 10), revision: 11 });
      const snapshot = author.snapshot();
      const compacted = store.compact(ANNA, { ...snapshot, revision: 11 });
      const update = author.set('n11', 11);
      await Promise.all([before, compacted, store.commit(ANNA, { update, revision: 12 })]);
      await reopen();
      const stored = await store.load(ANNA);
      expect(stored).toMatchObject({ updates: [snapshot.update, update], revision: 12, memory: null });
    });

    it('[P4] a snapshot of the oldest updates takes their place; what came since stays behind it', async () => {
      await store.load(ANNA);
      const author = await writeNotes(store, ANNA, 10);
      const { update: old, stateVector } = author.snapshot();
      const update = author.set('n10', 10);
      const memory = Uint8Array.of(7);
      await store.commit(ANNA, { update, revision: 11, memory });
      const next = author.set('n11', 11);
      const [, compacted] = [
        store.commit(ANNA, { update: next, revision: 12 }),
        store.compact(ANNA, { update: old, stateVector, replaces: 10, revision: 12 }),
      ];
      const last = author.set('n12', 12);
      await Promise.all([compacted, store.commit(ANNA, { update: last, revision: 13 })]);
      await reopen();
      const stored = await store.load(ANNA);
      expect(stored).toMatchObject({ updates: [old, update, next, last], revision: 13, memory });
    });

    it('[P4] a second snapshot takes the place of the first and of what came since; all may be replaced', async () => {
      await store.load(ANNA);
      const author = await writeNotes(store, ANNA, 5);
      await store.compact(ANNA, { ...author.snapshot(), replaces: 5, revision: 5 });
      const update = author.set('n5', 5);
      await store.commit(ANNA, { update, revision: 6 });
      const second = author.snapshot();
      await store.compact(ANNA, { ...second, replaces: 2, revision: 6 });
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ updates: [second.update], revision: 6 });
      const last = author.set('n6', 6);
      await store.commit(ANNA, { update: last, revision: 7 });
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ updates: [second.update, last], revision: 7 });
    });

    it('[P4] a compaction may come first, twice, and with a memory', async () => {
      const author = new Author();
      author.set('a', 1);
      await store.load(ANNA);
      await store.compact(ANNA, { ...author.snapshot(), revision: 1, memory: Uint8Array.of(9) });
      author.set('b', 2);
      await store.compact(ANNA, { ...author.snapshot(), revision: 2 });
      await reopen();
      const stored = await store.load(ANNA);
      const { update } = author.snapshot();
      expect(stored).toMatchObject({ updates: [update], revision: 2, memory: Uint8Array.of(9) });
    });

    it('[P3] a commit to a document that is not loaded, or was forgotten, is refused', async () => {
      const author = new Author();
      const commit = { update: author.set('a', 1), revision: 1 };
      await expect(store.commit(ANNA, commit)).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await store.load(ANNA);
      const saved = store.commit(ANNA, commit);
      store.forget(ANNA);
      await saved;
      await expect(store.commit(ANNA, commit)).rejects.toMatchObject({ code: 'NOT_SAVED' });
      expect(notesOf(await store.load(ANNA))).toEqual({ a: 1 });
    });

    it('[P3] a failed batch rejects all that was handed over, and the store reopens by itself', async () => {
      const states: string[] = [];
      store.onState((state) => states.push(state));
      const off = store.onState(() => states.push('never'));
      off();
      const { generation } = store;
      const author = new Author();
      await store.load(ANNA);
      await store.commit(ANNA, { update: author.set('safe', 1), revision: 1 });
      await store.load(BERT);
      fixture.failNextBatch();
      const commits = [ANNA, BERT, ANNA].map((name, i) =>
        store
          .commit(name, { update: author.set(`f${i}`, i), revision: i + 2 })
          .catch((error: unknown) => error),
      );
      await stateReached(store, 'reopening');
      const late = store.commit(ANNA, { update: author.set('late', 1), revision: 9 });
      await expect(late).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      for (const error of await Promise.all(commits)) {
        expect(error).toMatchObject({ code: 'NOT_SAVED', cause: expect.anything() });
      }
      await stateReached(store, 'ready');
      expect(states).toEqual(['reopening', 'ready']);
      expect(store.generation).toBe(generation + 1);
      expect(notesOf(await store.load(ANNA))).toMatchObject({ safe: 1 });
    });

    it('[P3] after a rejection a user has to be loaded again; one without a change in flight has not', async () => {
      const anna = new Author();
      const bert = new Author();
      await Promise.all([store.load(ANNA), store.load(BERT)]);
      await store.commit(BERT, { update: bert.set('b', 1), revision: 1 });
      fixture.failNextBatch();
      const failed = store.commit(ANNA, { update: anna.set('a', 1), revision: 1 });
      await expect(failed).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(store, 'ready');
      const early = store.commit(ANNA, { update: anna.set('a', 2), revision: 2 });
      await expect(early).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await store.commit(BERT, { update: bert.set('b', 2), revision: 2 });
      const { revision } = await store.load(ANNA);
      await store.commit(ANNA, { ...anna.snapshot(), revision: revision + 1 });
      await reopen();
      expect(notesOf(await store.load(ANNA))).toEqual({ a: 2 });
      expect(notesOf(await store.load(BERT))).toEqual({ b: 2 });
    });

    it('[P5] a damaged document is refused whole; the others work', async () => {
      await Promise.all([store.load(ANNA), store.load(BERT)]);
      await writeNotes(store, ANNA, 3);
      const bert = await writeNotes(store, BERT, 3);
      store.forget(ANNA);
      await fixture.damage(ANNA);
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
      await store.commit(BERT, { update: bert.set('more', 1), revision: 4 });
      expect(notesOf(await store.load(BERT))).toEqual({ n0: 0, n1: 1, n2: 2, more: 1 });
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
      const commit = store.commit(ANNA, { update: new Author().set('x', 1), revision: 4 });
      await expect(commit).rejects.toMatchObject({ code: 'NOT_SAVED' });
    });

    it('[P6] close writes what was handed over; later calls are refused', async () => {
      await store.load(ANNA);
      const author = new Author();
      const saved = store.commit(ANNA, { update: author.set('a', 1), revision: 1 });
      const closed = store.close();
      const late = store.commit(ANNA, { update: author.set('b', 1), revision: 2 });
      await expect(late).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await Promise.all([saved, closed]);
      expect(store.state).toBe('closed');
      await reopen();
      expect(notesOf(await store.load(ANNA))).toEqual({ a: 1 });
    });
  });
}
