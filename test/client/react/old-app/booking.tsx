import { useSyncedAppointments, useSyncedDoctors } from '../../../../client/compat/index.js';

interface Doctor {
  id: string;
  name: string;
}

interface Appointment {
  id: string;
  doctorId: string;
  status: string;
}

export function BookingScreen() {
  const doctors = useSyncedDoctors<Doctor>([]);
  const { data, isLoading, addData, updateData, deleteData, refreshData } =
    useSyncedAppointments<Appointment>([]);
  const nameOf = (id: string) => doctors.data.find((doctor) => doctor.id === id)?.name ?? 'nobody';
  return (
    <section>
      {isLoading && <p>loading appointments</p>}
      {doctors.data.map(({ id, name }) => (
        <button
          key={id}
          id={`book-${id}`}
          type="button"
          onClick={() => void addData({ id: `with-${id}`, doctorId: id, status: 'booked' })}
        >
          Book {name}
        </button>
      ))}
      {data.map(({ id, doctorId, status }) => (
        <p key={id}>
          {nameOf(doctorId)} {status}{' '}
          <button id={`come-${id}`} type="button" onClick={() => void updateData(id, { status: 'arrived' })}>
            Arrived
          </button>
          <button id={`cancel-${id}`} type="button" onClick={() => void deleteData(id)}>
            Cancel
          </button>
        </p>
      ))}
      <button id="refresh" type="button" onClick={() => void refreshData()}>
        Refresh
      </button>
    </section>
  );
}
