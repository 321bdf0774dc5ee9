/**
 * For apps that were written for the JSON client: its names, its answers before `initialize`, and what it left on
 * the device. One import takes the place of each of its modules.
 *
 * @example
 * import { syncService, useSyncedAppointments, useCustomSyncedData } from 'telemed-sync/compat';
 */
import '../index.js';
import { dropIn } from './drop-in.js';

export * from '../api/public.js';
export { createSyncClient } from '../index.js';
export * from '../react/hooks.js';
export { SyncManager } from './drop-in.js';
export * from './hooks.js';

/** Where AsyncStorage keeps things in a browser; looking at it may throw. */
function browserItems(): Storage | null {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}

export const syncManager = dropIn(browserItems());
/** The same one, under its other name. */
export const syncService = syncManager;
