/** A record as it was, read back from what is remembered of its changes: of values, those that a digest tells (L8). */
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { longestRising, type Pair } from '../../../shared/longest.js';
import { FORGOTTEN, type Path, type PathStep } from '../../../shared/merge/merge.js';
import {
  ABSENT,
  type Digest,
  type Digests,
  IN_ELEMENTS,
  IN_PARTS,
  parted,
  UNKNOWN,
  valuesOf,
} from './digests.js';

/** The step to the order in which the elements of a list stand; no field can have this name (D6). */
export const LIST_ORDER = '\t';
export const isListOrder = (step: PathStep): boolean => step === LIST_ORDER;

type Value = Json | undefined;

/** Values of a list that are compared with those that are remembered. */
const MOST_COMPARED = 1_000;

/** What a value of a record may have been: what stands there in these. */
export class KnownValues {
  readonly #incoming: JsonObject | null;
  readonly #records: readonly (JsonObject | null)[];
  readonly #digests: Digests;
  /** Those in the lists at a path, by their digests. */
  readonly #inLists = new Map<string, ReadonlyMap<Digest, Json>>();

  /** @param records what came in first */
  constructor(records: readonly (JsonObject | null)[], digests: Digests) {
    this.#records = records;
    this.#incoming = records[0] ?? null;
    this.#digests = digests;
  }

  find(path: Path, digest: Digest): Value {
    if (digest === ABSENT) return undefined;
    if (digest === IN_PARTS) return {};
    if (digest === IN_ELEMENTS) return [];
    const values =
      digest === UNKNOWN ? [] : this.#records.map((record) => valueAt(record ?? undefined, path));
    const [whole] = parted(digest);
    const found = values.findIndex((value) => this.#digests.of(value) === whole);
    return found === -1 ? this.#list(path, values, valuesOf(digest)) : values[found];
  }

  /** A list with the values that have these digests, as far as they stand in one of those that are known. */
  #list(path: Path, known: readonly Value[], digests: readonly Digest[]): Value {
    const lists = known.filter((value) => Array.isArray(value));
    const isMuch = lists.reduce((sum, { length }) => sum + length, 0) > MOST_COMPARED;
    if (digests.length === 0 || isMuch) return FORGOTTEN;
    const key = JSON.stringify(path);
    const values =
      this.#inLists.get(key) ?? new Map(lists.flat().map((each) => [this.#digests.ofValue(each), each]));
    this.#inLists.set(key, values);
    return digests.map((digest) => {
      const value = values.get(digest);
      return value === undefined ? FORGOTTEN : value; // which may be null
    });
  }

  /** What came in there. */
  incoming(path: Path): Value {
    return valueAt(this.#incoming ?? undefined, path);
  }

  /** The record with nothing but its `id`, under which all of its versions are kept. */
  bare(): JsonObject {
    const id = this.#records.find((record) => record !== null)?.id;
    return id === undefined ? {} : { id };
  }
}

export class PastRecord {
  /** `null`: there was none; `undefined`: not known. */
  json: JsonObject | null | undefined;
  readonly #known: KnownValues;
  /** By the paths of lists: the elements of which it is not known where they stood. */
  readonly #loose = new Map<string, Set<string | null>>();

  constructor(json: JsonObject | null, known: KnownValues) {
    this.json = json;
    this.#known = known;
  }

  /** Makes it what it was before this. */
  stepBack({ path, before }: { readonly path: Path; readonly before: Digest }): void {
    if (path.length === 0)
      this.json = before === ABSENT ? null : before === IN_PARTS ? this.#known.bare() : undefined;
    else if (this.json) this.json = this.#before(this.json, path, before);
  }

  #before(record: JsonObject, path: Path, before: Digest): JsonObject {
    const last = path.at(-1) as PathStep;
    const outer = path.slice(0, -1);
    if (isListOrder(last)) {
      const list = valueAt(record, outer);
      const value = Array.isArray(list) ? this.#loosened(outer, list, list) : list;
      return withValue(record, outer, { value, insert: append }) as JsonObject;
    }
    const value = this.#known.find(path, before);
    const part = typeof last === 'string' ? value : this.#asElement(value, last.id, path);
    const insert: Insert = (list, element) => this.#loosened(outer, append(list, element), [element]);
    return withValue(record, path, { value: part, insert }) as JsonObject;
  }

