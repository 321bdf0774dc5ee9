import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { levelStorage } from '../../client/local-store/level.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import type { DeviceStorage } from '../../client/local-store/store.js';
import type { SyncStatus } from '../../client/status.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { closeClients, synced, testClient } from '../support/test-client.js';
import { useServer } from '../support/use.js';
import { inTime } from '../support/wait.js';

afterEach(closeClients);

async function onDisk(): Promise<DeviceStorage> {
  const folder = await mkdtemp(join(tmpdir(), 'device-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return levelStorage(folder);
}

const statusWhere = (client: SyncManager, look: (status: SyncStatus) => boolean): Promise<void> =>
  inTime(
    new Promise((resolve) => {
      if (look(client.status.current)) resolve();
      else client.status.subscribe((status) => look(status) && resolve());
    }),
    () => `a status, which is ${JSON.stringify(client.status.current)}`,
  );

const isErased = ({ connection, error }: SyncStatus): boolean =>
  connection === 'refused' && error !== null && 'code' in error && error.code === 'ERASED';

test.each([
  ['memory', async () => memoryStorage()],
  ['a disk', onDisk],
])(
  '[P7] a client that is told of the erasure deletes what it has in %s, tells the app, and can begin anew',
  async (_, storageOf) => {
    const server = await useServer();
    const erase = () => fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
    const options = { serverUrl: server.url, userId: 'anna' };
    const [online, offline] = [
      testClient({ storage: await storageOf() }),
      testClient({ storage: await storageOf() }),
    ];
    await Promise.all([online.initialize(options), offline.initialize(options)]);
    await online.addData('appointments', { id: 'a1', room: 1 });
    await Promise.all([synced(online), synced(offline)]);
    await statusWhere(offline, () => offline.getRecord('appointments', 'a1') !== null);
    await offline.disconnect();
    await offline.updateData('appointments', 'a1', { room: 2 });
    expect((await erase()).status).toBe(204);
    await statusWhere(online, isErased);
    expect(await online.getData('appointments')).toEqual([]);
    expect(online.status.current).toMatchObject({
      pendingChanges: 0,
      reason: expect.stringContaining('erased'),
    });

    await offline.connect();
    await statusWhere(offline, isErased);
    expect(await offline.getData('appointments')).toEqual([]);
    expect(offline.status.current.pendingChanges).toBe(0);
    const kept = await fetch(`${server.url}/api/sync/anna`);
    expect(await kept.json()).toMatchObject({ appointments: [] });

    await Promise.all([online.connect(), offline.connect()]);
    await online.addData('appointments', { id: 'a2', room: 3 });
    await synced(online);
    await statusWhere(offline, () => offline.getRecord('appointments', 'a2') !== null);
    expect(await offline.getData('appointments')).toEqual([{ id: 'a2', room: 3 }]);
  },
);

test('[P7] the same over HTTP, where no WebSocket is', async () => {
  const server = await useServer();
  const client = testClient({ WebSocket: undefined });
  await client.initialize({ serverUrl: server.url, userId: 'anna' });
  await client.addData('appointments', { id: 'a1' });
  await synced(client);
  await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
  await client.updateData('appointments', 'a1', { room: 2 });
  await client.forceSync().catch(() => {});
  await statusWhere(client, isErased);
  expect(await client.getData('appointments')).toEqual([]);
});
