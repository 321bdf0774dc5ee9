import type { CollectionKey, RecordOf } from '../api.js';
import {
  type Identified,
  type SyncedData,
  type SyncedDataOptions,
  type UntypedOptions,
  useSyncedData,
} from './use-synced-data.js';

/** `useSyncedData` for one collection; an app that has not declared the type of its records names it here. */
interface CollectionHook<Name extends CollectionKey> {
  (
    initialOrOptions?: readonly RecordOf<Name>[] | SyncedDataOptions<RecordOf<Name>>,
  ): SyncedData<RecordOf<Name>>;
  <Row extends object = Identified>(initialOrOptions?: UntypedOptions<Row>): SyncedData<Row>;
}

const hookOf =
  <Name extends CollectionKey>(name: Name): CollectionHook<Name> =>
  <Row extends object>(initialOrOptions?: UntypedOptions<Row>) =>
    useSyncedData<Row>(name, initialOrOptions);

export const useSyncedAppointments: CollectionHook<'appointments'> = hookOf('appointments');
export const useSyncedConsultations: CollectionHook<'consultations'> = hookOf('consultations');
export const useSyncedPrescriptions: CollectionHook<'prescriptions'> = hookOf('prescriptions');
export const useSyncedMedicalRecords: CollectionHook<'medicalRecords'> = hookOf('medicalRecords');
export const useSyncedPatients: CollectionHook<'patients'> = hookOf('patients');
export const useSyncedDoctors: CollectionHook<'doctors'> = hookOf('doctors');
