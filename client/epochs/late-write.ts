/** A change made once more on a document that others have changed since, and that knows nothing of its author. */
import * as Y from 'yjs';
import { elementId } from '../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../shared/json.js';
import type { Path } from '../../shared/merge/merge.js';
import { assignRecord, readRecord, recordMap } from '../../shared/records.js';
import { isSharedText } from '../../shared/rich-text.js';
import { changedRecord, valueAt } from '../records/record-change.js';
import { pick, type RecordWrite } from '../records/record-write.js';

/**
 * Merges it three-way: what others changed meanwhile stays, and the deletion of the record wins (D5).
 *
 * @param mine the document in which the change was made: a record that it created is copied from there
 */
export function writeLate(doc: Y.Doc, write: RecordWrite, mine: Y.Doc): void {
  const { collection, id, record, base, fields } = write;
  const map = recordMap(doc, collection, id);
  if (record === null) doc.getMap(collection).delete(id);
  else if (map === null && base === null)
    doc.getMap(collection).set(id, recordMap(mine, collection, id)?.clone());
  if (record === null || map === null) return;
  const current = readRecord(map, id);
  const conflicts: Path[] = [];
  const wins = (path: Path): boolean => {
    const isGone = jsonAt(record, path) === undefined;
    const isOfElement = typeof path.at(-1) !== 'string' && jsonAt(current, path) === undefined;
    if (isGone || isOfElement) return false;
    conflicts.push(path);
    return true;
  };
  const removed = fields.filter((name) => !Object.hasOwn(record, name));
  const next = changedRecord(current, { fields: pick(record, fields), removed, base: base ?? {}, wins }, map);
  for (const path of conflicts) forget(map, path);
  assignRecord(map, next, current);
}

/**
 * What is written there next is written as by somebody who has not seen what stands there: for Yjs the two are
 * concurrent, and the server compares their times (decision 020). A shared text is never replaced (D2).
 */
function forget(map: Y.Map<unknown>, path: Path): void {
  const [holder, key] = [valueAt(map, path.slice(0, -1)), path.at(-1)];
  if (typeof key === 'string' && holder instanceof Y.Map && !isSharedText(holder.get(key)))
    holder._map.delete(key);
}

function jsonAt(record: JsonObject, path: Path): Json | undefined {
  let value: Json | undefined = record;
  for (const step of path) {
    if (typeof step === 'string')
      value = isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
    else value = Array.isArray(value) ? value.find((element) => elementId(element) === step.id) : undefined;
  }
  return value;
}
