import { useSyncedAppointments, useSyncedData } from 'telemed-sync/react';
import type { Appointment } from './appointment.js';

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
