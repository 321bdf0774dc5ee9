import {
  useSyncedConsultations,
  useSyncedMedicalRecords,
  useSyncedPatients,
  useSyncedPrescriptions,
} from '../../../../client/compat/index.js';

export function PatientFile() {
  const patients = useSyncedPatients<{ id: string; name: string }>([]);
  const records = useSyncedMedicalRecords<{ id: string; text: string }>([]);
  const consultations = useSyncedConsultations([]);
  const prescriptions = useSyncedPrescriptions<{ id: string; drug: string; refills: number }>([]);
  return (
    <section>
      {patients.data.map(({ id, name }) => (
        <h2 key={id}>{name}</h2>
      ))}
      {records.error && <p>{records.error.message}</p>}
      {records.data.map(({ id, text }) => (
        <p key={id}>note {text}</p>
      ))}
      {prescriptions.data.map(({ id, drug, refills }) => (
        <p key={id}>
          {drug} refills {refills}
        </p>
      ))}
      <p>{consultations.data.length} consultations</p>
    </section>
  );
}
