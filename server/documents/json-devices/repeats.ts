/**
 * What a queue sends again, or what comes later than what its device wrote since (L5): that has been taken already, or
 * the later writes stand for it. What of it is in a version that those made is left as it is by now.
 */
import { equalityDeep } from 'lib0/function';
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';

type Value = Json | undefined;

export interface Repeated {
  /** What its own changes have made. */
  readonly versions: readonly (JsonObject | null)[];
  /** Whether a shared text is there by now. */
  readonly isText: (path: Path) => boolean;
}

/** What came in, with what stands there now in the place of what is in one of these versions. */
export function withoutRepeated(
  incoming: JsonObject,
  current: JsonObject,
  { versions, isText }: Repeated,
): JsonObject {
  const made = versions.filter((version) => version !== null);
  return made.length === 0 ? incoming : inFields(incoming, current, { made, path: [], isText });
}

/** What was made of one place, and where that is. */
interface Place<Made> {
  readonly made: readonly Made[];
  readonly path: Path;
  readonly isText: (path: Path) => boolean;
}

function inFields(i: JsonObject, c: JsonObject, { made, path, isText }: Place<JsonObject>): JsonObject {
  const names = new Set([...Object.keys(i), ...Object.keys(c)]);
  const fields = [...names].map((name) => {
    const versions = made.map((version) => fieldOf(version, name));
    const place = { made: versions, path: [...path, name], isText };
    return [name, newOf(fieldOf(i, name), fieldOf(c, name), place)] as const;
  });
  return Object.fromEntries(fields.filter((field): field is [string, Json] => field[1] !== undefined));
}

function newOf(i: Value, c: Value, { made, path, isText }: Place<Value>): Value {
  if (made.some((version) => equalityDeep(version, i))) return c;
  if (isObject(i) && isObject(c)) return inFields(i, c, { made: made.filter(isObject), path, isText });
  if (typeof i === 'string' && isText(path)) return made.some((version) => holdsAll(version, i)) ? c : i;
  if (!Array.isArray(i) || !Array.isArray(c)) return i;
  const lists = made.filter((version) => Array.isArray(version));
  return lists.length === 0 ? i : inElements(i, c, { made: lists, path, isText });
}

/** Whether all of a text is in this one, in its order: it was united with what others had typed. */
function holdsAll(version: Value, text: string): boolean {
  if (typeof version !== 'string') return false;
  let at = 0;
  for (let n = 0; n < version.length && at < text.length; n++) if (version[n] === text[at]) at++;
  return at === text.length;
}

/** Of elements with an id, each one for itself. Of other values, those go that were there and were removed since. */
function inElements(
  i: readonly Json[],
  c: readonly Json[],
  { made, path, isText }: Place<readonly Json[]>,
): Json[] {
  const versionsOf = (id: string) => made.map((list) => elementIn(list, id));
  const wasRemoved = (value: Json) => made.some((list) => isAmong(list, value)) && !isAmong(c, value);
  let elements = i.flatMap((element) => {
    const id = elementId(element);
    if (id === null) return wasRemoved(element) ? [] : [element];
    const place = { made: versionsOf(id), path: [...path, { id }], isText };
    const value = newOf(element, elementIn(c, id), place);
    return value === undefined ? [] : [value];
  });
  const order = c.map(elementId);
  for (const element of c) {
    const id = elementId(element);
    const isRemoved = id !== null && elementIn(i, id) === undefined;
    if (isRemoved && versionsOf(id).includes(undefined)) elements = inserted(elements, element, order);
  }
  return elements;
}

/** Behind the nearest one of those that stand before it in this order. */
function inserted(list: readonly Json[], element: Json, order: readonly (string | null)[]): Json[] {
  const places = new Map(list.map((each, index) => [elementId(each), index]));
  let before = order.indexOf(elementId(element)) - 1;
  while (before >= 0 && !places.has(order[before] ?? null)) before--;
  const place = before < 0 ? 0 : (places.get(order[before] ?? null) ?? 0) + 1;
  return [...list.slice(0, place), element, ...list.slice(place)];
}

const isAmong = (list: readonly Json[], value: Json): boolean =>
  list.some((each) => equalityDeep(each, value));

const elementIn = (list: readonly Json[], id: string): Value => list.find((each) => elementId(each) === id);

const fieldOf = (value: JsonObject, name: string): Value =>
  Object.hasOwn(value, name) ? value[name] : undefined;
