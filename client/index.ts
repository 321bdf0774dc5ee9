/**
 * Offline first sync for browsers.
 *
 * @example
 * import { syncManager } from 'telemed-sync';
 * await syncManager.initialize({ serverUrl: 'http://localhost:3001', userId: 'demo' });
 * const id = await syncManager.addData('appointments', { status: 'booked' });
 */
import type { SyncClient } from './api.js';
import { registerDefaultClient } from './default-client.js';
import { SyncManager } from './sync-manager.js';
import { webPlatform } from './web-platform.js';

export { indexedDbStorage } from './local-store/indexeddb.js';
export * from './public.js';

/**
 * The types of an app's collections. An app declares its own once:
 *
 * @example
 * declare module 'telemed-sync' {
 *   interface SyncedCollections { appointments: Appointment }
 * }
 */
// biome-ignore lint/suspicious/noEmptyInterface: apps add to it
export interface SyncedCollections {}

/** Another client beside `syncManager`, for another user, say; nothing is opened before `initialize`. */
export function createSyncClient(): SyncClient {
  return new SyncManager(webPlatform());
}

/** The client of the app; the hooks use it unless a `SyncProvider` says otherwise. */
export const syncManager: SyncClient = createSyncClient();
registerDefaultClient(syncManager);
