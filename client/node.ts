/**
 * The client for Node: services, scripts and tests. Data is kept by LevelDB in a folder.
 *
 * The process lives as long as its client is connected or tries to be; `close()` ends that. What is not sent by
 * then is sent the next time.
 *
 * It needs two packages that apps in browsers do without: `npm install ws classic-level`.
 *
 * @example
 * import { syncManager } from 'telemed-sync/node';
 * await syncManager.initialize({ serverUrl: 'http://localhost:3001', userId: 'demo' });
 * await syncManager.addData('appointments', { status: 'booked' });
 * await syncManager.whenSynced();
 * await syncManager.close();
 */
import type { SyncClient } from './api/api.js';
import { levelStorage } from './local-store/level/level.js';
import { noConnectivity } from './platform/connectivity.js';
import { WebSocket } from './platform/node-packages.js';
import type { Platform } from './platform/platform.js';
import { standardParts } from './platform/standard.js';
import { registerDefaultClient } from './session/default-client.js';
import { SyncManager } from './sync-manager.js';

export * from './api/public.js';
export { levelStorage } from './local-store/level/level.js';

export interface NodeClientOptions {
  /** Where it keeps its data. Default: `./telemed-sync-data`. */
  readonly folder?: string;
}

const DEFAULT_FOLDER = './telemed-sync-data';

const platform = (folder: string): Platform => ({
  ...standardParts,
  WebSocket,
  storage: levelStorage(folder),
  connectivity: noConnectivity,
});

/** Another client beside `syncManager`, with a folder of its own; nothing is opened before `initialize`. */
export function createSyncClient({ folder = DEFAULT_FOLDER }: NodeClientOptions = {}): SyncClient {
  return new SyncManager(platform(folder));
}

/** The client of the process, which keeps its data in `./telemed-sync-data` unless `storage` says otherwise. */
export const syncManager: SyncClient = createSyncClient();
registerDefaultClient(syncManager);
