import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RestRow, Store } from '../../server/store/store.js';
import type { DeviceKey } from '../../shared/names.js';
import { type Author, stateReached, user, writeHistory } from '../support/notes.js';
import type { StoreFixture } from './store-fixture.js';

const ANNA = user('anna');
const BERT = user('bert');
const [PHONE, TABLET] = ['phone', 'tablet'] as [DeviceKey, DeviceKey];
const VIEW = new Uint8Array(Buffer.from('{"notes":[]}'));
const SEEN = new Uint8Array(Buffer.from('seen'));
const LATER = new Uint8Array(Buffer.from('seen later'));

/** The clauses of the contract about what JSON devices need of documents at rest. */
export function viewContract(name: string, create: () => Promise<StoreFixture>): void {
  describe(`the store contract, what JSON devices need of a document at rest: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;
    let author: Author;
    let row: RestRow;

    beforeEach(async () => {
      fixture = await create();
      store = await fixture.open();
      await store.load(ANNA);
      author = await writeHistory(store, ANNA, 4);
      const { stateVector } = author.snapshot();
      const deletions = Uint8Array.of(0, 0);
      row = { revision: 4, stateVector, deletions, isWhole: false, hasView: true };
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });
    const reopen = async (): Promise<void> => {
      await store.close();
      store = await fixture.open();
    };

    it('[L1] of a user never met, and where none was noted, there is no view', async () => {
      await store.putToRest(ANNA, { ...row, hasView: false });
      expect(await store.view(BERT, 0)).toBeNull();
      expect(await store.view(ANNA, 4)).toBeNull();
      expect(await store.rest(ANNA)).toMatchObject({ hasView: false });
    });

    it('[L1] it tells the view that was noted, also after a restart, and loads nothing', async () => {
      const bytes = VIEW.slice();
      const noted = store.putToRest(ANNA, row, bytes);
      bytes.fill(9); // the caller may reuse them
      expect(await store.rest(ANNA)).toEqual(row);
      await noted;
      store.forget(ANNA);
      expect(await store.view(ANNA, 4)).toEqual(VIEW);
      await reopen();
      expect(await store.rest(ANNA)).toEqual(row);
      expect(await store.view(ANNA, 4)).toEqual(VIEW);
      expect(await store.view(ANNA, 3)).toBeNull();
    });

    it('[L1] a commit ends it, and another one takes its place', async () => {
      await store.putToRest(ANNA, row, VIEW);
      const saved = store.commit(ANNA, { update: author.set('a', 1), revision: 5 });
      expect(await store.view(ANNA, 4)).toBeNull();
      await saved;
      expect(await store.view(ANNA, 5)).toBeNull();
      await store.putToRest(ANNA, { ...row, revision: 5 }, Uint8Array.of(1));
      expect(await store.view(ANNA, 5)).toEqual(Uint8Array.of(1));
    });

    it('[L4] devices are told, and saved, without the document; it is the same at rest', async () => {
      await store.commit(ANNA, { update: null, revision: 4, devices: new Map([[PHONE, SEEN]]) });
      await store.putToRest(ANNA, row, VIEW);
      store.forget(ANNA);
      expect(await store.device(ANNA, PHONE)).toEqual(SEEN);
      expect(await store.device(ANNA, TABLET)).toBeNull();
      expect(await store.device(BERT, PHONE)).toBeNull();
      const bytes = LATER.slice();
      const saved = store.saveDevices(ANNA, new Map([[TABLET, bytes]]));
      bytes.fill(9);
      expect(await store.device(ANNA, TABLET)).toEqual(LATER);
      await saved;
      await store.saveDevices(ANNA, new Map([[PHONE, null]]));
      await reopen();
      expect(await Promise.all([store.device(ANNA, PHONE), store.device(ANNA, TABLET)])).toEqual([
        null,
        LATER,
      ]);
      expect(await store.view(ANNA, 4)).toEqual(VIEW);
      expect(await store.rest(ANNA)).toEqual(row);
      expect((await store.load(ANNA)).devices).toEqual(new Map([[TABLET, LATER]]));
    });

    it('[L4] a load sees the devices that were handed over before; the last state stands', async () => {
      store.forget(ANNA);
      const saved = [SEEN, LATER].map((state) => store.saveDevices(ANNA, new Map([[PHONE, state]])));
      expect((await store.load(ANNA)).devices.get(PHONE)).toEqual(LATER);
      await Promise.all(saved);
      const commit = { update: author.set('a', 1), revision: 5, devices: new Map([[PHONE, SEEN]]) };
      await store.commit(ANNA, commit);
      expect(await store.device(ANNA, PHONE)).toEqual(SEEN);
    });

    it('[P3] while the store reopens none is saved, nor told; afterwards all is as it was', async () => {
      await store.putToRest(ANNA, row, VIEW);
      await store.saveDevices(ANNA, new Map([[PHONE, SEEN]]));
      fixture.failNextBatch();
      const states = new Map([[TABLET, SEEN]]);
      await expect(store.saveDevices(ANNA, states)).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await expect(store.saveDevices(ANNA, states)).rejects.toMatchObject({ code: 'NOT_SAVED' });
      await expect(store.view(ANNA, 4)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await expect(store.device(ANNA, PHONE)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
      await stateReached(store, 'ready');
      expect(await store.view(ANNA, 4)).toEqual(VIEW);
      expect(await store.device(ANNA, PHONE)).toEqual(SEEN);
    });

    it('[P7] an erasure takes both, whatever was handed over before', async () => {
      await store.putToRest(ANNA, row, VIEW);
      const saved = store.saveDevices(ANNA, new Map([[PHONE, SEEN]]));
      await Promise.all([saved, store.erase(ANNA, Uint8Array.of(1))]);
      expect(await store.view(ANNA, 4)).toBeNull();
      expect(await store.device(ANNA, PHONE)).toBeNull();
      await reopen();
      expect((await store.load(ANNA)).devices.size).toBe(0);
    });
  });
}
