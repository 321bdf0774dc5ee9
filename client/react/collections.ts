import type { CollectionKey, RecordOf } from '../api.js';
import { type SyncedData, type SyncedDataOptions, useSyncedData } from './use-synced-data.js';

/** `useSyncedData` for one collection; an app that has not declared the type of its records names it here. */
type CollectionHook<Name extends CollectionKey> = <Row extends object = RecordOf<Name>>(
  initialOrOptions?: readonly Row[] | SyncedDataOptions<Row>,
) => SyncedData<Row>;

const hookOf =
  <Name extends CollectionKey>(name: Name): CollectionHook<Name> =>
  (initialOrOptions) =>
    useSyncedData(name, initialOrOptions);

export const useSyncedAppointments: CollectionHook<'appointments'> = hookOf('appointments');
export const useSyncedConsultations: CollectionHook<'consultations'> = hookOf('consultations');
export const useSyncedPrescriptions: CollectionHook<'prescriptions'> = hookOf('prescriptions');
export const useSyncedMedicalRecords: CollectionHook<'medicalRecords'> = hookOf('medicalRecords');
export const useSyncedPatients: CollectionHook<'patients'> = hookOf('patients');
export const useSyncedDoctors: CollectionHook<'doctors'> = hookOf('doctors');
