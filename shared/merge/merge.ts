/**
 * What a JSON device's write of a whole document makes of a record that others may have changed since the device
 * last saw it (L6–L9). Pure: what was seen, when things changed and what the device knows comes in.
 */
import { equalityDeep } from 'lib0/function';
import { elementId } from '../elements.js';
import { isObject, type Json, type JsonObject } from '../json.js';
import { type ArraysToMerge, mergeArrays } from './arrays.js';
import { mergeMarkup, mergeText } from './text.js';

/** A step of a path: the name of a field, or an element of an array by its `id` (as text). */
export type PathStep = string | { readonly id: string };
export type Path = readonly PathStep[];

/** Stands in a version seen for a value that is not known any more, and is neither what came in nor what is there. */
export const FORGOTTEN = Symbol('forgotten') as unknown as Json;

export interface WriteToMerge {
  /** The versions of the record that the device may have been looking at, `null` where there was none; empty: not known (L8). Without the field `id`. */
  readonly seen: readonly (JsonObject | null)[];
  /** What the device sent, without `id`. */
  readonly incoming: JsonObject;
  /** The record as it is, without `id`; `null` where there is none. */
  readonly current: JsonObject | null;
  /** The last deletion of the record, `null` if it was never deleted. `unseen`: the device is known not to have seen it. */
  readonly deletion: { readonly at: number; readonly unseen: boolean } | null;
  /** When the write was made in ms since 1970 (corrected by the device's clock, at most now); `null` when it carries no time. */
  readonly madeAt: number | null;
  /** When the value at this path of the current record was last changed (removed, if it is not there), in ms; -Infinity: never. Only asked in a conflict. */
  readonly changedAt: (path: Path) => number;
  /** Whether this device has ever sent a field at this path, in some record of the collection. */
  readonly knows: (path: Path) => boolean;
  /** Whether the string at this path of the current record is a shared text. */
  readonly isText: (path: Path) => boolean;
  /** Whether it has tags that are no words of it (Y.XmlFragment, Y.XmlText). */
  readonly isMarkup: (path: Path) => boolean;
}

/**
 * The record as it should be after the write: the very object `current` when the write changes nothing, `null`
 * when there is to be no record (a dropped write). Changes nothing that it is given.
 *
 * @example
 * // Somebody else moved the appointment; this device only wrote the note.
 * mergeWrite({ ...write, seen: [{ at: 9 }], incoming: { at: 9, note: 'fasting' }, current: { at: 11 } })
 * // { at: 11, note: 'fasting' }
 */
export function mergeWrite(write: WriteToMerge): JsonObject | null {
  const { seen, incoming, current } = write;
  if (current === null) return mayCreate(write) ? incoming : null;
  if (seen.length === 0) return addFields(write, [], incoming, current);
  return mergeObjects(write, [], { incoming, current, seen: byLikeness(seen, incoming) });
}

/** The one that is most like what came in stands last. */
function byLikeness(seen: WriteToMerge['seen'], incoming: JsonObject): JsonObject[] {
  const likeness = (version: JsonObject): number =>
    Object.keys(version).filter((name) => equalityDeep(version[name], incoming[name])).length;
  return seen
    .map((version) => ({ version: version ?? {}, likeness: version === null ? 0 : likeness(version) }))
    .sort((x, y) => x.likeness - y.likeness)
    .map(({ version }) => version);
}

/**
 * Whether a DATA_DELETE may delete (L9): a live one always; a replay only where the record exists in a version
 * that the device may have been looking at and was not created anew since.
 *
 * @example mayDelete({ replay: true, seen: [{ note: 'a' }], createdAgain: true }) // false
 */
export function mayDelete(input: {
  readonly replay: boolean;
  readonly seen: readonly (JsonObject | null)[];
  readonly createdAgain: boolean;
}): boolean {
  return !input.replay || (!input.createdAgain && input.seen.some((version) => version !== null));
}

/** L7: what was deleted comes back only from a device that had seen the deletion, or from later than that. */
function mayCreate({ seen, deletion, madeAt }: WriteToMerge): boolean {
  if (deletion === null) return true;
  if (seen.length > 0) return seen.every((version) => version === null);
  return !deletion.unseen && madeAt !== null && madeAt > deletion.at;
}

/** A value, or its absence, which compares like one. */
type Value = Json | undefined;

const fieldOf = (value: Value, key: string): Value =>
  isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;

/** What stands at one path: in the write, in the record, and in each version that the device may have seen. */
interface Versions<T extends Value = Value, Seen extends Value = Value> {
  readonly incoming: T;
  readonly current: T;
  readonly seen: readonly Seen[];
}

