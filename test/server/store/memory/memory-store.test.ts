import { describe, expect, it } from 'vitest';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import { storeContract } from '../../../contract/store-contract.js';
import { Author, notesOf, stateReached, user } from '../../../support/notes.js';

storeContract('MemoryStore', async () => {
  let store = new MemoryStore();
  return {
    open: async () => {
      store = new MemoryStore(store.contents);
      return store;
    },
    failNextBatch: () => store.failNext({ kept: false }),
    damage: async (name) => store.damage(name),
    remove: async () => {},
  };
});

describe('the controls of MemoryStore', () => {
  const ANNA = user('anna');

  it('[P2] holds commits back, and writes them as one batch when released', async () => {
    const store = new MemoryStore();
    const author = new Author();
    let done = 0;
    await store.load(ANNA);
    store.hold();
    const first = store.commit(ANNA, { update: author.set('a', 1), revision: 1 }).then(() => (done += 1));
    await new Promise(setImmediate);
    const second = store.commit(ANNA, { update: author.set('b', 1), revision: 2 }).then(() => (done += 1));
    const third = store.commit(ANNA, { update: author.set('c', 1), revision: 3 }).then(() => (done += 1));
    await new Promise(setImmediate);
    expect(done).toBe(0);
    store.release();
    await Promise.all([first, second, third]);
    expect(store.batches).toBe(2);
  });

  it.each([true, false])('[P3] a failed batch is there after the reopen: %s', async (kept) => {
    const store = new MemoryStore();
    await store.load(ANNA);
    store.failNext({ kept });
    const failed = store.commit(ANNA, { update: new Author().set('a', 1), revision: 1 });
    await expect(failed).rejects.toMatchObject({ code: 'NOT_SAVED' });
    await stateReached(store, 'ready');
    expect(notesOf(await store.load(ANNA))).toEqual(kept ? { a: 1 } : {});
  });

  it('[P3] stays down until told', async () => {
    const store = new MemoryStore();
    await store.load(ANNA);
    store.failNext({ kept: false, stayDown: true });
    await expect(store.commit(ANNA, { update: new Author().set('a', 1), revision: 1 })).rejects.toMatchObject(
      { code: 'NOT_SAVED' },
    );
    await new Promise(setImmediate);
    expect(store.state).toBe('reopening');
    store.recover();
    expect(store.state).toBe('ready');
  });
});
