/**
 * Records: Y.Map ⇄ JSON (D2). Reading gives plain JSON; writing makes the smallest change that
 * expresses what differs, so that edits of different fields, keys and elements merge (D3).
 */
import { toBase64 } from 'lib0/buffer';
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { type ElementStep, matchElements } from './elements.js';
import { isObject, type Json, type JsonObject, type JsonRecord } from './json.js';
import { type CollectionName, isCollectionName, type RecordId, recordIdOf } from './names.js';
import { isSharedText, type SharedText, writeText } from './rich-text.js';

/** The JSON of anything that a shared type may hold; binary values read as base64 strings. */
export function readValue(value: unknown): Json {
  if (value instanceof Y.Map) return readMap(value);
  if (value instanceof Y.Array) return value.map(readValue);
  if (isSharedText(value)) return textOf(value);
  if (value instanceof Uint8Array) return toBase64(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(readValue);
  if (isObject(value)) return mapObject(value, readValue);
  return typeof value === 'string' || typeof value === 'boolean' ? value : null;
}

/** Yjs can't print every XML that a client may store; one such value must not hide all other records. */
function textOf(value: SharedText): Json {
  try {
    return value.toString();
  } catch {
    return null;
  }
}

function readMap(map: Y.Map<unknown>): JsonObject {
  const object: JsonObject = {};
  for (const [key, value] of map.entries()) if (value !== undefined) object[key] = readValue(value);
  return object;
}

function mapObject(object: JsonObject, change: (value: Json) => Json): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
}

/** A record as JSON devices see it: its `id` always equals its key, a numeric one keeps its type (D6). */
export function readRecord(map: Y.Map<unknown>, id: RecordId): JsonRecord {
  const fields = readMap(map);
  return { ...fields, id: typeof fields.id === 'number' && recordIdOf(fields.id) === id ? fields.id : id };
}

/** The record map at `id`, or `null` where there is none (a value that is no map is not a record, S3). */
export function recordMap(doc: Y.Doc, collection: CollectionName, id: RecordId): Y.Map<unknown> | null {
  const value = doc.share.has(collection) ? doc.getMap(collection).get(id) : undefined;
  return value instanceof Y.Map ? value : null;
}

/** All records of a collection, in no particular order. */
export function readCollection(doc: Y.Doc, collection: CollectionName): JsonRecord[] {
  const records: JsonRecord[] = [];
  for (const [id, value] of doc.getMap(collection).entries()) {
    if (value instanceof Y.Map) records.push(readRecord(value, id as RecordId));
  }
  return records;
}

/** The collections that the document has, in alphabetical order. */
export function collectionNames(doc: Y.Doc): CollectionName[] {
  return [...doc.share.keys()].filter(isCollectionName).sort();
}

/**
 * Writes a JSON document over a record: fields that are equal are not written, fields that `json` lacks are
 * kept. Creates the record where there is none.
 *
 * @example writeRecord(doc, appointments, id, { status: 'booked' })
 */
export function writeRecord(doc: Y.Doc, collection: CollectionName, id: RecordId, json: JsonObject): void {
  const records = doc.getMap(collection);
  const current = records.get(id);
  if (current instanceof Y.Map) assignMap(current, json, 'keep');
  else records.set(id, replacement(current, json, 'keep'));
}

/** The shared type that holds `json`: objects become Y.Map, arrays Y.Array, the rest stays as it is. */
export function sharedValue(json: Json): unknown {
  if (Array.isArray(json)) return sharedArray(json);
  return isObject(json) ? sharedMap(json) : json;
}

function sharedArray(json: Json[]): Y.Array<unknown> {
  const array = new Y.Array<unknown>();
  array.push(json.map(sharedValue));
  return array;
}

function sharedMap(json: JsonObject): Y.Map<unknown> {
  return new Y.Map(Object.entries(json).map(([key, value]) => [key, sharedValue(value)]));
}

/**
 * Makes a record exactly `json`, by the smallest change: fields that `json` lacks are removed, at every depth.
 * `id` is left as it is.
 *
 * @param known the record as it is, where that is at hand: values that are the very same need no look
 */
export function assignRecord(map: Y.Map<unknown>, json: JsonObject, known: JsonObject = {}): void {
  for (const [key, value] of Object.entries(json)) {
    if (key !== 'id' && value !== known[key]) assignField(map, key, value, 'exact');
  }
  removeOthers(map, Object.hasOwn(json, 'id') ? json : { ...json, id: null }, emptyText);
}

/**
 * What becomes of keys that the incoming object lacks. Below `remove`, an element with an id keeps its own
 * again; `exact` holds at every depth.
 */
type Absent = 'keep' | 'remove' | 'exact';

const inElement = (sameId: boolean, absent: Absent): Absent =>
  absent === 'exact' ? 'exact' : sameId ? 'keep' : 'remove';

