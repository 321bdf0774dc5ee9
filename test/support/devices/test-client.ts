import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { levelStorage } from '../../../client/local-store/level/level.js';
import { memoryStorage } from '../../../client/local-store/memory.js';
import type { DeviceStorage } from '../../../client/local-store/store.js';
import { noConnectivity } from '../../../client/platform/connectivity.js';
import type { Platform, WebSocketConstructor } from '../../../client/platform/platform.js';
import { standardParts } from '../../../client/platform/standard.js';
import type { SyncStatus } from '../../../client/status.js';
import { SyncManager } from '../../../client/sync-manager.js';

import { inTime, PATIENCE } from '../wait.js';

/** Node with memory for storage, and nothing that says whether the network is there. */
export function testPlatform(parts: Partial<Platform> = {}): Platform {
  return {
    ...standardParts,
    storage: memoryStorage(),
    WebSocket: WebSocket as unknown as WebSocketConstructor,
    connectivity: noConnectivity,
    ...parts,
  };
}

const clients = new Set<SyncManager>();

/** A client; `closeClients` ends it. */
export function testClient(parts: Partial<Platform> = {}): SyncManager {
  const client = new SyncManager(testPlatform(parts));
  clients.add(client);
  return client;
}

export async function closeClients(): Promise<void> {
  await Promise.all([...clients].map((client) => client.close()));
  clients.clear();
}

/** A client of a user that is not connected. */
export async function offlineClient(
  userId = 'anna',
  storage: DeviceStorage = memoryStorage(),
): Promise<SyncManager> {
  const client = testClient({ storage, fetch: () => Promise.reject(new Error('There is no network here.')) });
  await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId, autoConnect: false });
  return client;
}

export const synced = (client: SyncManager): Promise<void> =>
  client.whenSynced({ signal: AbortSignal.timeout(PATIENCE) });

/** A folder of its own, which is gone when the test ends. */
export async function onDisk(): Promise<DeviceStorage> {
  const folder = await mkdtemp(join(tmpdir(), 'device-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return levelStorage(folder);
}

export const statusWhere = (client: SyncManager, look: (status: SyncStatus) => boolean): Promise<void> =>
  inTime(
    new Promise((resolve) => {
      if (look(client.status.current)) resolve();
      else client.status.subscribe((status) => look(status) && resolve());
    }),
    () => `a status, which is ${JSON.stringify(client.status.current)}`,
  );
