import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalStore } from '../../client/local-store/store.js';
import {
  bytes,
  change,
  Listener,
  type LocalStoreFixture,
  newsOf,
  OpenStores,
  put,
  putPending,
  read,
} from '../support/local-store.js';

/** What `LocalStore` says of tabs that share a store. */
export function tabsContract(name: string, create: () => Promise<LocalStoreFixture>): void {
  describe(`the local store contract, tabs: ${name}`, () => {
    let stores: OpenStores;
    let store: LocalStore;
    let other: LocalStore;
    let listeners: [Listener, Listener];
    beforeEach(async () => {
      stores = new OpenStores(await create());
      listeners = [new Listener(), new Listener()];
      store = await stores.open('anna', listeners[0]);
      other = await stores.open('anna', listeners[1]);
    });
    afterEach(() => stores.remove());

    it('[C9] each tab is told what the others stored, once, and not what it stored itself', async () => {
      await put(store, 'a');
      const [key = 0] = await putPending(other, 'b');
      await put(store, 'c');
      expect(await read(store)).toEqual([]);
      expect(await read(other)).toEqual(['c']);
      await store.confirm([key]);
      expect((await newsOf(other)).pending).toEqual(new Set());
      const snapshot = await store.compact(key, bytes('a+b'));
      await put(other, 'd');
      expect(await read(store)).toEqual(['d']);
      store = await stores.restart();
      expect((await newsOf(store)).changes.map((each) => each.key)).toContain(snapshot);
    });

    it('[C9] a snapshot of what another tab has replaced does not come back', async () => {
      await put(store, 'old');
      const { changes } = await newsOf(other);
      await store.append(() => [change('new')], true);
      await other.compact(changes[0]?.key ?? 0, bytes('old, as one'));
      store = await stores.restart();
      expect(await read(store)).toEqual(['new']);
    });

    it('[C9] two tabs that write at once see every row once, in one order', async () => {
      const seen: [number[], number[]] = [[], []];
      const write = async (tab: LocalStore, log: number[], text: string): Promise<void> => {
        let news: number[] = [];
        const keys = await tab.append(({ changes }) => {
          news = changes.map(({ key }) => key);
          return [change(text)];
        });
        log.push(...news, ...keys);
      };
      const both = Array.from({ length: 30 }, (_, i) => [
        write(store, seen[0], `s${i}`),
        write(other, seen[1], `o${i}`),
      ]);
      await Promise.all(both.flat());
      for (const [i, tab] of [store, other].entries()) {
        seen[i]?.push(...(await newsOf(tab)).changes.map(({ key }) => key));
      }
      expect(seen[0]).toHaveLength(60);
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[0]).toEqual([...new Set(seen[0])].sort((a, b) => a - b));
    });

    it('[C9] the others hear that there is news, the writer does not', async () => {
      await put(store, 'a');
      await expect.poll(() => listeners[1].news).toBe(1);
      await newsOf(other);
      const [key = 0] = await putPending(other, 'b');
      await expect.poll(() => listeners[0].news).toBe(1);
      await store.confirm([key]);
      await expect.poll(() => listeners[1].news).toBe(2);
      await other.close();
      await put(store, 'c');
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(listeners.map(({ news }) => news)).toEqual([1, 2]);
    });

    it.each(['cleared', 'emptied', 'discarded', 'erased'] as const)(
      '[C9] clear ends the store for all tabs, which are told once and why: %s',
      async (reason) => {
        await put(store, 'a');
        await store.clear(reason);
        await expect.poll(() => listeners[1].gone).toEqual([reason]);
        await expect(put(other, 'b')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await new Promise((resolve) => setTimeout(resolve, 600));
        expect(listeners.map(({ gone }) => gone)).toEqual([[], [reason]]);
        store = await stores.restart();
        expect(await read(store)).toEqual([]);
      },
    );
  });
}
