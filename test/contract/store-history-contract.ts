import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Commit, Deletion, Store } from '../../server/store/store.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import {
  Author,
  entriesOf,
  entry,
  notesOf,
  revisionsOf,
  stateReached,
  text,
  user,
  writeHistory,
} from '../support/notes.js';
import type { StoreFixture } from './store-fixture.js';

const ANNA = user('anna');
const BERT = user('bert');
const PHONE = 'phone' as DeviceId;
const TABLET = 'tablet' as DeviceId;
const ALL = { below: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };
const UPDATE = new Author().set('a', 1);

const states = (...entries: [DeviceId, string | null][]): Map<DeviceId, Buffer | null> =>
  new Map(entries.map(([id, state]) => [id, state === null ? null : Buffer.from(state)]));
const byId = (one: Deletion, two: Deletion): number => (one.id < two.id ? -1 : 1);
const AT = 1_700_000_000_000;
const deletion = (id: string, revision: number): Deletion => ({ collection: 'c', id, revision, at: AT });

/** The clauses of the contract about history, deletions and devices. */
export function historyContract(name: string, create: () => Promise<StoreFixture>): void {
  describe(`the store contract, history and devices: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
      await Promise.all([store.load(ANNA), store.load(BERT)]);
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await fixture.open();
      await Promise.all([store.load(ANNA), store.load(BERT)]);
    };
    const commit = (name: UserId, rest: Partial<Commit> & { revision: number }): Promise<void> =>
      store.commit(name, { update: UPDATE, ...rest });
    const devicesOf = async (name: UserId): Promise<Record<string, string>> =>
      Object.fromEntries([...(await store.load(name)).devices].map(([id, state]) => [id, text(state)]));

    it('[H5] a user never met has no history, no deletions and no devices', async () => {
      expect(await store.history(ANNA, ALL)).toEqual([]);
      expect(await store.deletions(ANNA)).toEqual([]);
    });

    it('[H5] entries belong to the last revisions of their commit, newest first, also after a restart', async () => {
      const bytes = [Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(3, 3, 3)];
      await commit(ANNA, { revision: 2, history: bytes.slice(0, 2) });
      await commit(ANNA, { revision: 3, history: bytes.slice(2) });
      await reopen();
      expect(await store.history(ANNA, ALL)).toEqual(
        [3, 2, 1].map((revision) => ({ revision, entry: bytes[revision - 1] })),
      );
      expect(await store.load(ANNA)).toMatchObject({ revision: 3, historyFrom: 0 });
      expect(await store.history(BERT, ALL)).toEqual([]);
    });

    it('[H5] pages go down from below a revision, and end where the history ends', async () => {
      await writeHistory(store, ANNA, 10);
      const page = async (below: number, limit: number): Promise<number[]> =>
        revisionsOf(await store.history(ANNA, { below, limit }));
      expect(await page(11, 3)).toEqual([10, 9, 8]);
      expect(await page(8, 3)).toEqual([7, 6, 5]);
      expect(await page(3, 5)).toEqual([2, 1]);
      expect(await page(100, 2)).toEqual([10, 9]);
      expect(await page(1, 5)).toEqual([]);
      expect(await page(0, 5)).toEqual([]);
      expect(await page(5, 0)).toEqual([]);
    });

    it('[H5] the history sees every commit that was handed over before it, of one tick too', async () => {
      const saved = writeHistory(store, ANNA, 20);
      expect(entriesOf(await store.history(ANNA, { below: 21, limit: 2 }))).toEqual(['anna 20', 'anna 19']);
      await saved;
    });

    it('[H5] [L4] the caller may reuse the bytes of entries and states as soon as commit has returned', async () => {
      const bytes = entry(ANNA, 1);
      const state = Buffer.from('seen');
      const devices = new Map([[PHONE, state]]);
      const history = [bytes];
      const saved = commit(ANNA, { revision: 1, history, devices });
      bytes.fill(0);
      state.fill(0);
      devices.clear();
      history.length = 0;
      await saved;
      expect(entriesOf(await store.history(ANNA, ALL))).toEqual(['anna 1']);
      expect(await devicesOf(ANNA)).toEqual({ phone: 'seen' });
    });

    it('[H5] [L4] after a failed batch an entry and a state are there with their update, or none of them is', async () => {
      await commit(ANNA, { revision: 1, history: [entry(ANNA, 1)] });
      fixture.failNextBatch();
      const devices = new Map([[PHONE, entry(ANNA, 2)]]);
      const failed = commit(ANNA, { revision: 2, history: [entry(ANNA, 2)], devices });
      await expect(failed).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await expect(store.history(ANNA, ALL)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await expect(store.deletions(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await stateReached(store, 'ready');
      const { revision, updates, historyFrom } = await store.load(ANNA);
      expect(updates).toHaveLength(revision);
      expect(historyFrom).toBe(0);
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual(revision === 2 ? [2, 1] : [1]);
      expect(await devicesOf(ANNA)).toEqual(revision === 2 ? { phone: 'anna 2' } : {});
      await commit(ANNA, { revision: revision + 1, history: [entry(ANNA, revision + 1)] });
      expect(revisionsOf(await store.history(ANNA, ALL)).at(0)).toBe(revision + 1);
    });

    it('[H5] a revision without an entry ends what the history reaches back to', async () => {
      await writeHistory(store, ANNA, 3);
      await commit(ANNA, { revision: 6, history: [entry(ANNA, 5), entry(ANNA, 6)] });
      expect((await store.load(ANNA)).historyFrom).toBe(4);
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual([6, 5]);
      await commit(ANNA, { revision: 7 });
      expect((await store.load(ANNA)).historyFrom).toBe(7);
      expect(await store.history(ANNA, ALL)).toEqual([]);
      await commit(ANNA, { revision: 8, history: [entry(ANNA, 8)] });
      await commit(ANNA, { revision: 8 });
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ revision: 8, historyFrom: 7 });
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual([8]);
    });

    it('[H5] an entry that comes again replaces; one from before the history reaches back is not kept', async () => {
      await commit(ANNA, { revision: 3 });
      const again = [2, 3, 4].map((revision) => entry(BERT, revision));
      await commit(ANNA, { revision: 4, history: [entry(ANNA, 4)] });
      await commit(ANNA, { revision: 4, history: again });
      expect((await store.load(ANNA)).historyFrom).toBe(3);
      expect(entriesOf(await store.history(ANNA, ALL))).toEqual(['bert 4']);
    });

    it('[H7] pruning removes entries up to a revision and no more, also after a restart', async () => {
      await writeHistory(store, ANNA, 10);
      await store.prune(ANNA, 7, []);
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ revision: 10, historyFrom: 7 });
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual([10, 9, 8]);
      await store.prune(ANNA, 3, []);
      expect((await store.load(ANNA)).historyFrom).toBe(7);
      await store.prune(ANNA, 99, []);
      await commit(ANNA, { revision: 11, history: [entry(ANNA, 11)] });
      expect(await store.load(ANNA)).toMatchObject({ updates: { length: 11 }, historyFrom: 10 });
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual([11]);
    });

    it('[H7] pruning is ordered like a commit, and the user has to be loaded', async () => {
      const before = writeHistory(store, ANNA, 5);
      const pruned = store.prune(ANNA, 4, [deletion('n1', 4)]);
      const after = commit(ANNA, { revision: 6, history: [entry(ANNA, 6)] });
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual([6, 5]);
      expect(await store.deletions(ANNA)).toHaveLength(1);
      await Promise.all([before, pruned, after]);
      store.forget(ANNA);
      await expect(store.prune(ANNA, 5, [])).rejects.toMatchObject({ code: 'NOT_SAVED' });
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual([6, 5]);
    });

    it('[H7] [L7] deletions are remembered for good, the last one of a record', async () => {
      const odd = { ...deletion('"],["\ud800\u0000ü', 2), collection: 'a"b' };
      await writeHistory(store, ANNA, 5);
      await store.prune(ANNA, 2, [deletion('n1', 1), odd]);
      await store.prune(ANNA, 4, [deletion('n2', 3), deletion('n1', 4)]);
      await store.prune(BERT, 0, [deletion('n1', 9)]);
      const author = new Author();
      author.set('a', 1);
      await store.compact(ANNA, { ...author.snapshot(), revision: 5 });
      await reopen();
      const wanted = [odd, deletion('n1', 4), deletion('n2', 3)].sort(byId);
      expect([...(await store.deletions(ANNA))].sort(byId)).toEqual(wanted);
      expect(await store.deletions(BERT)).toEqual([deletion('n1', 9)]);
      expect(await store.load(BERT)).toMatchObject({ updates: [], revision: 0, historyFrom: 0 });
    });

    it('[H7] [L8] with a deletion, or without one, what is remembered of changes is kept, and replaced', async () => {
      const changed = (id: string, ...bytes: number[]) => ({
        ...deletion(id, 0),
        changes: Uint8Array.from(bytes),
      });
      await writeHistory(store, ANNA, 5);
      await store.prune(ANNA, 2, [changed('n1', 1, 0, 255), changed('n2', 2), changed('n3', 3)]);
      await store.prune(ANNA, 4, [{ ...deletion('n2', 4), changes: Uint8Array.of(4) }, deletion('n3', 3)]);
      await reopen();
      const found = [...(await store.deletions(ANNA))].sort(byId);
      const bytes = found.map(({ changes }) => changes && [...changes]);
      expect(bytes).toEqual([[1, 0, 255], [4], undefined]);
      expect(found.map(({ revision }) => revision)).toEqual([0, 4, 3]);
    });

    it('[H7] [L7] a pruning that failed removed and remembered all or nothing', async () => {
      await writeHistory(store, ANNA, 5);
      fixture.failNextBatch();
      await expect(store.prune(ANNA, 4, [deletion('n1', 4)])).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(store, 'ready');
      const { historyFrom } = await store.load(ANNA);
      expect(await store.history(ANNA, ALL)).toHaveLength(5 - historyFrom);
      expect(await store.deletions(ANNA)).toHaveLength(historyFrom === 4 ? 1 : 0);
    });

    it('[L4] states of devices are replaced and removed one by one, and survive a restart', async () => {
      await commit(ANNA, { revision: 1, devices: states([PHONE, 'one'], [TABLET, 'two']) });
      await commit(ANNA, { revision: 2, devices: states([PHONE, '']) });
      await commit(ANNA, { revision: 3 });
      await reopen();
      expect(await devicesOf(ANNA)).toEqual({ phone: '', tablet: 'two' });
      expect(await devicesOf(BERT)).toEqual({});
      await commit(ANNA, { revision: 4, devices: states([TABLET, null], ['none' as DeviceId, null]) });
      expect(await devicesOf(ANNA)).toEqual({ phone: '' });
    });

    it('[L4] of several commits in one tick the last state of each device is there', async () => {
      await Promise.all([
        commit(ANNA, { revision: 1, devices: states([PHONE, 'one']) }),
        commit(ANNA, { revision: 2, devices: states([TABLET, 'two']) }),
        commit(BERT, { revision: 1, devices: states([PHONE, 'of Bert']) }),
        commit(ANNA, { revision: 3, devices: states([PHONE, 'three']) }),
        commit(ANNA, { revision: 4, devices: states([TABLET, null]) }),
      ]);
      expect(await devicesOf(ANNA)).toEqual({ phone: 'three' });
      expect(await devicesOf(BERT)).toEqual({ phone: 'of Bert' });
    });

    it('[L4] a commit of devices only leaves the document as it is, also for a user never met', async () => {
      const devices = new Map([[PHONE, Buffer.from('seen')]]);
      await writeHistory(store, ANNA, 2);
      await store.commit(ANNA, { update: null, revision: 2, devices });
      await store.commit(BERT, { update: null, revision: 0, devices });
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ updates: { length: 2 }, revision: 2, historyFrom: 0 });
      expect(await store.load(BERT)).toMatchObject({
        updates: [],
        revision: 0,
        historyFrom: 0,
        memory: null,
      });
      for (const name of [ANNA, BERT]) expect(await devicesOf(name)).toEqual({ phone: 'seen' });
      await commit(BERT, { revision: 1, history: [entry(BERT, 1)] });
      expect(notesOf(await store.load(BERT))).toEqual({ a: 1 });
      expect(entriesOf(await store.history(BERT, ALL))).toEqual(['bert 1']);
    });

    it('[P4] a document without updates may have a revision and a memory', async () => {
      await store.commit(ANNA, { update: null, revision: 3, memory: Uint8Array.of(1) });
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ updates: [], revision: 3, memory: Uint8Array.of(1) });
      await commit(ANNA, { revision: 4, history: [entry(ANNA, 4)] });
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ updates: [UPDATE], revision: 4, historyFrom: 3 });
    });

    it('[P4] [H5] [L4] a compaction leaves history, deletions and devices alone', async () => {
      const author = await writeHistory(store, ANNA, 5);
      await commit(ANNA, { revision: 5, devices: new Map([[PHONE, Buffer.from('seen')]]) });
      await store.prune(ANNA, 1, [deletion('n1', 1)]);
      await store.compact(ANNA, { ...author.snapshot(), revision: 5 });
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ updates: { length: 1 }, historyFrom: 1 });
      expect(revisionsOf(await store.history(ANNA, ALL))).toEqual([5, 4, 3, 2]);
      expect(await store.deletions(ANNA)).toEqual([deletion('n1', 1)]);
      expect(await devicesOf(ANNA)).toEqual({ phone: 'seen' });
    });

    it('[H5] [L4] users whose names begin alike keep apart', async () => {
      const names = [
        ...['ann', 'anna', 'anna-', 'anna.b', 'anna:0', 'annb', 'anna@x', 'anna!', 'anna!!phone', '!anna'],
        ...['anna"', 'auth0|64f0', 'anna+test@x.org', 'zo\u00eb', 'zoe\u0308', '漢字🩺'],
      ].map(user);
      await Promise.all(names.map((name) => store.load(name)));
      for (const name of names) {
        await writeHistory(store, name, 3);
        await commit(name, { revision: 3, devices: new Map([[PHONE, Buffer.from(name)]]) });
        await store.prune(name, 1, [deletion(name, 1)]);
      }
      await reopen();
      for (const name of names) {
        expect(entriesOf(await store.history(name, ALL))).toEqual([`${name} 3`, `${name} 2`]);
        expect(await devicesOf(name)).toEqual({ phone: name });
        expect(await store.deletions(name)).toEqual([deletion(name, 1)]);
      }
    });

    it('[H6] a history of 3,000 entries is read in pages of 500', async () => {
      await writeHistory(store, ANNA, 3_000);
      const read: number[] = [];
      for (let below = 3_001; below > 1; below = read.at(-1) ?? 0) {
        const page = revisionsOf(await store.history(ANNA, { below, limit: 500 }));
        expect(page).toHaveLength(500);
        read.push(...page);
      }
      expect(read).toEqual(Array.from({ length: 3_000 }, (_, i) => 3_000 - i));
      await store.prune(ANNA, 2_999, []);
      expect(entriesOf(await store.history(ANNA, ALL))).toEqual(['anna 3000']);
    });

    it('[P6] history and deletions of a closed store are refused', async () => {
      await store.close();
      for (const call of [store.history(ANNA, ALL), store.deletions(ANNA), store.prune(ANNA, 1, [])]) {
        await expect(call).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      }
    });
  });
}
