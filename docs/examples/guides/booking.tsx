/** The screen of docs/guides/MIGRATE.md, after the move. */
import { SyncManager, useSyncedAppointments } from 'telemed-sync/compat';

interface Appointment {
  id: string;
  patient: string;
  status: string;
  room?: number;
}

export const openSync = (serverUrl: string, userId: string): Promise<void> =>
  SyncManager.getInstance().initialize({ serverUrl, userId, autoConnect: true });

export function Booking() {
  const { data, isLoading, error, syncStatus, updateData } = useSyncedAppointments<Appointment>([]);

  if (isLoading) return <p>Loading</p>;
  return (
    <section>
      <p>{syncStatus.connected ? 'online' : 'offline'}</p>
      {error && <p role="alert">{error.message}</p>}
      {data.map(({ id, patient, status, room }) => (
        <p key={id}>
          {patient}: {status}, room {room}
          <button type="button" id={id} onClick={() => updateData(id, { status: 'arrived' })}>
            Arrived
          </button>
        </p>
      ))}
    </section>
  );
}
