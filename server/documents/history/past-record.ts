/** A record as it was, read back from what is remembered of its changes: of values, those that a digest tells (L8). */
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { FORGOTTEN, type Path, type PathStep } from '../../../shared/merge/merge.js';
import { ABSENT, type Digest, type Digests, IN_ELEMENTS, IN_PARTS, UNKNOWN } from './digests.js';

/** The step to the order in which the elements of a list stand; no field can have this name (D6). */
export const LIST_ORDER = '\t';
export const isListOrder = (step: PathStep): boolean => step === LIST_ORDER;

type Value = Json | undefined;

/** What a value of a record may have been: what stands there in these. */
export class KnownValues {
  readonly #incoming: JsonObject | null;
  readonly #records: readonly (JsonObject | null)[];
  readonly #digests: Digests;

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
    const found = values.findIndex((value) => this.#digests.of(value) === digest);
    return found === -1 ? FORGOTTEN : values[found];
  }

  /** What came in there. */
  incoming(path: Path): Value {
    return valueAt(this.#incoming ?? undefined, path);
  }
}

export class PastRecord {
  /** `null`: there was none; `undefined`: not known. */
  json: JsonObject | null | undefined;
  readonly #known: KnownValues;

  constructor(json: JsonObject | null, known: KnownValues) {
    this.json = json;
    this.#known = known;
  }

  /** Makes it what it was before this. */
  stepBack({ path, before }: { readonly path: Path; readonly before: Digest }): void {
    if (path.length === 0) this.json = before === ABSENT ? null : before === IN_PARTS ? {} : undefined;
    else if (this.json) this.json = this.#before(this.json, path, before);
  }

  #before(record: JsonObject, path: Path, before: Digest): JsonObject {
    const last = path.at(-1) as PathStep;
    const outer = path.slice(0, -1);
    if (isListOrder(last)) {
      const list = valueAt(record, outer);
      // Where the elements stood is not known: as they came in, so that no move counts as the device's.
      const value = Array.isArray(list) ? arranged(list, idsOf(this.#known.incoming(outer))) : list;
      return withValue(record, outer, { value, order: () => [] }) as JsonObject;
    }
    const value = this.#known.find(path, before);
    const part = typeof last === 'string' ? value : this.#asElement(value, last.id, path);
    const order = () => idsOf(this.#known.incoming(outer));
    return withValue(record, path, { value: part, order }) as JsonObject;
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

interface Put {
  readonly value: Value;
  /** Where a new element comes among the others. */
  readonly order: () => readonly (string | null)[];
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
  if (place === -1) {
    // What others took away and put back may stand elsewhere by now, which is no move of the device either.
    const order = put.order();
    return arranged(inserted(list, value, order), order);
  }
  const isOther = isObject(value) && elementId(value) !== id; // of its id, only the digest was kept
  return list.map((element, index) => (index === place ? (isOther ? { ...value, id } : value) : element));
}

const idsOf = (list: Value): (string | null)[] => (Array.isArray(list) ? list.map(elementId) : []);

/** Behind the nearest one of those that stand before it in this order. */
export function inserted(list: readonly Json[], element: Json, order: readonly (string | null)[]): Json[] {
  const places = new Map(list.map((each, index) => [elementId(each), index]));
  let before = order.indexOf(elementId(element)) - 1;
  while (before >= 0 && !places.has(order[before] ?? null)) before--;
  const place = before < 0 ? 0 : (places.get(order[before] ?? null) ?? 0) + 1;
  return [...list.slice(0, place), element, ...list.slice(place)];
}

/** In this order; others stay behind the one that they stood behind. */
function arranged(list: readonly Json[], order: readonly (string | null)[]): Json[] {
  const ordered = new Set(order);
  const runs = new Map<string | null, Json[]>();
  const first: Json[] = [];
  let run = first;
  for (const element of list) {
    const id = elementId(element);
    if (id !== null && ordered.has(id)) {
      run = [];
      runs.set(id, run);
    }
    run.push(element);
  }
  return [...first, ...[...ordered].flatMap((id) => runs.get(id) ?? [])];
}
