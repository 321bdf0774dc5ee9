import { SyncManager, syncManager, syncService, useSyncedAppointments } from 'telemed-sync/compat';

/** The names of the JSON client, all of one entry. */
export const names = { SyncManager, syncManager, syncService, useSyncedAppointments };
