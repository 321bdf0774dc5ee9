/** What one tab deletes, and what becomes of the others (C9). */
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { SyncOptions } from '../../client/api/api.js';
import { indexedDbStorage } from '../../client/local-store/indexeddb/indexeddb.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { closeClients, synced, testClient } from '../support/devices/test-client.js';
import { emptyIndexedDb } from '../support/fake-indexeddb.js';
import { useServer } from '../support/use.js';
import { PATIENCE } from '../support/wait.js';

afterEach(closeClients);

const patient = { timeout: PATIENCE };
const ids = (client: SyncManager): string =>
  client
    .collection('notes')
    .records.map(({ id }) => id)
    .join(' ');

/** As an app does that is told of pending changes: it waits, and tries again. */
async function clearOnceSynced(tab: SyncManager): Promise<void> {
  await tab.clearSyncData().catch(async (error) => {
    expect(error).toMatchObject({ code: 'UNSYNCED_CHANGES' });
    await synced(tab);
    await clearOnceSynced(tab);
  });
}

/** Tabs of anna on one storage, in step. */
async function openTabs(count: number, options: Omit<SyncOptions, 'userId'>): Promise<SyncManager[]> {
  const tabs = Array.from({ length: count }, () => testClient());
  for (const tab of tabs) await tab.initialize({ userId: 'anna', ...options });
  const [first] = tabs;
  await first?.addData('notes', { id: 'a' });
  await first?.whenSynced();
  for (const tab of tabs) {
    await expect.poll(() => ids(tab), patient).toBe('a');
    await synced(tab);
  }
  return tabs;
}

describe.each([
  ['memory', () => memoryStorage()],
  [
    'IndexedDB',
    () => {
      emptyIndexedDb();
      return indexedDbStorage();
    },
  ],
])('[C9] tabs that share %s', (_, storageOf) => {
  test('go on and stay connected when one of them calls clearSyncData', async () => {
    const { url: serverUrl } = await useServer();
    const tabs = await openTabs(3, { serverUrl, storage: storageOf() });
    await tabs[0]?.clearSyncData();
    await Promise.all(tabs.map(synced));
    await tabs[1]?.addData('notes', { id: 'b' });
    for (const tab of tabs) await expect.poll(() => ids(tab), patient).toBe('a b');
    for (const tab of tabs)
      expect(tab.status.current).toMatchObject({ connection: 'online', error: null, hasSynced: true });
  });

  test('stay disconnected, and without an error, where they were', async () => {
    const { url: serverUrl } = await useServer();
    const [one, two] = (await openTabs(2, { serverUrl, storage: storageOf() })) as [SyncManager, SyncManager];
    await two.disconnect();
    await one.clearSyncData();
    await expect.poll(() => ids(two), patient).toBe('a'); // what the other one fetched
    await synced(one);
    expect(two.status.current).toMatchObject({ connection: 'offline', error: null, pendingChanges: 0 });
    await two.addData('notes', { id: 'b' });
    await expect.poll(() => ids(one), patient).toBe('a b');
  });

  test('lose nothing that they write while one calls clearSyncData', async () => {
    const { url: serverUrl } = await useServer();
    const [one, two] = (await openTabs(2, { serverUrl, storage: storageOf() })) as [SyncManager, SyncManager];
    const clearing = clearOnceSynced(one);
    const written: string[] = [];
    for (let n = 10; n < 50; n++) {
      await two.addData('notes', { id: `w${n}` });
      written.push(`w${n}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await clearing;
    await Promise.all([synced(one), synced(two)]);
    const all = ['a', ...written].join(' ');
    await expect.poll(() => ids(one), patient).toBe(all);
    await expect.poll(() => ids(two), patient).toBe(all);
  });

  test.each(['logout', 'clearSyncData'] as const)(
    'lose nothing to a %s in a tab that was not told of what they wrote',
    async (call) => {
      vi.stubGlobal('BroadcastChannel', undefined);
      onTestFinished(() => void vi.unstubAllGlobals());
      const { url: serverUrl } = await useServer();
      const storage = storageOf();
      const [one, two] = [testClient(), testClient()];
      for (const tab of [one, two])
        await tab.initialize({ serverUrl, userId: 'anna', storage, autoConnect: false });
      await two.addData('notes', { id: 'a' });
      await expect(one[call]()).rejects.toMatchObject({ code: 'UNSYNCED_CHANGES', pendingChanges: 1 });
      expect(ids(one)).toBe('a');
      await two.connect();
      await synced(two);
    },
  );

  test('end when one of them logs out', async () => {
    const { url: serverUrl } = await useServer();
    const [one, two] = (await openTabs(2, { serverUrl, storage: storageOf() })) as [SyncManager, SyncManager];
    await one.logout();
    await expect.poll(() => two.status.current.connection, patient).toBe('closed');
    expect(two.status.current.reason).toMatch(/another tab/);
    await expect(two.getData('notes')).rejects.toMatchObject({ code: 'NOT_INITIALIZED' });
  });

  test('[P7] tell the erasure all, also those that are not connected, and each can begin anew', async () => {
    const server = await useServer();
    const storage = storageOf();
    const [one, two] = (await openTabs(2, { serverUrl: server.url, storage })) as [SyncManager, SyncManager];
    await two.disconnect();
    await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
    const erased = { connection: 'refused', error: { code: 'ERASED' }, hasSynced: false };
    for (const tab of [one, two]) await expect.poll(() => tab.status.current, patient).toMatchObject(erased);
    expect([ids(one), ids(two)]).toEqual(['', '']);
    await one.connect();
    await one.addData('notes', { id: 'new' });
    await two.connect();
    await Promise.all([synced(one), synced(two)]);
    await expect.poll(() => ids(two), patient).toBe('new');
    expect(ids(one)).toBe('new');
  });

  test('[D8] go on with what everybody shares, too', async () => {
    const { url: serverUrl } = await useServer({ SHARED_COLLECTIONS: 'doctors' });
    const options = { serverUrl, storage: storageOf(), sharedCollections: ['doctors'] };
    const [one, two] = (await openTabs(2, options)) as [SyncManager, SyncManager];
    await one.addData('doctors', { id: 'd' });
    await synced(one);
    await one.clearSyncData();
    await Promise.all([synced(one), synced(two)]);
    await two.addData('doctors', { id: 'e' });
    const doctors = (tab: SyncManager) => tab.collection('doctors').records.map(({ id }) => id);
    for (const tab of [one, two]) await expect.poll(() => doctors(tab), patient).toEqual(['d', 'e']);
    expect(two.status.current.error).toBeNull();
  });
});
