/** The same screen with what the client offers besides: docs/guides/MIGRATE.md. */
import { useSyncedAppointments, useSyncStatus } from 'telemed-sync/react';

interface Appointment {
  id: string;
  patient: string;
  status: string;
  room?: number;
}

export function BookingToday() {
  const { data, isLoading, hasSynced, updateData } = useSyncedAppointments<Appointment>({
    where: { status: 'booked' },
    orderBy: 'patient',
    limit: 50,
  });
  const unsent = useSyncStatus(({ pendingChanges }) => pendingChanges);

  if (isLoading) return <p>Loading</p>;
  if (data.length === 0)
    return <p>{hasSynced ? 'Nobody is booked.' : 'Not loaded yet: no connection so far.'}</p>;
  return (
    <section>
      <p>{unsent === 0 ? 'All is on the server.' : `${unsent} changes are on this device only.`}</p>
      {data.map(({ id, patient, room }) => (
        <p key={id}>
          {patient}, room {room}
          <button type="button" id={id} onClick={() => updateData(id, { status: 'arrived' })}>
            Arrived
          </button>
        </p>
      ))}
    </section>
  );
}
