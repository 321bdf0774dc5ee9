/** Hooks under the names of the JSON client. */
import { type CollectionHook, createSyncedHook } from '../react/collections.js';

export { useSyncedData as useCustomSyncedData } from '../react/use-synced-data.js';

export const useSyncedRegistrationRequests: CollectionHook<'registrationRequests'> =
  createSyncedHook('registrationRequests');
export const useSyncedAdminUsers: CollectionHook<'adminUsers'> = createSyncedHook('adminUsers');
export const useSyncedSystemStats: CollectionHook<'systemStats'> = createSyncedHook('systemStats');
export const useSyncedAdminNotifications: CollectionHook<'adminNotifications'> =
  createSyncedHook('adminNotifications');
