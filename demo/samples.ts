/** An invented day of a practice, so that there is something to look at. Ids are fixed: asking twice adds it once. */
import { encoding } from 'lib0';
import * as Y from 'yjs';
import type { SyncClient, SyncRecord } from '../client/index.js';
import { readSetting, writeSetting } from '../web/settings.js';
import { COLLECTION, today } from './appointments.js';
import { DEVICE_IDS, isUserNamed, USER } from './identity.js';

const APPOINTMENTS = [
  [
    'Anna Weber',
    'Blood pressure check',
    'Dr. Okafor',
    '4',
    '09:00',
    'booked',
    'Brings her diary of the last two weeks',
  ],
  ['Tomás Rivera', 'Asthma follow-up', 'Dr. Lindqvist', '2', '09:30', 'arrived', ''],
  ['Mei-Ling Chen', 'Post-op video call', 'Dr. Okafor', 'Video', '10:15', 'booked', 'Interpreter: Mandarin'],
  ['Joseph Adeyemi', 'Medication review', 'Dr. Haddad', '7', '11:00', 'in consultation', ''],
  ['Ingrid Solberg', 'Travel vaccination', 'Nurse Patel', '1', '14:30', 'cancelled', 'Called in the morning'],
] as const;

/** The chart of one patient: a list, and a text that many write in. */
export const CHART = { collection: 'medicalRecords', id: 'sample-chart' } as const;
export const PRESCRIPTION = { collection: 'prescriptions', id: 'sample-prescription' } as const;
export const TEXT = 'instructions';

export const sampleAppointment = (number: number) =>
  ({ collection: COLLECTION, id: `sample-${number}` }) as const;

export interface Sample {
  readonly collection: string;
  readonly record: SyncRecord;
}

export function samples(): Sample[] {
  const day = today();
  const appointments = APPOINTMENTS.map(
    ([patient, reason, doctor, room, clock, status, notes], index): Sample => {
      const { collection, id } = sampleAppointment(index + 1);
      const time = `${day}T${clock}`;
      return { collection, record: { id, patient, reason, doctor, room, time, status, notes } };
    },
  );
  const chart = { id: CHART.id, patient: 'Anna Weber', allergies: ['Penicillin'] };
  const prescription = {
    id: PRESCRIPTION.id,
    patient: 'Anna Weber',
    medicine: 'Ramipril',
    dose: '5 mg',
    repeats: '1',
    [TEXT]: 'Once a day in the morning.',
  };
  return [
    ...appointments,
    { collection: CHART.collection, record: chart },
    { collection: PRESCRIPTION.collection, record: prescription },
  ];
}

export async function addSamples(client: SyncClient): Promise<void> {
  const missing = samples().filter(
    ({ collection, record }) => client.getRecord(collection, record.id) === null,
  );
  await Promise.all(missing.map((sample) => addSample(client, sample)));
}

export async function addSample(client: SyncClient, { collection, record }: Sample): Promise<void> {
  if (collection === PRESCRIPTION.collection) await giveShared(collection, record);
  else await client.addData(collection, record);
}

/** Once for each visitor, and nothing where the address names a user: that one's records are shown as they are. */
export async function addSamplesOnce(client: SyncClient): Promise<void> {
  const setting = `${USER}:sampled`;
  if (isUserNamed || readSetting(setting) !== null) return;
  await client.whenSynced();
  await addSamples(client);
  writeSetting(setting, 'yes');
}

/** As a native device makes a record whose text many may write in: its edits merge by word. */
async function giveShared(collection: string, { id, ...fields }: SyncRecord): Promise<void> {
  const doc = new Y.Doc();
  const record = new Y.Map<unknown>();
  for (const [name, value] of Object.entries(fields))
    record.set(name, name === TEXT ? new Y.Text(String(value)) : value);
  doc.getMap(collection).set(String(id), record);
  const body = encoding.encode((encoder) => {
    encoding.writeVarUint8Array(encoder, new Uint8Array());
    encoding.writeVarUint8Array(encoder, Y.encodeStateAsUpdate(doc));
  });
  const headers = { 'Device-ID': DEVICE_IDS.desk };
  const response = await fetch(`/api/yjs/${encodeURIComponent(USER)}`, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
}
