/**
 * Offline first sync for browsers.
 *
 * @example
 * import { syncManager } from 'telemed-sync';
 * await syncManager.initialize({ serverUrl: 'http://localhost:3001', userId: 'demo' });
 * const id = await syncManager.addData('appointments', { status: 'booked' });
 */
import type { SyncClient } from './api/api.js';
import { webPlatform } from './platform/web.js';
import { registerDefaultClient } from './session/default-client.js';
import { SyncManager } from './sync-manager.js';

export * from './api/collections.js';
export * from './api/public.js';
export { indexedDbStorage } from './local-store/indexeddb/indexeddb.js';

/** Another client beside `syncManager`, for another user, say; nothing is opened before `initialize`. */
export function createSyncClient(): SyncClient {
  return new SyncManager(webPlatform());
}

/** The client of the app; the hooks use it unless a `SyncProvider` says otherwise. */
export const syncManager: SyncClient = createSyncClient();
registerDefaultClient(syncManager);
