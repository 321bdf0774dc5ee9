/** Images: a record as it can be stored and brought back with its types. */
import * as Y from 'yjs';
import { matchElements } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject, type JsonRecord } from '../../../shared/json.js';
import { type CollectionName, type RecordId, recordIdOf } from '../../../shared/names.js';
import { readValue, removeOthers } from '../../../shared/records.js';
import { isSharedText } from '../../../shared/rich-text.js';
import { sameJson } from './patch.js';
import { writeRich } from './rich-image.js';
import {
  buildValue,
  fieldOf,
  hookMark,
  ImageReader,
  isElement,
  pathTo,
  type RichMark,
  type TypeMarks,
} from './value-image.js';

export type { TypeMarks } from './value-image.js';

/** A record at one moment: its JSON, and where a value is of another kind than JSON would give. */
export interface RecordImage {
  /** What `readRecord` gives. */
  readonly json: JsonRecord;
  readonly types: TypeMarks | null;
}

/** The whole record, in one traversal. */
export function readImage(map: Y.Map<unknown>, id: RecordId): RecordImage {
  const reader = new ImageReader();
  const json: JsonRecord = { id: readId(reader, map, id) };
  reader.mark(hookMark(map));
  for (const [field, value] of map.entries()) {
    if (value !== undefined && field !== 'id') json[field] = reader.entry(field, value);
  }
  return { json, types: reader.types };
}

/** Reads only these top-level fields again, the rest is shared with `before`; that itself where none of them differs. */
export function readImageFields(
  before: RecordImage,
  map: Y.Map<unknown>,
  id: RecordId,
  names: ReadonlySet<string>,
): RecordImage {
  const reader = new ImageReader();
  const json: JsonRecord = { id: names.has('id') ? readId(reader, map, id) : before.json.id };
  const read = (field: string): void => {
    const value = map.get(field);
    if (value !== undefined && field !== 'id') json[field] = reader.entry(field, value);
  };
  // Not spread, nothing deleted, and in the order that they had: this runs for each change, and an object of a shape
  // that is new, as one is with each order of its fields, makes all dearer that is done with it.
  for (const field of Object.keys(before.json)) {
    if (names.has(field)) read(field);
    else json[field] = before.json[field] as Json;
  }
  for (const field of names) if (!Object.hasOwn(before.json, field)) read(field);
  const image = { json, types: withoutFields(before.types, names, reader.types) };
  return isSameIn(names, before, image) ? before : image;
}

/** Whether both are the same image, where they can differ in these fields, and in the kinds of values, alone. */
function isSameIn(fields: ReadonlySet<string>, before: RecordImage, { json, types }: RecordImage): boolean {
  for (const field of fields) {
    if (Object.hasOwn(json, field) !== Object.hasOwn(before.json, field)) return false;
    if (!sameJson(json[field] as Json, before.json[field] as Json)) return false;
  }
  return sameJson(before.types, types);
}

function withoutFields(
  before: TypeMarks | null,
  fields: ReadonlySet<string>,
  read: TypeMarks | null,
): TypeMarks | null {
  if (before === null) return read;
  const others = Object.entries(before).filter(([path]) => path === '' || !fields.has(fieldOf(path)));
  return others.length > 0 ? { ...Object.fromEntries(others), ...read } : read;
}

/** Only that the field is missing is marked: whatever else it holds, the record's id is its key (D6). */
function readId(reader: ImageReader, map: Y.Map<unknown>, id: RecordId): string | number {
  if (map.get('id') === undefined) reader.mark('missing', '/id');
  return idOf(map, id);
}

const idOf = (map: Y.Map<unknown>, id: RecordId): string | number => {
  const value = map.get('id');
  return typeof value === 'number' && recordIdOf(value) === id ? value : id;
};

/** Whether both are the same JSON with the same types. */
export function sameImage(a: RecordImage | null, b: RecordImage | null): boolean {
  if (a === null || b === null) return a === b;
  return a === b || (sameJson(a.json, b.json) && sameJson(a.types, b.types));
}

