import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RestRow, Store } from '../../server/store/store.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import { type Author, entry, stateReached, user, writeHistory, writeNotes } from '../support/notes.js';
import type { StoreFixture } from './store-fixture.js';

const ANNA = user('anna');
const BERT = user('bert');
const PHONE = 'phone' as DeviceId;
const NO_DELETIONS = Uint8Array.of(0, 0);

/** The clauses of the contract about documents at rest. */
export function restContract(name: string, create: () => Promise<StoreFixture>): void {
  describe(`the store contract, documents at rest: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;
    let author: Author;
    let row: RestRow;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
      await store.load(ANNA);
      author = await writeHistory(store, ANNA, 4);
      row = await compacted(4);
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await fixture.open();
    };
    const compacted = async (revision: number): Promise<RestRow> => {
      const snapshot = author.snapshot();
      await store.compact(ANNA, { ...snapshot, revision });
      return {
        revision,
        stateVector: snapshot.stateVector,
        deletions: NO_DELETIONS,
        isWhole: true,
        hasView: false,
      };
    };

    it('[N2] of a user never met, and where nothing was noted, there is none', async () => {
      expect(await store.rest(BERT)).toBeNull();
      expect(await store.rest(ANNA)).toBeNull();
      expect(await store.whole(ANNA, 4)).toBeNull();
    });

    it('[N2] it tells what was noted, also after a restart, and loads nothing', async () => {
      const noted = store.putToRest(ANNA, row);
      expect(await store.rest(ANNA)).toEqual(row);
      await noted;
      expect((await store.load(ANNA)).rest).toEqual(row);
      store.forget(ANNA);
      expect(await store.rest(ANNA)).toEqual(row);
      await reopen();
      expect(await store.rest(ANNA)).toEqual(row);
      expect(await store.whole(ANNA, 4)).toEqual(author.snapshot().update);
      const commit = store.commit(ANNA, { update: author.set('a', 1), revision: 5 });
      await expect(commit).rejects.toMatchObject({ code: 'NOT_SAVED' });
    });

    it('[N2] the caller may reuse its bytes at once', async () => {
      const bytes = { stateVector: row.stateVector.slice(), deletions: NO_DELETIONS.slice() };
      const noted = store.putToRest(ANNA, { ...row, ...bytes });
      for (const each of Object.values(bytes)) each.fill(9);
      await noted;
      expect(await store.rest(ANNA)).toEqual(row);
    });

    it('[N2] many are told at once, each of its own', async () => {
      const names = Array.from({ length: 300 }, (_, index) => user(`u${index}`));
      for (const each of names) await store.load(each);
      await Promise.all(names.map((each) => writeNotes(store, each, 1)));
      const noted = names.filter((_, index) => index % 2 === 0);
      for (const each of noted) void store.putToRest(each, { ...row, revision: 1 });
      const rows = await Promise.all(names.map((each) => store.rest(each)));
      expect(rows.map((each) => each?.revision ?? null)).toEqual(
        names.map((_, index) => (index % 2 === 0 ? 1 : null)),
      );
    });

    it('[N2] a commit ends it as soon as it is handed over', async () => {
      await store.putToRest(ANNA, row);
      const saved = store.commit(ANNA, { update: author.set('a', 1), revision: 5 });
      expect(await store.rest(ANNA)).toBeNull();
      expect((await store.load(ANNA)).rest).toBeNull();
      expect(await store.whole(ANNA, 4)).toBeNull();
      await saved;
      await reopen();
      expect(await store.rest(ANNA)).toBeNull();
    });

    it('[N2] so does a compaction, of all or of a part, and it may be noted anew', async () => {
      await store.putToRest(ANNA, row);
      await compacted(4);
      expect(await store.rest(ANNA)).toBeNull();
      await store.commit(ANNA, { update: author.set('a', 1), revision: 5 });
      const later = { ...row, revision: 5, stateVector: author.snapshot().stateVector, isWhole: false };
      await store.putToRest(ANNA, later);
      expect(await store.rest(ANNA)).toEqual(later);
      expect(await store.whole(ANNA, 5)).toBeNull();
      await store.compact(ANNA, { ...author.snapshot(), replaces: 2, revision: 5 });
      expect(await store.rest(ANNA)).toBeNull();
      await store.putToRest(ANNA, { ...later, isWhole: true });
      await reopen();
      expect(await store.rest(ANNA)).toEqual({ ...later, isWhole: true });
      expect(await store.whole(ANNA, 5)).toEqual(author.snapshot().update);
    });

    it('[N2] what is stored in several updates is never given as one', async () => {
      await store.commit(ANNA, { update: author.set('a', 1), revision: 5 });
      await store.putToRest(ANNA, { ...row, revision: 5 });
      expect(await store.rest(ANNA)).toMatchObject({ revision: 5, isWhole: false });
      expect(await store.whole(ANNA, 5)).toBeNull();
    });

    it('[L4] [H7] devices, memory and pruning change nothing of it', async () => {
      await store.putToRest(ANNA, row);
      const devices = new Map([[PHONE, Buffer.from('seen')]]);
      await store.commit(ANNA, { update: null, revision: 4, devices, memory: Buffer.of(7) });
      await store.prune(ANNA, 2, []);
      await reopen();
      expect(await store.rest(ANNA)).toEqual(row);
      expect(await store.load(ANNA)).toMatchObject({ revision: 4, historyFrom: 2, memory: Uint8Array.of(7) });
    });

    it('[P3] only of a document that is loaded', async () => {
      store.forget(ANNA);
      await expect(store.putToRest(ANNA, row)).rejects.toMatchObject({ code: 'NOT_SAVED' });
      expect(await store.rest(ANNA)).toBeNull();
    });

    it('[P3] where the batch fails, it never tells what is not stored', async () => {
      fixture.failNextBatch();
      const update = author.set('a', 1);
      const later = { ...row, revision: 5, stateVector: author.snapshot().stateVector };
      const failed = [store.commit(ANNA, { update, revision: 5 }), store.putToRest(ANNA, later)];
      for (const each of failed) await expect(each).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await stateReached(store, 'ready');
      const rest = await store.rest(ANNA);
      const { revision } = await store.load(ANNA);
      if (rest !== null) expect(rest.revision).toBe(revision);
    });

    it('[P3] while the store reopens nothing is told', async () => {
      await store.putToRest(ANNA, row);
      fixture.failNextBatch();
      const failed = store.commit(ANNA, { update: null, revision: 4, memory: Buffer.of(1) });
      await expect(failed).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await expect(store.rest(ANNA)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await stateReached(store, 'ready');
      expect(await store.rest(ANNA)).toEqual(row);
    });

    it('[P5] damage shows where the document is read', async () => {
      await store.putToRest(ANNA, row);
      store.forget(ANNA);
      await fixture.damage(ANNA);
      await expect(store.whole(ANNA, 4)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
      await expect(store.load(ANNA)).rejects.toMatchObject({ code: 'DOCUMENT_CORRUPT' });
    });

    it('[O3] users are listed by the bytes of their names', async () => {
      // The last is the first by its UTF-16 units.
      const names = ['Zoe', 'zoe', 'zoé', 'ﬀ', '𐐀'].map(user);
      for (const each of [...names].reverse()) {
        await store.load(each);
        await writeNotes(store, each, 1);
      }
      expect(await store.users(null, 9)).toEqual([names[0], ANNA, ...names.slice(1)]);
      expect(await store.users(user('ﬀ'), 9)).toEqual(['𐐀']);
    });

    it('[P5] every document can be read and checked in its turn, without being loaded', async () => {
      const names = ['carl', 'dora', 'erik'].map(user);
      for (const each of [...names, BERT]) {
        await store.load(each);
        await writeNotes(store, each, 2);
        store.forget(each);
      }
      store.forget(ANNA);
      await fixture.damage(BERT);
      const checked: [string, number | string][] = [];
      let after = null;
      for (;;) {
        const page: readonly UserId[] = await store.users(after, 2);
        after = page.at(-1) ?? null;
        if (after === null) break;
        for (const each of page) {
          const outcome = await store.check(each).catch(({ code }: { code: string }) => code);
          checked.push([each, typeof outcome === 'string' ? outcome : outcome.revision]);
        }
      }
      expect(checked.sort()).toEqual([
        ['anna', 4],
        ['bert', 'DOCUMENT_CORRUPT'],
        ['carl', 2],
        ['dora', 2],
        ['erik', 2],
      ]);
      const commit = store.commit(ANNA, { update: author.set('a', 1), revision: 5 });
      await expect(commit).rejects.toMatchObject({ code: 'NOT_SAVED' });
      expect(await store.check(user('nobody'))).toEqual({ revision: 0, historyFrom: 0 });
    });

    it('[P7] an erasure takes it too', async () => {
      await store.putToRest(ANNA, row);
      const erased = store.erase(ANNA, Uint8Array.of(1));
      expect(await store.rest(ANNA)).toBeNull();
      await erased;
      expect(await store.whole(ANNA, 4)).toBeNull();
      await reopen();
      expect(await store.rest(ANNA)).toBeNull();
      await store.load(ANNA);
      await store.commit(ANNA, { update: author.set('b', 1), revision: 6, history: [entry(ANNA, 6)] });
      expect(await store.rest(ANNA)).toBeNull();
    });
  });
}
