import type { CollectionName, RecordId } from '../../../shared/names.js';

/** Which record. */
export interface RecordKey {
  readonly collection: CollectionName;
  readonly id: RecordId;
}

/** What it was asked for last: one message is about one record, whose key many want to know. */
let last = { collection: '', id: '', key: '\n' };

/** The same text for the same record; neither name can have a line break (D6). */
export function keyOf({ collection, id }: RecordKey): string {
  if (id !== last.id || collection !== last.collection)
    last = { collection, id, key: `${collection}\n${id}` };
  return last.key;
}

/** The record of such a text. */
export function recordOf(key: string): RecordKey {
  const [collection, id] = key.split('\n') as [CollectionName, RecordId];
  return { collection, id };
}

export const collectionOf = (key: string): CollectionName =>
  key.slice(0, key.indexOf('\n')) as CollectionName;