/**
 * Brings the record to the image, in one transaction: creates it where it is missing, else writes only what
 * differs, types included.
 *
 * @example writeImage(doc, entry.collection, entry.id, image) // as it was, a Y.Text is a Y.Text again
 */
export function writeImage(doc: Y.Doc, collection: CollectionName, id: RecordId, image: RecordImage): void {
  const records = doc.getMap(collection);
  const map = records.get(id);
  const { id: idField, ...others } = image.json;
  const hasId = image.types?.['/id'] !== 'missing';
  const fields: JsonObject = hasId ? image.json : others;
  doc.transact(() => {
    if (!(map instanceof Y.Map) || !sameJson(hookMark(map), image.types?.[''] ?? null)) {
      records.set(id, buildValue(fields, image.types, ''));
      return;
    }
    new ImageWriter(image.types ?? {}).fields(map, others, '');
    if (hasId && (map.get('id') === undefined || idOf(map, id) !== idField)) map.set('id', idField);
    removeOthers(map, fields);
  });
}

/** Writes what was read into what is there, and leaves alone what is the same. */
class ImageWriter {
  readonly #types: TypeMarks;

  constructor(types: TypeMarks) {
    this.#types = types;
  }

  fields(map: Y.Map<unknown>, json: JsonObject, path: string): void {
    for (const [key, value] of Object.entries(json)) {
      const [current, place] = [map.get(key), pathTo(path, key)];
      if (current !== undefined && this.#writeInside(current, value, place)) continue;
      map.set(key, buildValue(value, this.#types, place));
    }
  }

  /** `false` when `current` has to be replaced as a whole. */
  #writeInside(current: unknown, json: Json, path: string): boolean {
    const mark = this.#types[path];
    const isMap = isObject(json) && sameJson(hookMark(current), mark ?? null);
    if (current instanceof Y.Map && isMap) {
      this.fields(current, json, path);
      removeOthers(current, json);
    } else if (current instanceof Y.Array && Array.isArray(json) && mark === undefined) {
      this.#elements(current, json, path);
    } else if (isSharedText(current)) return writeRich(current, this.#richAt(path, json));
    else return this.#isSame(current, json, path);
    return true;
  }

  #elements(array: Y.Array<unknown>, json: Json[], path: string): void {
    let index = 0;
    for (const step of matchElements(array.toArray().map(readValue), json)) {
      if (step.kind === 'delete') array.delete(index, 1);
      else {
        if (step.kind === 'insert' || !this.#writeElement(array, index, step.value, path)) {
          array.insert(index, [buildValue(step.value, this.#types, pathTo(path, index))]);
        }
        index++;
      }
    }
  }

  /** `false` when the element was taken away and has to be inserted anew. */
  #writeElement(array: Y.Array<unknown>, index: number, json: Json, path: string): boolean {
    const current = array.get(index);
    if (!isElement(current) && sameJson(readValue(current), json)) return true;
    if (isElement(current) && this.#writeInside(current, json, pathTo(path, index))) return true;
    array.delete(index, 1);
    return false;
  }

  #isSame(current: unknown, json: Json, path: string): boolean {
    const reader = new ImageReader();
    const isSame = sameJson(reader.value(current), json);
    const marks = Object.entries(this.#types).flatMap(([at, mark]) =>
      at === path || at.startsWith(`${path}/`) ? [[at.slice(path.length), mark] as const] : [],
    );
    return isSame && sameJson(Object.fromEntries(marks), reader.types ?? {});
  }

  #richAt(path: string, json: Json): RichMark | null {
    const mark = this.#types[path];
    if (mark === 'text')
      return { kind: 'text', runs: json === '' ? [] : [[String(json), {}]], attributes: {} };
    return typeof mark === 'object' && mark.kind !== 'hook' ? mark : null;
  }
}
