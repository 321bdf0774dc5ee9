import type { CollectionName, RecordId } from '../../../shared/names.js';

/** Which record. */
export interface RecordKey {
  readonly collection: CollectionName;
  readonly id: RecordId;
}

/** The same text for the same record; neither name can have a line break (D6). */
export const keyOf = ({ collection, id }: RecordKey): string => `${collection}\n${id}`;

export const collectionOf = (key: string): CollectionName =>
  key.slice(0, key.indexOf('\n')) as CollectionName;
