/** Records of about 1 KB, and edits of one field each: as JSON devices send them, and as native ones do. */
import * as Y from 'yjs';
import type { Edits } from './edits.js';
import { updateFrame } from './frames.js';

export const COLLECTION = 'appointments';
const FIELDS = ['title', 'status', 'doctor', 'room', 'reason', 'date'] as const;
const NOTES = 'Patient reports intermittent pain since last week, no fever, sleeps well. ';

type Value = string | number | Value[] | { [key: string]: Value };
type Fields = Record<string, Value>;

const idOf = (index: number): string => `appointment-${index}`;

/** Texts that are edited, a longer one that is not, and an object and an array such as records have. */
function record(index: number): Fields {
  const texts = FIELDS.map((field): [string, Value] => [field, `${field} of appointment ${index}`]);
  return {
    id: idOf(index),
    ...Object.fromEntries(texts),
    notes: NOTES.repeat(7),
    contact: { phone: '+49 30 1234567', email: `patient-${index}@example.org`, preferred: 'phone' },
    medication: ['Ibuprofen', 'Pantoprazole'].map((name, at) => ({
      id: `medication-${at}`,
      name,
      dose: `${at + 1}00 mg`,
      timesPerDay: at + 1,
    })),
  };
}

interface FieldEdit {
  readonly index: number;
  readonly field: string;
  readonly value: string;
}

/** Goes round over the records, then over their fields. */
function fieldEdits(records: number, count: number): FieldEdit[] {
  return Array.from({ length: count }, (_, at) => {
    const field = FIELDS[Math.floor(at / records) % FIELDS.length] ?? 'title';
    return { index: at % records, field, value: `${field} as edited the ${at}th time` };
  });
}

/** The whole record at each edit, as JSON text. */
export function wholeRecords(records: number, count: number): Edits<string> {
  const all = Array.from({ length: records }, (_, index) => record(index));
  const seed = all.map((each) => JSON.stringify(each));
  const frames = fieldEdits(records, count).map(({ index, field, value }) => {
    all[index] = { ...all[index], [field]: value };
    return JSON.stringify(all[index]);
  });
  return { seed, frames };
}

/** The same edits as messages of a native device. */
export function nativeEdits(records: number, count: number): Edits<Uint8Array> {
  const doc = new Y.Doc();
  const collection = doc.getMap<Y.Map<unknown>>(COLLECTION);
  const messages: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => messages.push(updateFrame(update)));
  for (let index = 0; index < records; index += 1) collection.set(idOf(index), sharedMap(record(index)));
  for (const { index, field, value } of fieldEdits(records, count)) {
    collection.get(idOf(index))?.set(field, value);
  }
  return { seed: messages.slice(0, records), frames: messages.slice(records) };
}

function sharedMap(fields: Fields): Y.Map<unknown> {
  return new Y.Map(Object.entries(fields).map(([key, value]) => [key, shared(value)]));
}

function shared(value: Value): unknown {
  if (typeof value !== 'object') return value;
  if (!Array.isArray(value)) return sharedMap(value);
  const array = new Y.Array<unknown>();
  array.push(value.map(shared));
  return array;
}
