/** The screen of the README. */
import { syncManager } from 'telemed-sync';
import { useSyncedAppointments } from 'telemed-sync/react';

syncManager.initialize({ serverUrl: 'http://localhost:3001', userId: 'demo' }); // screens need not wait for it

export function Appointments() {
  const { data, updateData } = useSyncedAppointments({ where: { status: 'booked' }, orderBy: 'room' });
  return data.map(({ id, room }) => (
    <button type="button" key={id} onClick={() => updateData(id, { room: 7 })}>
      room {String(room)}
    </button>
  ));
}