/** L6 for one value. */
function mergeValue(write: WriteToMerge, path: Path, { incoming: i, current: c, seen }: Versions): Value {
  if (seen.some((version) => isUntouched(write, path, i, version))) return c;
  if (seen.includes(FORGOTTEN)) return addForgotten(write, path, { incoming: i, current: c, seen });
  if (isObject(i) && isObject(c)) return mergeObjects(write, path, { incoming: i, current: c, seen });
  if (Array.isArray(i) && Array.isArray(c))
    return mergeElements(write, path, { incoming: i, current: c, seen });
  const texts = seen.filter((version) => typeof version === 'string');
  // Nothing in the place of a shared text is that text without words.
  const words = i ?? '';
  if (typeof words === 'string' && typeof c === 'string' && texts.length > 0 && write.isText(path)) {
    return words === c ? c : mergeWords(write, path, { incoming: words, current: c, seen: texts });
  }
  if (seen.some((version) => equalityDeep(version, c))) return i;
  if (equalityDeep(i, c)) return c;
  return (write.madeAt ?? Number.POSITIVE_INFINITY) >= write.changedAt(path) ? i : c;
}

const mergeWords = (
  write: WriteToMerge,
  path: Path,
  { incoming, current, seen }: Versions<string, string>,
): string => (write.isMarkup(path) ? mergeMarkup : mergeText)(seen, incoming, current);

function mergeObjects(
  write: WriteToMerge,
  path: Path,
  { incoming: i, current: c, seen }: Versions<JsonObject>,
) {
  return withFields(i, c, (key) => {
    const mine = fieldOf(i, key);
    const theirs = fieldOf(c, key);
    // Nearly every field of a whole record; whatever was seen, nothing else could become of it.
    if (equalityDeep(mine, theirs)) return theirs;
    const at = [...path, key];
    if (mine === undefined && !write.knows(at)) return theirs;
    const before = seen.map((version) => fieldOf(version, key));
    return mergeValue(write, at, { incoming: mine, current: theirs, seen: before });
  });
}

function mergeElements(write: WriteToMerge, path: Path, arrays: ArraysToMerge): Json[] {
  if (equalityDeep(arrays.incoming, arrays.current)) return arrays.current;
  return mergeArrays(arrays, (id, incoming, current, seen) =>
    mergeValue(write, [...path, { id }], { incoming, current, seen }),
  );
}

/** The fields that either side has, with the values that `mergeField` gives; the very object `c` if none differs. */
function withFields(i: JsonObject, c: JsonObject, mergeField: (key: string) => Value): JsonObject {
  const fields: [string, Json][] = [];
  let isChanged = false;
  for (const key of new Set([...Object.keys(c), ...Object.keys(i)])) {
    const value = mergeField(key);
    if (value !== undefined) fields.push([key, value]);
    isChanged ||= value !== fieldOf(c, key);
  }
  return isChanged ? Object.fromEntries(fields) : c;
}

/** Whether the device sent what it had seen there, but for the fields that it does not know. */
function isUntouched(write: WriteToMerge, path: Path, i: Value, seen: Value): boolean {
  if (isObject(i) && isObject(seen)) {
    return [...new Set([...Object.keys(i), ...Object.keys(seen)])].every((key) => {
      const [at, mine] = [[...path, key], fieldOf(i, key)];
      return mine === undefined ? !write.knows(at) : isUntouched(write, at, mine, fieldOf(seen, key));
    });
  }
  if (!Array.isArray(i) || !Array.isArray(seen)) return i === seen;
  return i.length === seen.length && i.every((mine, k) => isUntouchedElement(write, path, mine, seen[k]));
}

function isUntouchedElement(write: WriteToMerge, path: Path, i: Json, seen: Value): boolean {
  const id = elementId(i);
  if (id !== elementId(seen)) return false;
  return id === null ? equalityDeep(i, seen) : isUntouched(write, [...path, { id }], i, seen);
}

/** Where a version was something that is not known any more (L8); taken, where another one is what is there (L6). */
const addForgotten = (write: WriteToMerge, path: Path, { incoming: i, current: c, seen }: Versions): Value =>
  seen.some((version) => equalityDeep(version, c)) ? i : addValue(write, path, i, c);

/** L8 for the fields of an object: what the device had seen is not known, so nothing is removed. */
function addFields(write: WriteToMerge, path: Path, i: JsonObject, c: JsonObject): JsonObject {
  return withFields(i, c, (key) => addValue(write, [...path, key], fieldOf(i, key), fieldOf(c, key)));
}

function addValue(write: WriteToMerge, path: Path, i: Value, c: Value): Value {
  if (i === undefined || equalityDeep(i, c)) return c;
  if (isObject(i) && isObject(c)) return addFields(write, path, i, c);
  if (write.madeAt === null) return c === undefined ? i : c;
  if (Array.isArray(i) && Array.isArray(c) && [...i, ...c].some((element) => elementId(element) !== null)) {
    return addElements(write, path, i, c);
  }
  return isLater(write, path) ? i : c;
}

const isLater = ({ madeAt, changedAt }: WriteToMerge, path: Path): boolean =>
  madeAt !== null && madeAt > changedAt(path);

function addElements(write: WriteToMerge, path: Path, i: Json[], c: Json[]): Json[] {
  const elements = i.filter((element) => elementId(element) !== null);
  const incoming = elements.length < i.length && isLater(write, path) ? i : elements;
  return mergeArrays({ seen: [], incoming, current: c }, (id, mine, theirs) =>
    addValue(write, [...path, { id }], mine, theirs),
  );
}
