import type { CollectionKey, RecordOf } from '../api/api.js';
import {
  type Identified,
  type SyncedData,
  type SyncedDataOptions,
  type UntypedOptions,
  useSyncedData,
} from './use-synced-data.js';

/** `useSyncedData` for one collection; an app that has not declared the type of its records names it here. */
export interface CollectionHook<Name extends CollectionKey> {
  (
    initialOrOptions?: readonly RecordOf<Name>[] | SyncedDataOptions<RecordOf<Name>>,
  ): SyncedData<RecordOf<Name>>;
  <Row extends object = Identified>(initialOrOptions?: UntypedOptions<Row>): SyncedData<Row>;
}

/**
 * The hook of a collection of the app's own.
 *
 * @example
 * export const useSyncedRegistrationRequests = createSyncedHook('registrationRequests');
 */
export const createSyncedHook =
  <Name extends CollectionKey>(name: Name): CollectionHook<Name> =>
  <Row extends object>(initialOrOptions?: UntypedOptions<Row>) =>
    useSyncedData<Row>(name, initialOrOptions);

export const useSyncedAppointments: CollectionHook<'appointments'> = createSyncedHook('appointments');
export const useSyncedConsultations: CollectionHook<'consultations'> = createSyncedHook('consultations');
export const useSyncedPrescriptions: CollectionHook<'prescriptions'> = createSyncedHook('prescriptions');
export const useSyncedMedicalRecords: CollectionHook<'medicalRecords'> = createSyncedHook('medicalRecords');
export const useSyncedPatients: CollectionHook<'patients'> = createSyncedHook('patients');
export const useSyncedDoctors: CollectionHook<'doctors'> = createSyncedHook('doctors');
