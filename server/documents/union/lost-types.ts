/**
 * Reads shared types that lost their place in the document. Everything in them is marked deleted, but their
 * content is still there (the garbage collection filter keeps it), except what was removed before they lost.
 */
import * as Y from 'yjs';
import { elementId } from '../../../shared/elements.js';
import type { Json } from '../../../shared/json.js';
import { readValue } from '../../../shared/records.js';

/** Any Y.Map, Y.Array, Y.Text …, of whichever event type. */
export type SharedType = Y.ContentType['type'];

/**
 * The content of an item, or `undefined` if it was collected: then it had been removed or overwritten. Of several
 * values in one item the one at `offset`; the last one counts.
 */
export function contentOf(item: Y.Item, offset = item.length - 1): unknown {
  if (item.content instanceof Y.ContentDeleted) return undefined;
  return wellFormed(item.content.getContent()[offset]);
}

/** Yjs joins values that lost their place one after the other into one item, of which the last part counts. */
export const lastIdOf = ({ id, length }: Y.Item): Y.ID => Y.createID(id.client, id.clock + length - 1);

/** The shared type that an item brought into the document, or `null`. */
export function typeOf(item: Y.Item): SharedType | null {
  return item.content instanceof Y.ContentType ? (item.content.type as SharedType) : null;
}

/** Whether neither it nor anything that it stands in was deleted. */
export function isLive(type: SharedType): boolean {
  for (let item = type._item; item !== null; item = (item.parent as SharedType)._item) {
    if (item.deleted) return false;
  }
  return true;
}

/** One element of an array, live or lost, with the Yjs id that it came with. */
export interface Element {
  readonly client: number;
  readonly clock: number;
  readonly value: unknown;
}

/** Elements that were kept although they had been moved or removed before their array lost, by their values. */
const movedAway = new WeakSet<object>();

/** What is kept of an element that was moved is no element of its array any more, even if that loses. */
export function markMovedAway(value: unknown): void {
  if (typeof value === 'object' && value !== null) movedAway.add(value);
}

export const isMovedAway = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && movedAway.has(value);

/** The elements of an array: the live ones of a live array, those that it had when it lost of a lost one. */
export function elementsOf(type: SharedType): Element[] {
  const lost = type._item?.deleted === true;
  const elements: Element[] = [];
  for (let item = type._start; item !== null; item = item.right) {
    if (!item.countable || (item.deleted && !lost) || item.content instanceof Y.ContentDeleted) continue;
    const { client, clock } = item.id;
    item.content.getContent().forEach((value, index) => {
      if (item.deleted && isMovedAway(value)) return;
      elements.push({ client, clock: clock + index, value: wellFormed(value) });
    });
  }
  return elements;
}

/** Half a character, as the units of a text in an array or at a key are, can't be written again as it is. */
const wellFormed = (value: unknown): unknown =>
  typeof value === 'string' && /^[\ud800-\udfff]$/.test(value) ? '\ufffd' : value;

/** The fields of a map, live or lost, by key. */
export function fieldsOf(type: SharedType): Map<string, unknown> {
  const lost = type._item?.deleted === true;
  const fields = new Map<string, unknown>();
  for (const [key, item] of type._map) {
    const value = item.deleted && !lost ? undefined : contentOf(item);
    if (value !== undefined) fields.set(key, value);
  }
  return fields;
}

/** The id of an element of an array, live or lost, or `null`. */
export function idOf(value: unknown): string | null {
  if (!(value instanceof Y.Map)) return elementId(value);
  const item = value._map.get('id');
  const isThere = item !== undefined && (!item.deleted || value._item?.deleted === true);
  return isThere ? elementId({ id: contentOf(item) }) : null;
}

/** Like `readValue`, for a value that may be lost. */
export function jsonOf(value: unknown): Json {
  if (value instanceof Y.Map) {
    return Object.fromEntries([...fieldsOf(value)].map(([key, field]) => [key, jsonOf(field)]));
  }
  if (value instanceof Y.Array) return elementsOf(value).map(({ value }) => jsonOf(value));
  if (value instanceof Y.Text) return textOf(value);
  return readValue(value instanceof Y.AbstractType ? copyOf(value) : value);
}

/** The characters of a text, live or lost, that `only` lets through. */
export function textOf(text: Y.Text, only?: (client: number, clock: number) => boolean): string {
  const lost = text._item?.deleted === true;
  let characters = '';
  for (let item = text._start; item !== null; item = item.right) {
    if (!(item.content instanceof Y.ContentString) || (item.deleted && !lost)) continue;
    const { client, clock } = item.id;
    const units = item.content.str.split('');
    characters +=
      only === undefined ? item.content.str : units.filter((_, i) => only(client, clock + i)).join('');
  }
  return characters;
}

/** A fresh value with the same content, to be set elsewhere in the document. */
export function copyOf(value: unknown): unknown {
  if (value instanceof Y.XmlElement) {
    const element = new Y.XmlElement(value.nodeName);
    for (const [key, attribute] of fieldsOf(value)) element.setAttribute(key, copyOf(attribute) as string);
    return withChildren(element, value);
  }
  if (value instanceof Y.XmlFragment) return withChildren(new Y.XmlFragment(), value);
  if (value instanceof Y.Text) {
    const text = value instanceof Y.XmlText ? new Y.XmlText() : new Y.Text();
    text.applyDelta(deltaOf(value));
    return text;
  }
  if (value instanceof Y.Map) {
    return new Y.Map([...fieldsOf(value)].map(([key, field]) => [key, copyOf(field)]));
  }
  if (value instanceof Y.Array) {
    const array = new Y.Array<unknown>();
    array.push(withoutDoubles(elementsOf(value)).map(({ value }) => elementCopy(value)));
    return array;
  }
  return value;
}

/** Of elements with the same id only the first: an array that lost still has those that were united with it. */
function withoutDoubles(elements: readonly Element[]): Element[] {
  const ids = new Set<string>();
  return elements.filter(({ value }) => {
    const id = idOf(value);
    const isFirst = id === null || !ids.has(id);
    if (id !== null) ids.add(id);
    return isFirst;
  });
}

/** Yjs takes a bigint as a field, but not as an element. */
export function elementCopy(value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : copyOf(value);
}

function withChildren<T extends Y.XmlFragment>(target: T, source: SharedType): T {
  const children = elementsOf(source).map(({ value }) => copyOf(value));
  target.insert(0, children as (Y.XmlElement | Y.XmlText)[]);
  return target;
}

interface DeltaInsert {
  insert: string | object;
  attributes?: Record<string, unknown>;
}

function deltaOf(text: Y.Text): DeltaInsert[] {
  const lost = text._item?.deleted === true;
  const delta: DeltaInsert[] = [];
  const attributes: Record<string, unknown> = {};
  for (let item = text._start; item !== null; item = item.right) {
    if (item.deleted && !lost) continue;
    if (item.content instanceof Y.ContentFormat) {
      attributes[item.content.key] = item.content.value;
    } else if (item.content instanceof Y.ContentString || item.content instanceof Y.ContentEmbed) {
      const insert = item.content instanceof Y.ContentString ? item.content.str : item.content.embed;
      delta.push({ insert, ...(Object.keys(attributes).length > 0 && { attributes: { ...attributes } }) });
    }
  }
  return delta;
}
