import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Snapshot, Store } from '../../server/store/store.js';
import { Author, entriesOf, notesOf, stateReached, user, writeHistory } from '../support/notes.js';
import type { StoreFixture } from './store-fixture.js';

const ANNA = user('anna');
const BERT = user('bert');
const ALL = { below: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY };
const EPOCH = Uint8Array.of(3, 1, 4);

/** The clauses of the contract about documents that are written anew. */
export function epochContract(name: string, create: () => Promise<StoreFixture>): void {
  describe(`the store contract, epochs: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;
    let author: Author;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
      await store.load(ANNA);
      await writeHistory(store, ANNA, 4);
      author = new Author();
      author.set('anew', 1);
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await fixture.open();
    };
    const anew = (): Snapshot => ({
      ...author.snapshot(),
      revision: 4,
      memory: Uint8Array.of(0),
      epoch: EPOCH,
    });

    it('[P10] what is written anew takes the place of all updates, with what is remembered of them; the history stays', async () => {
      expect((await store.load(ANNA)).epoch).toBeNull();
      await store.compact(ANNA, anew());
      for (const again of [false, true]) {
        if (again) await reopen();
        const stored = await store.load(ANNA);
        expect(stored).toMatchObject({ revision: 4, historyFrom: 0, epoch: EPOCH, memory: Uint8Array.of(0) });
        expect(stored.updates).toEqual([author.snapshot().update]);
        expect(entriesOf(await store.history(ANNA, ALL))).toHaveLength(4);
        expect(await store.check(ANNA)).toEqual({ revision: 4, historyFrom: 0 });
      }
    });

    it('[P10] commits, compactions and pruning leave what is remembered as it is, another rewrite replaces it', async () => {
      await store.compact(ANNA, anew());
      await store.commit(ANNA, { update: author.set('b', 2), revision: 5 });
      await store.commit(ANNA, { update: author.set('c', 3), revision: 6 });
      await store.compact(ANNA, { ...author.snapshot(), replaces: 2, revision: 0 });
      await store.compact(ANNA, { ...author.snapshot(), revision: 6 });
      await store.prune(ANNA, 5, []);
      await reopen();
      expect(await store.load(ANNA)).toMatchObject({ epoch: EPOCH, revision: 6 });
      const epoch = Uint8Array.of(9);
      await store.compact(ANNA, { ...anew(), revision: 6, epoch });
      await reopen();
      expect((await store.load(ANNA)).epoch).toEqual(epoch);
    });

    it('[P10] the caller may reuse its bytes at once, and nothing noted of the document before counts', async () => {
      await store.putToRest(ANNA, {
        revision: 4,
        stateVector: author.snapshot().stateVector,
        deletions: Uint8Array.of(0, 0),
        isWhole: false,
        hasView: false,
      });
      const epoch = EPOCH.slice();
      const stored = store.compact(ANNA, { ...anew(), epoch });
      epoch.fill(7);
      await stored;
      expect((await store.load(ANNA)).epoch).toEqual(EPOCH);
      expect(await store.rest(ANNA)).toBeNull();
    });

    it('[P10] where it fails, all of it is there or nothing', async () => {
      fixture.failNextBatch();
      await expect(store.compact(ANNA, anew())).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(store, 'ready');
      const stored = await store.load(ANNA);
      const isNew = stored.epoch !== null;
      expect(notesOf(stored)).toEqual(isNew ? { anew: 1 } : { n0: 0, n1: 1, n2: 2, n3: 3 });
      expect(stored.updates).toHaveLength(isNew ? 1 : 4);
      await store.compact(ANNA, anew());
      expect((await store.load(ANNA)).epoch).toEqual(EPOCH);
    });

    it('[P10] [P7] an erasure removes it, and the note of a visit', async () => {
      await store.compact(ANNA, anew());
      await store.notePlainVisit(ANNA, 5);
      await store.erase(ANNA, Uint8Array.of(1));
      expect((await store.load(ANNA)).epoch).toBeNull();
      expect(await store.plainVisit(ANNA)).toBeNull();
    });

    it('[P7] [P10] what tells of documents before is there where the document is damaged', async () => {
      expect(await store.former(ANNA)).toEqual({ tombstone: null, epoch: null });
      await store.compact(ANNA, anew());
      await fixture.damage(ANNA);
      expect(await store.former(ANNA)).toEqual({ tombstone: null, epoch: EPOCH });
      await store.erase(ANNA, Uint8Array.of(1));
      expect(await store.former(ANNA)).toEqual({ tombstone: Uint8Array.of(1), epoch: null });
    });

    it('[P7] [A0] the devices of a user who is not loaded are noted, told after a restart, and erased', async () => {
      expect(await store.seen(ANNA)).toBeNull();
      const noted = [store.noteSeen(ANNA, Uint8Array.of(1)), store.noteSeen(ANNA, Uint8Array.of(2))];
      expect(await store.seen(ANNA)).toEqual(Uint8Array.of(2));
      await Promise.all(noted);
      await reopen();
      await store.noteSeen(ANNA, Uint8Array.of(3));
      await reopen();
      expect(await store.seen(ANNA)).toEqual(Uint8Array.of(3));
      await store.load(ANNA);
      await store.erase(ANNA, Uint8Array.of(1));
      expect(await store.seen(ANNA)).toBeNull();
    });

    it('[P10] a visit is noted of whoever it is, loaded or not, and told after a restart', async () => {
      expect(await store.plainVisit(BERT)).toBeNull();
      const noted = [ANNA, BERT].map((each) => store.notePlainVisit(each, 1_700_000_000_000));
      expect(await store.plainVisit(BERT)).toBe(1_700_000_000_000);
      await Promise.all(noted);
      await store.notePlainVisit(BERT, 1_800_000_000_000);
      await reopen();
      expect(await store.plainVisit(ANNA)).toBe(1_700_000_000_000);
      expect(await store.plainVisit(BERT)).toBe(1_800_000_000_000);
      expect(await store.users(null, 9)).toContain(ANNA);
      expect(notesOf(await store.load(BERT))).toEqual({});
    });
  });
}
