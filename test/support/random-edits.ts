import fc from 'fast-check';
import * as Y from 'yjs';
import type { Json, JsonObject, JsonRecord } from '../../shared/json.js';
import { sharedValue } from '../../shared/records.js';

/** Random edits of a user's records, as native devices and JSON devices make them. */
const EDITS = [
  'create',
  'replace',
  'set',
  'set',
  'unset',
  'nest',
  'nestedSet',
  'nestedSet',
  'nestedUnset',
  'list',
  'element',
  'element',
  'elementSet',
  'elementCut',
  'elementMove',
  'tag',
  'tag',
  'tagCut',
  'write',
  'plain',
  'deleteRecord',
] as const;

export const editArbitrary = fc.record({
  kind: fc.constantFrom(...EDITS),
  collection: fc.constantFrom('appointments', 'appointments', 'notes'),
  id: fc.constantFrom('x', 'x', 'y', '7'),
  key: fc.nat(2),
  at: fc.nat(5),
});
export type Edit = typeof editArbitrary extends fc.Arbitrary<infer T> ? T : never;

/** The shared type at a key, made where there is none of that kind. */
function inside<T>(map: Y.Map<unknown>, key: string, kind: new () => T): T {
  const value = map.get(key);
  return value instanceof kind ? value : (map.set(key, new kind()) as T);
}
const mapIn = (map: Y.Map<unknown>, key: string) => inside<Y.Map<unknown>>(map, key, Y.Map);
const arrayIn = (map: Y.Map<unknown>, key: string) => inside<Y.Array<unknown>>(map, key, Y.Array);
const textIn = (map: Y.Map<unknown>, key: string) => inside(map, key, Y.Text);

const elementIn = (array: Y.Array<unknown>, id: string): Y.Map<unknown> | undefined =>
  array.toArray().find((value): value is Y.Map<unknown> => value instanceof Y.Map && value.get('id') === id);

/** One edit of a native device, in one transaction; `value` is one that nobody else writes. */
export function editNative(doc: Y.Doc, edit: Edit, value: string): void {
  doc.transact(() => {
    const records = doc.getMap<unknown>(edit.collection);
    if (edit.kind === 'deleteRecord') records.delete(edit.id);
    else if (edit.kind === 'replace')
      records.set(edit.id, sharedValue({ fresh: value, dose: { am: value } }));
    else change(mapIn(records, edit.id), edit, value);
  });
}

function change(record: Y.Map<unknown>, { kind, key, at }: Edit, value: string): void {
  const field = `field${key}`;
  const id = `m${key}`;
  switch (kind) {
    case 'create':
    case 'set':
      record.set(field, value);
      return;
    case 'unset':
      record.delete(at > 3 ? 'dose' : field);
      return;
    case 'nest':
      record.set('dose', sharedValue({ [field]: value, deep: { [field]: value } }));
      return;
    case 'nestedSet':
      (at > 3 ? mapIn(mapIn(record, 'dose'), 'deep') : mapIn(record, 'dose')).set(field, value);
      return;
    case 'nestedUnset':
      mapIn(record, 'dose').delete(field);
      return;
    case 'list':
      record.set(
        'items',
        sharedValue([
          { id, mg: value },
          { id: 'm9', mg: value },
        ]),
      );
      return;
    case 'write':
      textIn(record, 'text').insert(Math.min(at, textIn(record, 'text').length), value);
      return;
    case 'plain':
      record.set('plain', { [field]: value });
      return;
    default:
      changeArray(record, { kind, key, at }, value);
  }
}

function changeArray(
  record: Y.Map<unknown>,
  { kind, key, at }: Pick<Edit, 'kind' | 'key' | 'at'>,
  value: string,
): void {
  const items = arrayIn(record, 'items');
  const tags = arrayIn(record, 'tags');
  const element = elementIn(items, `m${key}`);
  if (kind === 'element' && element === undefined) {
    items.insert(Math.min(at, items.length), [sharedValue({ id: `m${key}`, mg: value })]);
  } else if (kind === 'element' || kind === 'elementSet') element?.set(`field${at % 3}`, value);
  else if (kind === 'elementCut' && items.length > 0) items.delete(at % items.length, 1);
  else if (kind === 'elementMove') moveElement(items, at, key);
  else if (kind === 'tag') tags.insert(Math.min(at, tags.length), [value]);
  else if (kind === 'tagCut' && tags.length > 0) tags.delete(at % tags.length, 1);
}

/** As Yjs has no other way: the element goes, and a copy comes. */
export function moveElement(items: Y.Array<unknown>, from: number, to: number): void {
  const element = items.length === 0 ? null : items.get(from % items.length);
  if (!(element instanceof Y.Map)) return;
  const copy = element.clone();
  items.delete(from % items.length, 1);
  items.insert(Math.min(to, items.length), [copy]);
}

/** Moves an element of the list that all devices share, where the record has one. */
export function moveOwn(doc: Y.Doc, { id, at, key }: OwnEdit): void {
  const items = (doc.getMap('appointments').get(id) as Y.Map<unknown> | undefined)?.get('items');
  if (items instanceof Y.Array) doc.transact(() => moveElement(items, at, key));
}

