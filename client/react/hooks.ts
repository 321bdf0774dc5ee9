export { SyncProvider, useSyncClient } from './client-context.js';
export {
  type CollectionHook,
  createSyncedHook,
  useSyncedAppointments,
  useSyncedConsultations,
  useSyncedDoctors,
  useSyncedMedicalRecords,
  useSyncedPatients,
  useSyncedPrescriptions,
} from './collections.js';
export type { OrderBy, Query, Where } from './query.js';
export { type Draft, useDraft } from './use-draft.js';
export { type PresenceView, usePresence } from './use-presence.js';
export { useRecord } from './use-record.js';
export { useSyncStatus } from './use-sync-status.js';
export { type SyncedData, type SyncedDataOptions, useSyncedData } from './use-synced-data.js';
