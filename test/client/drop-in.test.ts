import { afterEach, expect, test, vi } from 'vitest';
import { OldClient } from '../../client/compat/old-client.js';
import { asyncStorage } from '../../client/local-store/async-storage/async-storage.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import { AsyncItems } from '../support/async-items.js';
import { closeClients, offlineClient, synced, testClient } from '../support/devices/test-client.js';
import { startServer } from '../support/server.js';

afterEach(closeClients);

const NOWHERE = { serverUrl: 'http://127.0.0.1:1', autoConnect: false };

test('[C2] what the JSON client answered before initialize resolves', async () => {
  const client = testClient();
  await client.disconnect();
  await client.setAutoSync(false);
  await client.clearSyncData();
  await client.logout();
  expect([client.isReady(), client.getConfig(), await client.loadSavedConfig()]).toEqual([false, null, null]);
  expect(client.getSyncStatus()).toMatchObject({ connected: false, pendingChanges: 0 });
  await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna' });
  expect(client.getConfig()?.autoConnect).toBe(false); // as setAutoSync said
});

test('[C2] a callback that throws hurts neither others nor the write, and is reported', async () => {
  const client = await offlineClient();
  const told: unknown[] = [];
  const reports: (() => void)[] = [];
  const microtask = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => {
    reports.push(task);
  });
  client.subscribe('notes', () => {
    throw new Error('of the app');
  });
  client.subscribe('notes', ({ operation }) => told.push(operation));
  await client.addData('notes', { id: 'a' });
  await client.deleteData('notes', 'a');
  microtask.mockRestore();
  expect(told).toEqual(['add', 'delete']);
  const thrown = reports.filter((report) => {
    try {
      report();
      return false;
    } catch (error) {
      return String(error).includes('of the app');
    }
  });
  expect(thrown).toHaveLength(2);
});

test('[C2] before initialize a drop-in shows what the last user had, and keeps writes', async () => {
  const storage = memoryStorage();
  const before = await offlineClient('anna', storage);
  await before.addData('notes', { id: 'a' });
  await before.close();

  const client = testClient({ storage });
  client.resume(null);
  expect((await client.getData('notes')).map(({ id }) => id)).toEqual(['a']);
  await client.addData('notes', { id: 'b' });
  await client.initialize({ ...NOWHERE, userId: 'anna' });
  expect((await client.getData('notes')).map(({ id }) => id)).toEqual(['a', 'b']);
  expect(client.getSyncStatus().pendingChanges).toBe(2);

  await client.logout({ force: true });
  await expect(client.addData('notes', { id: 'c' })).rejects.toMatchObject({ code: 'NOT_INITIALIZED' });
});

test('[C2] a drop-in that knows no user shows nothing, and stores what was written when one is there', async () => {
  const client = testClient();
  client.resume(null);
  expect(await client.getData('notes')).toEqual([]);
  await client.forceSync();
  const writes = ['a', 'b'].map((id) => client.addData('notes', { id }));
  await client.initialize({ ...NOWHERE, userId: 'anna' });
  expect(await Promise.all(writes)).toEqual(['a', 'b']);
  expect((await client.getData('notes')).map(({ id }) => id)).toEqual(['a', 'b']);
});

const update = (id: string, userId = 'anna', timestamp = 1_700_000_000_000) => ({
  type: 'DATA_UPDATE',
  data: { collection: 'notes', document: { id, text: `of ${id}` }, timestamp },
  userId,
});

function leftBehind(pendingChanges: unknown): AsyncItems {
  const items = new AsyncItems();
  const config = { serverUrl: NOWHERE.serverUrl, userId: 'anna', autoConnect: false };
  items.items.set('deviceId', 'old-phone');
  items.items.set('syncConfig', JSON.stringify(config));
  items.items.set('pendingChanges', JSON.stringify(pendingChanges));
  return items;
}

test('[C2] what the JSON client left on the device is taken over, once', async () => {
  const items = leftBehind([
    update('a'),
    update('other', 'ben'),
    { collection: 'notes', operation: 'update', data: { id: 'b', text: 'of b' } },
    { type: 'DATA_DELETE', data: { collection: 'notes', documentId: 'b' } },
    { type: 'DATA_DELETE', data: { collection: 'notes', documentId: 'unseen' } },
    { nonsense: true },
  ]);
  const client = testClient({ storage: asyncStorage(items) });
  client.resume(new OldClient(items));
  expect(await client.getData('notes')).toEqual([{ id: 'a', text: 'of a' }]);
  expect(client.getConfig()).toEqual({ ...NOWHERE, userId: 'anna', deviceId: 'old-phone' });
  expect(client.getSyncStatus().pendingChanges).toBe(3);
  expect([...items.items.keys()].filter((key) => !key.includes('/'))).toEqual(['pendingChanges']);
  const left = JSON.parse(items.items.get('pendingChanges') ?? '') as { userId: string }[];
  expect(left.map(({ userId }) => userId)).toEqual(['ben', 'anna', 'anna']);

  await client.initialize({ ...NOWHERE, userId: 'ben' });
  expect(await client.getData('notes')).toEqual([{ id: 'other', text: 'of other' }]);
});