function assignMap(map: Y.Map<unknown>, json: JsonObject, absent: Absent): void {
  assignFields(map, json, absent);
  if (absent !== 'keep') removeOthers(map, json, emptyText);
}

function assignFields(map: Y.Map<unknown>, json: JsonObject, absent: Absent): void {
  for (const [key, value] of Object.entries(json)) assignField(map, key, value, absent);
}

function assignField(map: Y.Map<unknown>, key: string, value: Json, absent: Absent): void {
  const current = map.get(key);
  if (current === undefined || !assignInside(current, value, absent)) {
    map.set(key, replacement(current, value, absent));
  }
}

/**
 * Removes the fields that `json` lacks, but for those that `spare` takes care of; a key that holds `undefined` is
 * no field (see `readMap`).
 */
export function removeOthers(
  map: Y.Map<unknown>,
  json: JsonObject,
  spare: (value: unknown) => boolean = () => false,
): void {
  map.forEach((value, key) => {
    if (!Object.hasOwn(json, key) && value !== undefined && !spare(value)) map.delete(key);
  });
}

/** Whether it is a text: an editor may be open on it, so it loses its words and stays (D2). */
function emptyText(value: unknown): boolean {
  if (!isSharedText(value)) return false;
  writeText(value, '');
  return true;
}

/** A text is never replaced (D2). Nothing is written where `json` is not the text with other words. */
function assignText(text: SharedText, json: Json): void {
  if (readValue(text) !== json && (json === null || typeof json === 'string')) writeText(text, json ?? '');
}

/** Makes a shared value exactly `json`, inside it; `false` where it has to be replaced as a whole. */
export const assignValue = (current: unknown, json: Json): boolean => assignInside(current, json, 'exact');

/** Writes inside `current`; `false` when it has to be replaced as a whole. */
function assignInside(current: unknown, json: Json, absent: Absent): boolean {
  if (current instanceof Y.Map && isObject(json)) assignMap(current, json, absent);
  else if (current instanceof Y.Array && Array.isArray(json)) assignArray(current, json, absent);
  else if (isSharedText(current)) assignText(current, json);
  else return equalityDeep(readValue(current), json);
  return true;
}

/** A plain object or array that a native client stored merges as a whole; here it becomes a shared type (D2). */
function replacement(current: unknown, json: Json, absent: Absent): unknown {
  const isPlain = typeof current === 'object' && !(current instanceof Y.AbstractType);
  return sharedValue(isPlain ? merged(readValue(current), json, absent) : json);
}

/** What a write makes of a plain value: the same as `assignInside` makes of a shared one. */
function merged(current: Json, json: Json, absent: Absent): Json {
  if (isObject(current) && isObject(json)) {
    const mergeField = ([key, value]: [string, Json]) =>
      [key, Object.hasOwn(current, key) ? merged(current[key] as Json, value, absent) : value] as const;
    const fields = Object.fromEntries(Object.entries(json).map(mergeField));
    return absent === 'keep' ? { ...current, ...fields } : fields;
  }
  return Array.isArray(current) && Array.isArray(json) ? mergedArray(current, json, absent) : json;
}

function mergedArray(current: Json[], json: Json[], absent: Absent): Json[] {
  let index = 0;
  return matchElements(current, json).flatMap((step) => {
    if (step.kind === 'insert') return [step.value];
    const old = current[index++] as Json;
    return step.kind === 'delete' ? [] : [merged(old, step.value, inElement(step.sameId, absent))];
  });
}

function assignArray(array: Y.Array<unknown>, json: Json[], absent: Absent): void {
  const elements = array.toArray();
  let index = 0;
  for (const step of withTexts(matchElements(elements.map(readValue), json), elements)) {
    if (step.kind === 'delete') array.delete(index, 1);
    else if (step.kind === 'insert') array.insert(index++, [sharedValue(step.value)]);
    else assignElement(array, index++, step.value, inElement(step.sameId, absent));
  }
}

/** A string in the place of a text is another version of it, as in a field. */
function withTexts(steps: readonly ElementStep[], elements: readonly unknown[]): ElementStep[] {
  const all: ElementStep[] = [];
  let index = 0;
  for (const step of steps) {
    const isVersion = step.kind === 'insert' && typeof step.value === 'string';
    if (isVersion && all.at(-1)?.kind === 'delete' && isSharedText(elements[index - 1])) {
      all.splice(-1, 1, { kind: 'keep', value: step.value, sameId: false });
    } else all.push(step);
    if (step.kind !== 'insert') index++;
  }
  return all;
}

function assignElement(array: Y.Array<unknown>, index: number, json: Json, absent: Absent): void {
  const current = array.get(index);
  if (assignInside(current, json, absent)) return;
  array.delete(index, 1);
  array.insert(index, [replacement(current, json, absent)]);
}