/** The same edit as a JSON device makes it: the record as it has it, changed; `null` deletes it. */
export function editJson(record: JsonRecord | undefined, edit: Edit, value: string): JsonRecord | null {
  if (edit.kind === 'deleteRecord') return null;
  const { kind, key, at } = edit;
  const changed: JsonRecord = structuredClone(record ?? { id: edit.id === '7' ? 7 : edit.id });
  const field = `field${key}`;
  const dose = (): JsonObject => objectIn(changed, 'dose');
  const items = listIn(changed, 'items') as JsonObject[];
  if (kind === 'unset') delete changed[field];
  else if (kind === 'nest' || kind === 'nestedSet') dose()[field] = value;
  else if (kind === 'nestedUnset') delete dose()[field];
  else if (kind === 'list' || kind === 'element') {
    const existing = items.find(({ id }) => id === `m${key}`);
    if (existing === undefined) items.splice(at, 0, { id: `m${key}`, mg: value });
    else existing[`field${at % 3}`] = value;
    changed.items = items;
  } else if (kind === 'elementCut') changed.items = items.toSpliced(at, 1);
  else if (kind === 'elementMove')
    changed.items = items.toSpliced(at, 1).toSpliced(key, 0, ...items.slice(at, at + 1));
  else if (kind === 'tag') changed.tags = listIn(changed, 'tags').toSpliced(at, 0, value);
  else if (kind === 'tagCut') changed.tags = listIn(changed, 'tags').toSpliced(at, 1);
  else if (kind === 'write') changed.text = `${typeof changed.text === 'string' ? changed.text : ''}${value}`;
  else changed[field] = value;
  return changed;
}

function objectIn(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  const fresh: JsonObject = {};
  object[key] = fresh;
  return fresh;
}

const listIn = (object: JsonObject, key: string): Json[] => {
  const value = object[key];
  return Array.isArray(value) ? value : [];
};

/** Where a value has to be found: keys of maps; `#id` for the element of that id; the value itself in a list. */
export type Path = readonly string[];

const OWN = ['field', 'field', 'nested', 'deep', 'element', 'ownElement', 'tag'] as const;

/** Edits that take nothing away: each device writes keys of its own into places that all of them share. */
export const ownEditArbitrary = fc.record({
  kind: fc.constantFrom(...OWN),
  id: fc.constantFrom('x', 'x', 'y'),
  key: fc.nat(1),
  at: fc.nat(3),
});
export type OwnEdit = typeof ownEditArbitrary extends fc.Arbitrary<infer T> ? T : never;

/** Makes the edit and returns where `value` has to be found from now on, until its author writes there again. */
export function editOwn(doc: Y.Doc, author: string, edit: OwnEdit, value: string): Path {
  return doc.transact(() => {
    const record = mapIn(doc.getMap<unknown>('appointments'), edit.id);
    return [edit.id, ...ownPath(record, author, edit, value)];
  });
}

function ownPath(record: Y.Map<unknown>, author: string, { kind, key, at }: OwnEdit, value: string): Path {
  const own = `${author}.${key}`;
  switch (kind) {
    case 'field':
      record.set(own, value);
      return [own];
    case 'nested':
      mapIn(record, 'dose').set(own, value);
      return ['dose', own];
    case 'deep':
      mapIn(mapIn(record, 'dose'), 'deep').set(own, value);
      return ['dose', 'deep', own];
    case 'tag': {
      const tags = arrayIn(record, 'tags');
      tags.insert(Math.min(at, tags.length), [value]);
      return ['tags', value];
    }
    default:
      return ownElementPath(record, kind === 'element' ? `m${key}` : own, { own, value, at });
  }
}

/** The same in an object of the element, where it has one. */
export function editWithin(doc: Y.Doc, author: string, edit: OwnEdit, value: string): Path {
  const items = doc.getMap<Y.Map<unknown>>('appointments').get(edit.id)?.get('items');
  const own = `${author}.${edit.key}`;
  const id = edit.kind === 'element' ? `m${edit.key}` : own;
  const dose = items instanceof Y.Array ? elementIn(items, id)?.get('dose') : undefined;
  if (!(dose instanceof Y.Map)) return editOwn(doc, author, edit, value);
  dose.set(own, value);
  return [edit.id, 'items', `#${id}`, 'dose', own];
}

function ownElementPath(
  record: Y.Map<unknown>,
  id: string,
  { own, value, at }: { own: string; value: string; at: number },
): Path {
  const items = arrayIn(record, 'items');
  const element = elementIn(items, id);
  if (element === undefined) items.insert(Math.min(at, items.length), [sharedValue({ id, [own]: value })]);
  else element.set(own, value);
  return ['items', `#${id}`, own];
}

/** Whether the value stands where it has to. */
export function holds(json: Json | undefined, path: Path, value: string): boolean {
  const [key, ...rest] = path;
  if (key === undefined) return json === value;
  if (Array.isArray(json)) {
    if (!key.startsWith('#')) return json.includes(key);
    return holds(
      json.find((element) => `#${(element as JsonObject).id}` === key),
      rest,
      value,
    );
  }
  return typeof json === 'object' && json !== null && holds(json[key], rest, value);
}

/** Ids that occur more than once in one list of objects, wherever it stands. */
export function duplicateIds(json: Json): string[] {
  if (typeof json !== 'object' || json === null) return [];
  const within = Object.values(json).flatMap((value) => duplicateIds(value));
  if (!Array.isArray(json)) return within;
  const ids = json.flatMap((element) =>
    typeof element === 'object' && element !== null && !Array.isArray(element) && element.id !== undefined
      ? [String(element.id)]
      : [],
  );
  return [...within, ...ids.filter((id, index) => ids.indexOf(id) !== index)];
}
