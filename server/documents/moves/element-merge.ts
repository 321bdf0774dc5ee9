/** Brings together what several people made of one element of an array, and writes it. */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { mergeWrite, type Path } from '../../../shared/merge/merge.js';
import { assignValue, sharedValue } from '../../../shared/records.js';
import { isMarkup, isSharedText } from '../../../shared/rich-text.js';
import { indexOf } from '../union/array-elements.js';
import { contentOf, copyOf, type Element, elementsOf, typeOf } from '../union/lost-types.js';
import { asItIs, itemAt, jsonAs, type View } from './element-views.js';

/** What one author made of an element. */
export interface Version {
  readonly json: Json;
  /** The element, or the lost one, whose items brought it. */
  readonly value: unknown;
  /** How `json` was read, where that is not what stands there now. */
  readonly view?: View;
}

export interface TwoVersions {
  /** What `incoming` may have been made from. */
  readonly seen: readonly Json[];
  readonly incoming: Version;
  readonly current: Version;
}

/** Which of two fields stays where both were changed; `null`: inside of a list, or not there. */
type IncomingStays = (incoming: Y.Item | null, current: Y.Item | null) => boolean;

/** Three ways, as for a JSON device's write: what one side left as it was gives way to the other's (L6). */
export function mergeVersions(
  { seen, incoming, current }: TwoVersions,
  incomingStays: IncomingStays,
): JsonObject {
  const stays = (path: Path) => incomingStays(itemIn(incoming, path), itemIn(current, path));
  const isAny = (is: (value: unknown) => boolean, path: Path): boolean =>
    [incoming, current].some(({ value }) => is(typeAt(value, path)));
  const merged = mergeWrite({
    seen: seen.map(fieldsIn),
    incoming: fieldsIn(incoming.json),
    current: fieldsIn(current.json),
    deletion: null,
    madeAt: 0,
    changedAt: (path) => (stays(path) ? 0 : 1),
    knows: () => true,
    isText: (path) => isAny(isSharedText, path),
    isMarkup: (path) => isAny(isMarkup, path),
  });
  return merged ?? {};
}

function itemIn({ json, value, view }: Version, path: Path): Y.Item | null {
  let at: Json | undefined = json;
  for (const step of path) at = typeof step === 'string' && isObject(at) ? at[step] : undefined;
  return at === undefined ? null : itemAt(value, path, view);
}

/** The `id` is what all have in common. */
export function fieldsIn(json: Json): JsonObject {
  if (!isObject(json)) return {};
  const { id: _, ...fields } = json;
  return fields;
}

function typeAt(value: unknown, path: Path): unknown {
  const content = itemAt(value, path)?.content;
  return content instanceof Y.ContentType ? content.type : null;
}

/** Called with each field that was written again, and the item whose value that is. */
export type Carried = (copy: Y.Item, of: Y.Item) => void;

/** Where fields are copied from that are not there yet, with their types. */
export interface CopySources {
  readonly sources: readonly unknown[];
  readonly carried: Carried;
}

/** Makes the element `json`. */
export function writeElement(
  array: Y.Array<unknown>,
  { client, clock, value }: Element,
  json: JsonObject,
  from: CopySources,
): void {
  if (value instanceof Y.Map) {
    writeFields(value, { id: value.get('id') as Json, ...json }, from.sources, from.carried);
    return;
  }
  if (equalityDeep(fieldsIn(value as Json), json)) return;
  const index = indexOf(array, client, clock);
  const id = (value as JsonObject).id as Json;
  array.delete(index, 1);
  array.insert(index, [{ id, ...json }]);
}

function writeFields(
  map: Y.Map<unknown>,
  json: JsonObject,
  sources: readonly unknown[],
  carried: Carried,
): void {
  for (const key of [...map.keys()]) if (!Object.hasOwn(json, key)) map.delete(key);
  for (const [key, value] of Object.entries(json)) {
    const current = map.get(key);
    if (current !== undefined && equalityDeep(jsonAs(current, asItIs), value)) continue;
    const items = sources.flatMap((each) => (each instanceof Y.Map ? itemsAt(each, key) : []));
    if (current instanceof Y.Map && isObject(value)) {
      const within = items.map((item) => contentOf(item));
      writeFields(current, value, within, carried);
      continue;
    }
    const of = items.find((item) => equalityDeep(jsonAs(contentOf(item), asItIs), value));
    const before = map._map.get(key);
    writeField(map, key, value, of && contentOf(of));
    const copy = map._map.get(key);
    if (copy && of && copy !== before) carried(copy, of);
  }
}

/** What stands at a key of a map that may be lost; behind it, what was created apart there and lost to that. */
function itemsAt(map: Y.Map<unknown>, key: string): Y.Item[] {
  const last = map._map.get(key);
  const isLost = map._item?.deleted === true;
  if (last === undefined || (last.deleted && !isLost)) return [];
  const items = [last];
  for (let item = last.left; isLost && item !== null; item = item.left)
    if (typeOf(item) !== null) items.push(item);
  return items.filter((item) => contentOf(item) !== undefined);
}

function writeField(map: Y.Map<unknown>, key: string, json: Json, source: unknown): void {
  const current = map.get(key);
  if (isRich(current)) {
    if (source instanceof Y.XmlFragment && current instanceof Y.XmlFragment) replaceChildren(current, source);
  } else if (current === undefined || !assignValue(current, json)) {
    map.set(key, source === undefined ? sharedValue(json) : copyOf(source));
  }
}

/** An open editor must not be left on a type that was deleted. */
const isRich = (value: unknown): boolean => value instanceof Y.XmlFragment || value instanceof Y.XmlText;

function replaceChildren(target: Y.XmlFragment, source: Y.XmlFragment): void {
  target.delete(0, target.length);
  target.insert(0, elementsOf(source).map(({ value }) => copyOf(value)) as (Y.XmlElement | Y.XmlText)[]);
}
