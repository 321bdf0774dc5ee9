/**
 * A screen as an app wrote it for its JSON client, changed in nothing but the two imports: it uses what SPEC C2
 * documents, and knows of nothing else.
 */
import { type FormEvent, useEffect, useState } from 'react';
import { syncManager } from '../../../client/index.js';
import { useSyncedAppointments } from '../../../client/react/index.js';

interface Appointment {
  id: string;
  patient: string;
  status: string;
  room?: string;
}

export function AppointmentsScreen({ serverUrl, userId }: { serverUrl: string; userId: string }) {
  const [ready, setReady] = useState(false);
  const [log, setLog] = useState<string[]>([]);

  useEffect(() => {
    let gone = false;
    syncManager.initialize({ serverUrl, userId, deviceId: 'desk', autoConnect: true }).then(() => {
      if (!gone) setReady(true);
    });
    const unsubscribe = syncManager.subscribe('appointments', ({ operation, data, collection }) => {
      const what = 'id' in data ? data.id : data.length;
      setLog((lines) => [...lines, `${operation} ${collection} ${what}`]);
    });
    return () => {
      gone = true;
      unsubscribe();
    };
  }, [serverUrl, userId]);

  if (!ready || !syncManager.isReady()) return <p>Loading</p>;
  return <Appointments log={log} />;
}

function Appointments({ log }: { log: string[] }) {
  const { data, isLoading, error, syncStatus, addData, updateData, deleteData, refreshData } =
    useSyncedAppointments<Appointment>([]);
  const [patient, setPatient] = useState('');
  const sorted = data.sort((a, b) => a.patient.localeCompare(b.patient));

  const add = async (event: FormEvent) => {
    event.preventDefault();
    await addData({ id: `a-${patient}`, patient, status: 'booked' });
    setPatient('');
  };

  return (
    <section>
      <p id="status">
        {syncStatus.connected ? 'connected' : 'offline'}, {syncStatus.pendingChanges} pending
        {isLoading && ', loading'}
        {error && `, ${error.message}`}
      </p>
      <form onSubmit={add}>
        <input value={patient} onChange={({ target }) => setPatient(target.value)} />
      </form>
      <button id="offline" type="button" onClick={() => syncManager.disconnect()}>
        Offline
      </button>
      <button id="online" type="button" onClick={() => syncManager.connect()}>
        Online
      </button>
      <button id="refresh" type="button" onClick={() => refreshData()}>
        Refresh
      </button>
      <ul>
        {sorted.map((appointment) => (
          <li key={appointment.id} id={appointment.id}>
            {appointment.patient}: {appointment.status} {appointment.room}
            <button
              type="button"
              className="arrived"
              onClick={() => updateData(appointment.id, { status: 'arrived' })}
            >
              Arrived
            </button>
            <button type="button" className="delete" onClick={() => deleteData(appointment.id)}>
              Delete
            </button>
          </li>
        ))}
      </ul>
      <pre>{log.join('\n')}</pre>
    </section>
  );
}
