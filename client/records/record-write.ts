/** What a change did to a record, so that it can be made once more on another state of it. */
import { equalityDeep } from 'lib0/function';
import type * as Y from 'yjs';
import type { JsonObject, JsonRecord } from '../../shared/json.js';
import { assignRecord, readRecord, recordMap, writeRecord } from '../../shared/records.js';
import type { Place } from '../refused/update-places.js';
import { changedRecord } from './record-change.js';

export interface RecordWrite extends Place {
  /** The record with the change; null: it is deleted. */
  readonly record: JsonRecord | null;
  /** The record without it, as far as it is another one; null: it was not there. */
  readonly base: JsonObject | null;
  /** The fields that the change is about. */
  readonly fields: readonly string[];
}

export const readAt = (doc: Y.Doc, { collection, id }: Place): JsonRecord | null => {
  const map = recordMap(doc, collection, id);
  return map === null ? null : readRecord(map, id);
};

/** What makes `from` the same as `to` at these places. */
export function writesBetween(from: Y.Doc | null, to: Y.Doc, places: readonly Place[]): RecordWrite[] {
  return places.flatMap((place) => {
    const record = readAt(to, place);
    const base = from === null ? null : readAt(from, place);
    const names = [...new Set(Object.keys({ ...base, ...record }))];
    const fields = names.filter((name) => !equalityDeep(base?.[name], record?.[name]));
    if (from !== null && fields.length === 0 && (base === null) === (record === null)) return [];
    return { ...place, record, base: base && pick(base, fields), fields };
  });
}

/** Makes it once more: what others changed meanwhile in other fields stays. */
export function writeAgain(doc: Y.Doc, { collection, id, record, base, fields }: RecordWrite): void {
  const map = recordMap(doc, collection, id);
  if (record === null) doc.getMap(collection).delete(id);
  else if (map === null || base === null) writeRecord(doc, collection, id, record);
  else {
    const current = readRecord(map, id);
    const removed = fields.filter((name) => !Object.hasOwn(record, name));
    const change = { fields: pick(record, fields), removed, base };
    assignRecord(map, changedRecord(current, change, map), current);
  }
}

export const pick = (from: JsonObject, names: readonly string[]): JsonObject =>
  Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
