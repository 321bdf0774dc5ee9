/** A user's document and the edits that a device makes in it, encoded beforehand so that the load is light. */
import * as Y from 'yjs';
import { updateFrame } from './frames.js';

const FIELDS = ['title', 'status', 'doctor', 'notes', 'date'] as const;
export const RECORDS = 20;
const COLLECTION = 'appointments';

function recordMap(index: number): Y.Map<unknown> {
  const fields = FIELDS.map((field): [string, unknown] => [field, `${field} of appointment ${index}`]);
  return new Y.Map([['id', recordId(index)], ...fields]);
}

const recordId = (index: number): string => `appointment-${index}`;

/** One update per record, as a device makes them. */
export function recordUpdates(clientID: number): Uint8Array[] {
  const doc = new Y.Doc();
  doc.clientID = clientID;
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (let index = 0; index < RECORDS; index += 1)
    doc.getMap(COLLECTION).set(recordId(index), recordMap(index));
  return updates;
}

/** Whether every record is there with every field. */
export function isComplete(doc: Y.Doc): boolean {
  const records = Object.values(doc.getMap(COLLECTION).toJSON() as Record<string, object>);
  return records.length === RECORDS && records.every((record) => Object.keys(record).length > FIELDS.length);
}

/** What devices send; `Frame` is what they take. */
export interface Edits<Frame> {
  /** Brings the records. */
  readonly seed: readonly Frame[];
  /** Each changes one field of one record; every document can take them in this order. */
  readonly frames: readonly Frame[];
}

/** All users make the same edits, each in a document of their own. */
export function prepareEdits(count: number): Edits<Uint8Array> {
  const seed = Y.mergeUpdates(recordUpdates(1_000_000_001));
  const doc = new Y.Doc();
  doc.clientID = 2_000_000_002;
  Y.applyUpdate(doc, seed);
  const frames: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => frames.push(updateFrame(update)));
  for (let index = 0; index < count; index += 1) {
    const record = doc.getMap(COLLECTION).get(recordId(index % RECORDS)) as Y.Map<unknown>;
    const field = FIELDS[Math.floor(index / RECORDS) % FIELDS.length] ?? 'notes';
    record.set(field, `${field} as edited the ${index}th time`);
  }
  return { seed: [updateFrame(seed)], frames };
}