  /** Where these stood is not known: among the others they stand as they came in, so that no move of them counts as the device's. */
  #loosened(path: Path, list: readonly Json[], elements: readonly Json[]): Json[] {
    const key = JSON.stringify(path);
    const loose = new Set([...(this.#loose.get(key) ?? []), ...elements.map(elementId)]);
    this.#loose.set(key, loose);
    const incoming = this.#known.incoming(path);
    return arranged(list, loose, Array.isArray(incoming) ? incoming.map(elementId) : []);
  }

  /** Of one that is forgotten it is known that it was there. */
  #asElement(value: Value, id: string, path: Path): Value {
    if (value === undefined || elementId(value) === id) return value;
    if (isObject(value)) return { ...value, id };
    const incoming = this.#known.incoming(path);
    const names = isObject(incoming) ? Object.keys(incoming) : [];
    return { ...Object.fromEntries(names.map((name) => [name, FORGOTTEN])), id };
  }
}

export function valueAt(record: Value, path: Path): Value {
  let value = record;
  for (const step of path) value = inside(value, step);
  return value;
}

function inside(value: Value, step: PathStep): Value {
  if (typeof step === 'string')
    return isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  return Array.isArray(value) ? value.find((element) => elementId(element) === step.id) : undefined;
}

/** A list with a new element among the others. */
type Insert = (list: readonly Json[], element: Json) => Json[];
const append: Insert = (list, element) => [...list, element];

interface Put {
  readonly value: Value;
  readonly insert: Insert;
}

/** What is there with another value at a path inside. */
function withValue(outer: Value, [step, ...rest]: Path, put: Put): Value {
  if (step === undefined) return put.value;
  if (typeof step === 'string' && isObject(outer)) {
    const { [step]: old, ...others } = outer;
    const value = withValue(Object.hasOwn(outer, step) ? old : undefined, rest, put);
    return value === undefined ? others : { ...others, [step]: value };
  }
  if (typeof step !== 'string' && Array.isArray(outer)) return withElement(outer, step.id, { rest, put });
  return outer === undefined && put.value === undefined ? undefined : FORGOTTEN;
}

function withElement(list: readonly Json[], id: string, { rest, put }: { rest: Path; put: Put }): Json[] {
  const place = list.findIndex((element) => elementId(element) === id);
  const value = withValue(list[place], rest, put);
  const others = list.filter((_, index) => index !== place);
  if (value === undefined || (place === -1 && elementId(value) !== id)) return others;
  if (place === -1) return put.insert(list, value);
  const isOther = isObject(value) && elementId(value) !== id; // of its id, only the digest was kept
  return list.map((element, index) => (index === place ? (isOther ? { ...value, id } : value) : element));
}

/**
 * The loose elements among the others as in this order: each behind the nearest one that stands before it there, of
 * those that stand there in their order in the list. What has no place there stays.
 */
function arranged(
  list: readonly Json[],
  loose: ReadonlySet<string | null>,
  order: readonly (string | null)[],
): Json[] {
  const places = new Map(order.map((id, place) => [id, place]));
  const placeOf = (element: Json) => places.get(elementId(element)) ?? -1;
  const isLoose = (element: Json) => loose.has(elementId(element)) && placeOf(element) !== -1;
  const fixed = list.filter((element) => !isLoose(element));
  const pairs = fixed.map((element, n): Pair => [n, placeOf(element)]).filter(([, place]) => place !== -1);
  const inOrder = longestRising(pairs, 1);
  const first: Json[] = [];
  const behind = new Map<number, Json[]>();
  let run = first;
  for (const element of list.filter(isLoose).sort((a, b) => placeOf(a) - placeOf(b))) {
    for (let pair = inOrder[0]; pair !== undefined && pair[1] < placeOf(element); pair = inOrder[0]) {
      run = [];
      behind.set(pair[0], run);
      inOrder.shift();
    }
    run.push(element);
  }
  return [...first, ...fixed.flatMap((element, n) => [element, ...(behind.get(n) ?? [])])];
}
