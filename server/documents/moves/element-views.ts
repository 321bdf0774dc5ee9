/** JSON of an element of an array, live or lost, as one author saw it at one time. */
import * as Y from 'yjs';
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { contentOf, idOf, isMovedAway, jsonOf, type SharedType } from '../union/lost-types.js';

/** Says of each item, or the element or character at `offset` in it, what one author knew of it. */
export interface View {
  knows(item: Y.Item, offset: number): boolean;
  /** Known, and no longer there. */
  removed(item: Y.Item, offset: number): boolean;
}

export const removesNothing: View['removed'] = () => false;

/** What stands there now; of an element that is lost, what stood there when it went. */
export const asItIs: View = {
  knows: () => true,
  removed: (item, offset) =>
    item.deleted &&
    ((item.parent as SharedType)._item?.deleted !== true || isMovedAway(item.content.getContent()[offset])),
};

/** Without what was written over the fields since it was inserted. */
export const asInserted: View = {
  knows: (item, offset) => item.parentSub === null || (item.origin === null && offset === 0),
  removed: (item) => item.parentSub === null && item.deleted,
};

/**
 * What was overwritten or removed since can't be read any more: where `copy` is given, what stands at that place of
 * it counts instead. `undefined` where there is nothing to be seen.
 */
export function jsonAs(value: unknown, view: View, copy?: Json): Json | undefined {
  if (value instanceof Y.Map) return objectAs(value, view, copy);
  if (value instanceof Y.Array) return listAs(value, view, copy);
  if (value instanceof Y.XmlText || value instanceof Y.XmlFragment) return richAs(value, view);
  if (value instanceof Y.Text) return textAs(value, view, copy);
  return jsonOf(value);
}

/** A rich text, with its marks: only to be compared with others that were read here. */
function richAs(value: Y.XmlText | Y.XmlFragment, view: View): string {
  const parts: Json[] =
    value instanceof Y.XmlElement ? [value.nodeName, objectAs(value, view, undefined)] : [];
  for (let item = value._start; item !== null; item = item.right) {
    const { content } = item;
    const units =
      content instanceof Y.ContentFormat
        ? [`${content.key} ${JSON.stringify(content.value)}`]
        : content.getContent();
    for (const [offset, unit] of units.entries()) {
      if (!view.knows(item, offset) || view.removed(item, offset)) continue;
      parts.push(jsonAs(unit, view) ?? null);
    }
  }
  return `\ufffc${JSON.stringify(parts)}`;
}

function objectAs(map: Y.Map<unknown> | Y.XmlElement, view: View, copy: Json | undefined): JsonObject {
  const object: JsonObject = {};
  for (const [key, last] of map._map) {
    const known = latestKnown(last, view);
    if (known === null || view.removed(known.item, known.offset)) continue;
    const before = isObject(copy) && Object.hasOwn(copy, key) ? copy[key] : undefined;
    const content = contentOf(known.item, known.offset);
    const json = content === undefined ? before : jsonAs(content, view, before);
    if (json !== undefined) object[key] = json;
  }
  return object;
}

/** Values that lost their place may stand in one item, the earlier ones first: each may be the latest known. */
export function latestKnown(last: Y.Item, view: View): { item: Y.Item; offset: number } | null {
  for (let item: Y.Item | null = last; item !== null; item = item.left) {
    for (let offset = item.length - 1; offset >= 0; offset--) {
      if (view.knows(item, offset)) return { item, offset };
    }
  }
  return null;
}

function listAs(array: Y.Array<unknown>, view: View, copy: Json | undefined): Json[] {
  const copies = Array.isArray(copy) ? copy : [];
  const byId = new Map(copies.map((element) => [elementId(element), element]));
  const units = unitsOf(array, view, (value) => {
    const id = value instanceof Y.Map ? idOf(value) : null;
    return jsonAs(value, view, id === null ? undefined : byId.get(id));
  });
  return filled(units, copies);
}

function textAs(text: Y.Text, view: View, copy: Json | undefined): string {
  const copies = typeof copy === 'string' ? copy.split('') : [];
  const units = unitsOf(text, view, (value) => (typeof value === 'string' ? value : ''));
  return filled(units, copies).join('');
}

/** What the view has of a sequence; `undefined` stands for what can't be read any more. */
function unitsOf(
  type: Y.Array<unknown> | Y.Text,
  view: View,
  read: (value: unknown) => Json | undefined,
): (Json | undefined)[] {
  const units: (Json | undefined)[] = [];
  for (let item = type._start; item !== null; item = item.right) {
    if (item.content instanceof Y.ContentFormat) continue;
    const values =
      item.content instanceof Y.ContentDeleted ? new Array(item.length) : item.content.getContent();
    for (let offset = 0; offset < values.length; offset++) {
      if (!view.knows(item, offset) || view.removed(item, offset)) continue;
      units.push(values[offset] === undefined ? undefined : read(values[offset]));
    }
  }
  return units;
}

/** Places are only comparable where both have as many. */
function filled<T extends Json>(units: readonly (T | undefined)[], copies: readonly T[]): T[] {
  const isAlike = units.length === copies.length;
  return units.flatMap((unit, index) => {
    if (unit !== undefined) return [unit];
    return isAlike ? [copies[index] as T] : [];
  });
}

/** The item that holds what stands at `path`, in a map that may be lost; `null` where there is none. */
export function itemAt(
  map: unknown,
  path: readonly (string | { readonly id: string })[],
  view: View | null = null,
): Y.Item | null {
  let value = map;
  let found: Y.Item | null = null;
  for (const step of path) {
    if (typeof step !== 'string' || !(value instanceof Y.Map)) return null;
    const last = value._map.get(step) ?? null;
    found = last !== null && view !== null ? (latestKnown(last, view)?.item ?? null) : last;
    value = found === null ? undefined : contentOf(found);
  }
  return found;
}
