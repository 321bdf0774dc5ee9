/**
 * What a queue sends again, or what comes later than what its device wrote since (L5): that has been taken already, or
 * the later writes stand for it. What of it is in a version that those made is left as it is by now.
 */
import { equalityDeep } from 'lib0/function';
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { inserted } from '../history/past-record.js';

type Value = Json | undefined;

/** What came in, with what stands there now in the place of what is in one of these versions. */
export function withoutRepeated(
  incoming: JsonObject,
  current: JsonObject,
  versions: readonly (JsonObject | null)[],
): JsonObject {
  const made = versions.filter((version) => version !== null);
  return made.length === 0 ? incoming : inFields(incoming, current, made);
}

function inFields(i: JsonObject, c: JsonObject, made: readonly JsonObject[]): JsonObject {
  const names = new Set([...Object.keys(i), ...Object.keys(c)]);
  const fields = [...names].map((name) => {
    const versions = made.map((version) => fieldOf(version, name));
    return [name, newOf(fieldOf(i, name), fieldOf(c, name), versions)] as const;
  });
  return Object.fromEntries(fields.filter((field): field is [string, Json] => field[1] !== undefined));
}

function newOf(i: Value, c: Value, made: readonly Value[]): Value {
  if (made.some((version) => equalityDeep(version, i))) return c;
  if (isObject(i) && isObject(c)) return inFields(i, c, made.filter(isObject));
  if (!Array.isArray(i) || !Array.isArray(c)) return i;
  const lists = made.filter((version) => Array.isArray(version));
  return lists.length === 0 ? i : inElements(i, c, lists);
}

/** Of elements with an id, each one for itself; other values stay where they came in. */
function inElements(i: readonly Json[], c: readonly Json[], made: readonly (readonly Json[])[]): Json[] {
  const versionsOf = (id: string) => made.map((list) => elementIn(list, id));
  let elements = i.flatMap((element) => {
    const id = elementId(element);
    const value = id === null ? element : newOf(element, elementIn(c, id), versionsOf(id));
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

const elementIn = (list: readonly Json[], id: string): Value => list.find((each) => elementId(each) === id);

const fieldOf = (value: JsonObject, name: string): Value =>
  Object.hasOwn(value, name) ? value[name] : undefined;
