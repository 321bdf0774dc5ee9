/** When a user was last in step: whose time it is, when it is stored, and what does not depend on it. */
import { afterEach, expect, test, vi } from 'vitest';
import { asyncStorage } from '../../../client/local-store/async-storage/async-storage.js';
import { memoryStorage } from '../../../client/local-store/memory.js';
import { systemClock } from '../../../client/platform/standard.js';
import type { SyncManager } from '../../../client/sync-manager.js';
import { AsyncItems } from '../../support/async-items.js';
import { closeClients, synced, testClient } from '../../support/devices/test-client.js';
import { NoUpgrades } from '../../support/no-upgrades.js';
import { useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

afterEach(closeClients);

const timeOf = (client: SyncManager): number | null => client.status.current.lastSyncedAt;

test('[C2] the time is that of its user, and is there after a kill', async () => {
  const server = await useServer();
  const items = new AsyncItems();
  const client = testClient({ storage: asyncStorage(items) });
  const options = { serverUrl: server.url, userId: 'anna' };
  await client.initialize(options);
  await client.addData('notes', { id: 'a' });
  await synced(client);
  // It is stored at once or some seconds later, whichever sync came last by then.
  const isStored = () => expect([...items.items.values()]).toContain(String(timeOf(client)));
  await vi.waitFor(isStored, { timeout: PATIENCE });

  const left = new AsyncItems();
  for (const [key, value] of items.items) left.items.set(key, value);
  const reborn = testClient({ storage: asyncStorage(left) });
  await reborn.initialize({ ...options, autoConnect: false });
  expect(timeOf(reborn)).not.toBeNull();

  await client.disconnect();
  const anna = timeOf(client);
  await client.updateConfig({ userId: 'bert', autoConnect: false });
  expect(timeOf(client)).toBeNull();
  await client.updateConfig({ userId: 'anna' });
  expect(timeOf(client)).toBe(anna);
});

test('[C2] what was cleared has no time, also after a restart', async () => {
  const server = await useServer();
  const storage = memoryStorage();
  const client = testClient({ storage });
  await client.initialize({ serverUrl: server.url, userId: 'anna' });
  await synced(client);
  await client.logout();
  const again = testClient({ storage });
  await again.initialize({ serverUrl: server.url, userId: 'anna', autoConnect: false });
  expect(timeOf(again)).toBeNull();
});

test.each([
  ['stands still', () => 1_000_000],
  ['goes back at each look', backwards()],
  ['is years ahead at first', leaping()],
])('[C2] whenSynced() resolves, and not before its time, with a clock that %s', async (_, now) => {
  const server = await useServer();
  const proxy = await NoUpgrades.before(server.url);
  const clock = { ...systemClock, now };
  const client = testClient({ clock, WebSocket: undefined });
  await client.initialize({ serverUrl: proxy.url, userId: 'anna' });
  await synced(client);
  await client.disconnect();
  await client.addData('notes', { id: 'a' });
  let isDone = false;
  const done = client.whenSynced().then(() => {
    isDone = true;
  });
  await new Promise(setImmediate);
  expect(isDone).toBe(false);
  await client.connect();
  await done;
  const answer = await fetch(`${server.url}/api/sync/anna`);
  expect(await answer.json()).toMatchObject({ notes: [{ id: 'a' }] });
  await proxy.close();
});

function backwards(): () => number {
  let time = 1e12;
  return () => (time -= 1_000);
}

function leaping(): () => number {
  let looks = 0;
  return () => Date.now() + (++looks < 5 ? 1e11 : 0);
}
