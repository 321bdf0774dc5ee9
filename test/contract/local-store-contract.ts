import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StorageError } from '../../client/errors.js';
import type { LocalStore } from '../../client/local-store/store.js';
import {
  bytes,
  change,
  type LocalStoreFixture,
  type LocalStoreTraits,
  newsOf,
  OpenStores,
  put,
  putPending,
  read,
  textOf,
} from '../support/local-store.js';
import { compareWithModel } from '../support/local-store-model.js';
import { tabsContract } from './local-store-tabs-contract.js';

/** The contract of `LocalStore` and `DeviceStorage`, clause by clause. */
export function localStoreContract(
  name: string,
  create: () => Promise<LocalStoreFixture>,
  traits: LocalStoreTraits,
): void {
  if (traits.secondStore === 'shares') tabsContract(name, create);
  describe(`the local store contract: ${name}`, () => {
    let fixture: LocalStoreFixture;
    let stores: OpenStores;
    let store: LocalStore;

    const restart = async (): Promise<void> => {
      store = await stores.restart();
    };
    beforeEach(async () => {
      fixture = await create();
      stores = new OpenStores(fixture);
      store = await stores.open();
    });
    afterEach(() => stores.remove());

    describe('appending', () => {
      it('[C5] a new store has nothing; its first call tells what is pending, too', async () => {
        expect(await newsOf(store)).toEqual({ changes: [], pending: new Set() });
      });

      it('[C5] what was stored is there after a restart, in order and byte for byte', async () => {
        const all = Uint8Array.from({ length: 256 }, (_, i) => i);
        const keys = await store.append(() => [{ bytes: all, pending: false }, change('b')]);
        const later = await put(store, 'c');
        expect([...keys, ...later]).toEqual([...keys, ...later].sort((a, b) => a - b));
        await restart();
        const { changes } = await newsOf(store);
        expect(changes.map(({ key }) => key)).toEqual([...keys, ...later]);
        expect(changes.map((each) => Array.from(each.bytes))).toEqual([
          Array.from(all),
          Array.from(bytes('b')),
          Array.from(bytes('c')),
        ]);
        expect(changes.every((each) => each.bytes instanceof Uint8Array)).toBe(true);
      });

      it('[C5] a change of 3 MB, an empty one, and a part of a larger buffer are kept', async () => {
        const large = Uint8Array.from({ length: 3_000_001 }, (_, i) => (i * 7) >> 3);
        const part = new Uint8Array(1_000).fill(9).subarray(3, 5);
        const changes = [large, new Uint8Array(0), part].map((each) => ({ bytes: each, pending: false }));
        await store.append(() => changes);
        await restart();
        const stored = (await newsOf(store)).changes.map((each) => Buffer.from(each.bytes));
        expect(stored.map((each, i) => each.equals(changes[i]?.bytes ?? each.fill(0)))).toEqual([
          true,
          true,
          true,
        ]);
        expect(stored.map(({ length }) => length)).toEqual([3_000_001, 0, 2]);
      });

      it('[C5] what was told or stored here is not told again', async () => {
        await put(store, 'a');
        expect(await read(store)).toEqual([]);
        await restart();
        expect(await read(store)).toEqual(['a']);
        expect(await read(store)).toEqual([]);
      });

      it('[C5] what `step` throws rejects the call, nothing is stored, and the news counts as told', async () => {
        await put(store, 'a');
        await restart();
        const mine = new TypeError('mine');
        const call = store.append(() => {
          throw mine;
        });
        await expect(call).rejects.toBe(mine);
        expect(await read(store)).toEqual([]);
        await put(store, 'b');
        await restart();
        expect(await read(store)).toEqual(['a', 'b']);
      });

      it('[C5] `step` is called once, and calls are carried out in the order in which they were made', async () => {
        const order: string[] = [];
        const step = (text: string) => () => {
          order.push(text);
          return [change(text, true)];
        };
        const first = store.append(step('a'));
        const second = store.append(step('b'));
        const compacted = first.then(([key = 0]) => store.compact(key, bytes('never used')));
        const third = store.append(step('c'));
        const keys = (await Promise.all([first, second, third])).flat();
        await compacted;
        await Promise.all([store.confirm(keys), store.append(step('d'))]);
        expect(order).toEqual(['a', 'b', 'c', 'd']);
        await restart();
        expect(await read(store)).toEqual(['a', 'b', 'c', 'never used', 'd!']);
      });
    });

    describe('confirming', () => {
      it('[C4] the mark is stored with the change, and stays until it is confirmed, across restarts', async () => {
        const [first = 0, second = 0] = await putPending(store, 'a', 'b');
        await put(store, 'c');
        await restart();
        expect((await newsOf(store)).pending).toEqual(new Set([first, second]));
        await store.confirm([second]);
        await restart();
        expect(await read(store)).toEqual(['a!', 'b', 'c']);
        await store.confirm([first]);
        await restart();
        expect(await newsOf(store)).toMatchObject({ pending: new Set() });
      });

      it('[C4] keys that are not there, or not pending, are passed over', async () => {
        const [first = 0] = await putPending(store, 'a');
        const [second = 0] = await put(store, 'b');
        await store.confirm([second, first + 1_000, first, first]);
        await store.confirm([]);
        await store.confirm([first]);
        await restart();
        expect(await read(store)).toEqual(['a', 'b']);
      });

      it('[C4] what is confirmed before the first news is told so', async () => {
        const keys = await putPending(store, 'a', 'b');
        await restart();
        await store.confirm(keys.slice(0, 1));
        expect(await read(store)).toEqual(['a', 'b!']);
      });
    });

    describe('compacting', () => {
      it('[C5] a snapshot takes the place of what is not pending, up to the key', async () => {
        await put(store, 'a');
        await putPending(store, 'mine');
        const [key = 0] = await put(store, 'b');
        await put(store, 'c');
        const snapshot = await store.compact(key, bytes('a+b'));
        await restart();
        const { changes } = await newsOf(store);
        expect(changes.at(-1)?.key).toBe(snapshot);
        await restart();
        expect(await read(store)).toEqual(['mine!', 'c', 'a+b']);
      });

      it('[C5] no key is given twice, also when everything is replaced before a restart', async () => {
        const keys = [...(await put(store, 'a', 'b'))];
        for (let i = 0; i < 3; i += 1) {
          keys.push(await store.compact(keys.at(-1) ?? 0, bytes(`s${i}`)));
          await restart();
        }
        keys.push(...(await put(store, 'c')));
        expect(new Set(keys).size).toBe(keys.length);
        expect(keys).toEqual([...keys].sort((a, b) => a - b));
        await restart();
        expect(await read(store)).toEqual(['s2', 'c']);
      });
    });

    describe('anew', () => {
      it('[C11] what is stored anew takes the place of everything, pending or not', async () => {
        const keys = [...(await put(store, 'a')), ...(await putPending(store, 'mine', 'refused'))];
        await restart();
        const told: string[] = [];
        const added = await store.append(({ changes }) => {
          told.push(...changes.map((each) => textOf(each.bytes)));
          return [change('state'), change('mine', true)];
        }, true);
        expect(told).toEqual(['a', 'mine', 'refused']);
        expect(Math.min(...added)).toBeGreaterThan(Math.max(...keys));
        await put(store, 'b');
        await store.append(({ changes }) => {
          expect(changes.map((each) => textOf(each.bytes))).toEqual(['state', 'mine', 'b']);
          return changes;
        }, true);
        await restart();
        expect(await read(store)).toEqual(['state', 'mine!', 'b']);
        await restart();
        await store.append(() => [], true);
        await restart();
        expect(await newsOf(store)).toEqual({ changes: [], pending: new Set() });
      });

      it('[C11] where `step` throws, everything stays', async () => {
        await putPending(store, 'a');
        const call = store.append(() => {
          throw new TypeError('mine');
        }, true);
        await expect(call).rejects.toThrow('mine');
        await restart();
        expect(await read(store)).toEqual(['a!']);
      });
    });

    describe('ending', () => {
      it('[C5] close waits for what was asked for; calls after it are refused', async () => {
        const saved = put(store, 'a');
        const closed = store.close();
        await expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await expect(store.confirm([1])).rejects.toBeInstanceOf(StorageError);
        await expect(store.compact(1, bytes('s'))).rejects.toBeInstanceOf(StorageError);
        await expect(store.clear('cleared')).rejects.toBeInstanceOf(StorageError);
        await Promise.all([saved, closed, store.close()]);
        await restart();
        expect(await read(store)).toEqual(['a']);
      });

      it('[C5] clear deletes everything of that user, and closes', async () => {
        const bert = await stores.open('bert');
        await put(bert, 'of bert');
        const saved = putPending(store, 'a');
        await Promise.all([saved, store.clear('cleared')]);
        await expect(put(store, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        store = await stores.open();
        expect(await newsOf(store)).toEqual({ changes: [], pending: new Set() });
        await put(store, 'new');
        await restart();
        expect(await read(store)).toEqual(['new']);
        expect(await read(await stores.open('bert'))).toEqual(['of bert']);
      });

      it('[C5] a store can be opened as soon as it begins to close', async () => {
        await put(store, 'a');
        void store.close();
        store = await stores.open();
        expect(await read(store)).toEqual(['a']);
      });

      it('[C5] every user has a store of their own, whatever the names look like', async () => {
        const users = [
          'a',
          'A',
          'an',
          'a/n',
          '../a',
          '.',
          'a b',
          "a'",
          'n-a',
          'CON',
          'ä',
          '😀',
          '@'.repeat(128),
        ];
        for (const user of users) await put(await stores.open(user), `of ${user}`);
        await restart();
        for (const user of users) expect(await read(await stores.open(user))).toEqual([`of ${user}`]);
        expect(await read(store)).toEqual([]);
      });
    });

    it('[C5] settings are kept across restarts, beside the stores, until they are removed', async () => {
      expect(await stores.current.readSetting('deviceId')).toBeNull();
      await stores.current.writeSetting('deviceId', 'one');
      await stores.current.writeSetting('deviceId', 'phone-1 😀');
      await stores.current.writeSetting('anna', 'text');
      await Promise.all([1, 2, 3].map((i) => stores.current.writeSetting(`lastSyncedAt:${i}`, `${i}`)));
      await store.clear('cleared');
      await restart();
      expect(await stores.current.readSetting('deviceId')).toBe('phone-1 😀');
      expect(await stores.current.readSetting('lastSyncedAt:3')).toBe('3');
      await stores.current.writeSetting('deviceId', null);
      await stores.current.writeSetting('never written', null);
      expect(await stores.current.readSetting('deviceId')).toBeNull();
      expect(await stores.current.readSetting('anna')).toBe('text');
      expect(await read(store)).toEqual([]);
    });

    if (traits.canBeFull) {
      it('[C7] without room a call rejects with QUOTA and nothing of it is stored; with room all goes on', async () => {
        const [kept = 0] = await putPending(store, 'kept');
        fixture.fillUp();
        await expect(put(store, 'lost', 'lost too')).rejects.toMatchObject({
          code: 'QUOTA',
          cause: expect.anything(),
        });
        fixture.fillUp();
        await expect(store.confirm([kept])).rejects.toMatchObject({ code: 'QUOTA' });
        fixture.fillUp();
        await expect(store.compact(kept, bytes('s'))).rejects.toMatchObject({ code: 'QUOTA' });
        await putPending(store, 'more');
        await restart();
        expect(await read(store)).toEqual(['kept!', 'more!']);
      });
    }

    it(`[C4 C5] does what a simple list does, in ${traits.runs} random sequences`, () =>
      compareWithModel(create, traits));

    if (traits.secondStore === 'refused') {
      it('[C5] a second store of the same name is refused where the first one would not hear of it', async () => {
        await expect(stores.open()).rejects.toMatchObject({
          code: 'UNAVAILABLE',
          message: expect.stringMatching(/open already/),
        });
        await put(store, 'works on');
      });
    }
  });
}
