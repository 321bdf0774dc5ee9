import { useSyncedAppointments, useSyncStatus } from 'telemed-sync/react';

export function Appointments() {
  const { data, isLoading, hasSynced } = useSyncedAppointments({
    where: { status: 'booked' },
    orderBy: 'start',
    limit: 20,
  });
  const pending = useSyncStatus(({ pendingChanges }) => pendingChanges);

  if (isLoading) return 'Loading';
  if (data.length === 0) return hasSynced ? 'No appointments.' : 'Not loaded yet: no connection so far.';
  return `${data.length} appointments, ${pending} changes to send`;
}
