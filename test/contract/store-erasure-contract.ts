import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../../server/store/store.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import { Author, entriesOf, entry, notesOf, stateReached, user, writeHistory } from '../support/notes.js';
import type { StoreFixture } from './store-fixture.js';

const ANNA = user('anna');
const BERT = user('bert');
const PHONE = 'phone' as DeviceId;
const ALL = { below: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };
const TOMBSTONE = Uint8Array.of(1, 2, 3);
const ERASED = {
  updates: [],
  memory: null,
  devices: new Map(),
  tombstone: TOMBSTONE,
  epoch: null,
  rest: null,
};

/** The clauses of the contract about erasure. */
export function erasureContract(name: string, create: () => Promise<StoreFixture>): void {
  describe(`the store contract, erasure: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
      for (const each of [ANNA, BERT]) await fill(store, each);
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await fixture.open();
    };

    it('[P7] nothing is left of the user but the tombstone and the number of the revision, also after a restart', async () => {
      await store.erase(ANNA, TOMBSTONE);
      for (const again of [false, true]) {
        if (again) await reopen();
        expect(await store.load(ANNA)).toEqual({ ...ERASED, revision: 6, historyFrom: 6 });
        expect(await store.history(ANNA, ALL)).toEqual([]);
        expect(await store.deletions(ANNA)).toEqual([]);
      }
    });

    it('[P7] others keep what they have', async () => {
      const before = await store.load(BERT);
      await store.erase(ANNA, TOMBSTONE);
      expect(await store.load(BERT)).toEqual(before);
      expect(await store.history(BERT, ALL)).toHaveLength(4);
      expect(await store.deletions(BERT)).toHaveLength(1);
    });

    it('[P7] what was handed over before is gone too; what comes after has to wait for a load', async () => {
      const author = new Author();
      const before = store.commit(ANNA, { update: author.set('late', 1), revision: 6 });
      const erased = store.erase(ANNA, TOMBSTONE);
      const after = store.commit(ANNA, { update: author.set('later', 1), revision: 7 });
      await expect(after).rejects.toMatchObject({ code: 'NOT_SAVED' });
      const loaded = store.load(ANNA);
      await Promise.all([before, erased]);
      expect(await loaded).toEqual({ ...ERASED, revision: 7, historyFrom: 7 });
    });

    it('[P7] the user may start anew, and be erased again', async () => {
      await store.erase(ANNA, TOMBSTONE);
      await store.load(ANNA);
      const update = new Author().set('new', 1);
      await store.commit(ANNA, { update, revision: 7, history: [entry(ANNA, 7)] });
      await reopen();
      const stored = await store.load(ANNA);
      expect(stored).toMatchObject({ revision: 7, historyFrom: 6, tombstone: TOMBSTONE });
      expect(notesOf(stored)).toEqual({ new: 1 });
      expect(entriesOf(await store.history(ANNA, ALL))).toEqual(['anna 7']);
      await store.erase(ANNA, Uint8Array.of(9));
      await reopen();
      const again = { ...ERASED, tombstone: Uint8Array.of(9), revision: 8, historyFrom: 8 };
      expect(await store.load(ANNA)).toEqual(again);
    });

    it('[P7] a user never met can be erased, and so can a damaged one', async () => {
      await store.erase(user('carl'), TOMBSTONE);
      expect(await store.load(user('carl'))).toMatchObject({ ...ERASED, revision: 1 });
      store.forget(ANNA);
      await fixture.damage(ANNA);
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
      await store.erase(ANNA, TOMBSTONE);
      expect(await store.load(ANNA)).toMatchObject({ ...ERASED, revision: 6 });
    });

    it('[P7] [P3] one that fails says so, and can be done again', async () => {
      fixture.failNextBatch();
      await expect(store.erase(ANNA, TOMBSTONE)).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(store, 'ready');
      await store.erase(ANNA, TOMBSTONE);
      expect(await store.load(ANNA)).toMatchObject(ERASED);
      expect(Object.keys(notesOf(await store.load(BERT)))).toHaveLength(5);
    });
  });
}

/** Five changes, the oldest without its entry, a device, a deletion and a memory. */
async function fill(store: Store, name: UserId): Promise<void> {
  await store.load(name);
  await writeHistory(store, name, 5);
  const devices = new Map([[PHONE, Buffer.from('seen')]]);
  await store.commit(name, { update: null, revision: 5, devices, memory: Buffer.of(7) });
  await store.prune(name, 1, [{ collection: 'notes', id: 'n', revision: 1, at: 1 }]);
}
