/**
 * What a device is taken to have seen where only a digest is left of it (L8), and both the device and others changed
 * an object, a list or a text: nothing tells which part is whose, so the parts that both have count as not touched by
 * the device, and those that only it has as its own.
 */
import { equalityDeep } from 'lib0/function';
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { FORGOTTEN, type Path, type WriteToMerge } from '../../../shared/merge/merge.js';

type Value = Json | undefined;
type Compared = Pick<WriteToMerge, 'seen' | 'incoming' | 'isText'> & { readonly current: JsonObject | null };

/** The versions seen, as far as they can be told. */
export function withLikelyParts({ seen, incoming, current, isText }: Compared): (JsonObject | null)[] {
  return likely(
    [...seen],
    { i: incoming, c: current ?? undefined, path: [] },
    isText,
  ) as (JsonObject | null)[];
}

interface Place {
  readonly i: Value;
  readonly c: Value;
  readonly path: Path;
}

function likely(seen: Value[], { i, c, path }: Place, isText: WriteToMerge['isText']): Value[] {
  if (seen.includes(FORGOTTEN)) {
    const areLists = Array.isArray(i) && Array.isArray(c);
    // The device may have seen what is there: then all of it that differs is its own (L6); of lists, what it added.
    if (!areLists && seen.some((version) => equalityDeep(version, c))) return seen;
    return seen.map((version) => (version === FORGOTTEN ? sharedParts(i, c, isText(path)) : version));
  }
  if (Array.isArray(i) && Array.isArray(c)) return likelyElements(seen, { i, c, path }, isText);
  if (!isObject(i) || !isObject(c)) return seen;
  const fields = new Map<string, Value[]>();
  for (const name of Object.keys(i)) {
    const place = { i: fieldOf(i, name), c: fieldOf(c, name), path: [...path, name] };
    const versions = seen.map((version) => fieldOf(version, name));
    fields.set(name, likely(versions, place, isText));
  }
  const filled = (version: JsonObject, at: number) =>
    Object.entries(version).map(([name, value]) => [name, fields.get(name)?.[at] ?? value] as const);
  return seen.map((version, at) => (isObject(version) ? Object.fromEntries(filled(version, at)) : version));
}

/** Of elements with an id, each one for itself. */
function likelyElements(seen: Value[], { i, c, path }: Place, isText: WriteToMerge['isText']): Value[] {
  const [mine, theirs, versions] = [byId(i), byId(c), seen.map(byId)];
  const elements = new Map<string, Value[]>();
  for (const [id, element] of mine) {
    const place = { i: element, c: theirs.get(id), path: [...path, { id }] };
    elements.set(
      id,
      likely(
        versions.map((version) => version.get(id)),
        place,
        isText,
      ),
    );
  }
  return seen.map((version, at) => {
    if (!Array.isArray(version)) return version;
    return version.map((element) => elements.get(elementId(element) ?? '')?.[at] ?? element);
  });
}

/** One value that both changed stays forgotten: its time decides. */
function sharedParts(i: Value, c: Value, isText: boolean): Json {
  if (isObject(i) && isObject(c))
    return Object.fromEntries(Object.entries(i).filter(([name]) => Object.hasOwn(c, name)));
  if (Array.isArray(i) && Array.isArray(c)) {
    const ids = new Set(c.map(elementId));
    return i.filter((element) => elementId(element) !== null && ids.has(elementId(element)));
  }
  return isText && typeof i === 'string' ? i : FORGOTTEN;
}

const fieldOf = (value: Value, name: string): Value =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;

const byId = (list: Value): ReadonlyMap<string, Json> =>
  new Map(
    (Array.isArray(list) ? list : []).flatMap((element) => {
      const id = elementId(element);
      return id === null ? [] : [[id, element]];
    }),
  );
