import { useSyncedAppointments, useSyncedData, useSyncedPatients } from 'telemed-sync/react';
import type { Appointment } from './appointment.js';

interface Patient {
  readonly id: string;
  readonly name: string;
}

/** What a screen asks for does not narrow what it gets; a collection that is not declared is what its records are. */
export function useTyped(patients: Patient[], limit?: number) {
  const { data, updateData } = useSyncedAppointments({ where: { status: 'booked' }, orderBy: 'room', limit });
  const none = useSyncedAppointments([]);
  const rows: (Appointment | undefined)[] = [data[0], none.data[0]];
  // @ts-expect-error no such field
  useSyncedAppointments({ orderBy: 'rooms' });
  // @ts-expect-error no such field
  useSyncedData('appointments', { where: { rooms: 4 } });
  const known: Patient | undefined = useSyncedPatients(patients).data[0];
  const named: Patient | undefined = useSyncedPatients<Patient>({ where: { name: 'Anna' } }).data[0];
  const open: unknown = useSyncedPatients({ where: { name: 'Anna' }, orderBy: 'born' }).data[0]?.street;
  return { rows, known, named, open, free: (id: string) => updateData(id, { room: undefined }) };
}

/** Without a `SyncProvider`: importing the hooks is enough to have the default client. */
export function Page() {
  const { data, addData, isLoading } = useSyncedAppointments();
  const booked = useSyncedData('appointments', { where: { status: 'booked' }, orderBy: 'room' });
  const first: Appointment | undefined = data[0] ?? booked.data[0];
  return (
    <button type="button" disabled={isLoading} onClick={() => void addData({ status: 'booked' })}>
      {first?.status}
    </button>
  );
}