test('[C2 C4] a kill at any moment of the takeover neither loses nor doubles what was queued', async () => {
  for (let endsAt = 0; endsAt < 12; endsAt += 1) {
    const items = leftBehind([update('a'), update('b')]);
    items.endsAt = endsAt;
    const killed = testClient({ storage: asyncStorage(items) });
    killed.resume(new OldClient(items));
    await killed.getData('notes');
    items.endsAt = Math.min(endsAt, items.writes - 1);
    await killed.close();
    items.restart();
    const client = testClient({ storage: asyncStorage(items) });
    client.resume(new OldClient(items));
    expect((await client.getData('notes')).map(({ id }) => id)).toEqual(['a', 'b']);
    await client.close();
  }
});

test('[C2] what a guest wrote is in the account after moveTo, also on the server, and not with the guest', async () => {
  const server = await startServer();
  const storage = memoryStorage();
  const account = testClient();
  await account.initialize({ serverUrl: server.url, userId: 'anna' });
  await account.addData('notes', { id: 'b', title: 'of the account' });
  await synced(account);

  const client = testClient({ storage });
  await client.initialize({ serverUrl: server.url, userId: 'guest-1', autoConnect: false });
  for (const [name, id] of [
    ['notes', 'a'],
    ['notes', 'b'],
    ['patients', 'p'],
  ] as const)
    await client.addData(name, { id, text: 'of the guest' });
  const moving = client.moveTo('anna');
  const late = client.addData('notes', { id: 'late' }); // asked for while it moves
  await moving;
  await late;
  expect(client.getConfig()?.userId).toBe('anna');
  await client.connect();
  await synced(client);
  await account.forceSync();
  expect((await account.getData('notes')).map(({ id }) => id)).toEqual(['a', 'b', 'late']);
  expect(await account.getLocalData('notes', 'b')).toEqual({
    id: 'b',
    title: 'of the account',
    text: 'of the guest',
  });
  expect(await account.getData('patients')).toHaveLength(1);
  await client.reconnect('guest-1');
  expect(await client.getData('notes')).toEqual([]);
  await closeClients();
  await server.close();
});

test('[C2 C4] a kill at any moment of moveTo loses nothing, and a second one doubles nothing', async () => {
  for (let endsAt = 0; endsAt < 25; endsAt += 1) {
    const items = new AsyncItems();
    const guest = await offlineClient('guest-1', asyncStorage(items));
    await guest.addData('notes', { id: 'a', list: ['x'] });
    await guest.addData('patients', { id: 'p' });
    items.writes = 0;
    items.endsAt = endsAt;
    await guest.moveTo('anna').catch(() => {});
    items.endsAt = Math.min(endsAt, items.writes - 1);
    await guest.close().catch(() => {});
    items.restart();

    const next = testClient({ storage: asyncStorage(items) });
    const { userId = 'guest-1' } = (await next.loadSavedConfig()) ?? {};
    await next.initialize({ ...NOWHERE, userId });
    await next.moveTo('anna');
    expect(await next.getData('notes')).toEqual([{ id: 'a', list: ['x'] }]);
    expect(await next.getData('patients')).toHaveLength(1);
    expect(next.getSyncStatus().pendingChanges).toBe(1);
    await next.close();
  }
});

test('[C2 C7] where the account can not be stored, the guest keeps everything', async () => {
  const items = new AsyncItems();
  const guest = await offlineClient('guest-1', asyncStorage(items));
  await guest.addData('notes', { id: 'a' });
  items.failure = new Error('no room');
  await expect(guest.moveTo('anna')).rejects.toMatchObject({ name: 'StorageError' });
  expect(guest.getConfig()?.userId).toBe('guest-1');
  expect(await guest.getData('notes')).toHaveLength(1);
  await guest.moveTo('anna');
  expect(await guest.getData('notes')).toHaveLength(1);
});
