/** What is to be remembered of entries of the history that go (L7, L8). */
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import type { Path, PathStep } from '../../../shared/merge/merge.js';
import type { DeviceKey } from '../../../shared/names.js';
import type { Deletion } from '../../store/store.js';
import { isList, type Patch, sameJson } from '../records/patch.js';
import type { RecordImage } from '../records/record-image.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { type Digest, type Digests, IN_ELEMENTS, IN_PARTS, toldIn, UNKNOWN, VALUE_SIZE } from './digests.js';
import type { StoredEntry } from './history-entry.js';
import { type AwayDevice, MOST_CHANGES, MOST_PATHS, type PastChange, PastChanges } from './past-changes.js';
import { LIST_ORDER, valueAt } from './past-record.js';
import type { Remembered } from './remembered.js';

/** Changes inside of one list, or of what goes as a whole, that are told apart; more count as one. */
const MOST_AT_ONCE = 200;
/** Values of lists that one entry tells apart, of each list no more than that. */
const MOST_VALUES = 400;
/** Of all records, the digests of values of lists, in characters; beyond that the older lists count as one value. */
export const MOST_TOLD = 8 * 1024 * 1024;

/** The record around an entry, where that was read. */
export interface Around {
  readonly before: RecordImage | null;
  readonly after: RecordImage | null;
}

/** Which devices are away that may need more than the time of a change, and which of them made one. */
export interface Away {
  readonly devices: readonly AwayDevice[];
  readonly keyOf: (entry: StoredEntry) => DeviceKey;
  readonly digests: Digests;
}

interface RecordPruned {
  readonly key: RecordKey;
  /** The newest first. */
  changes: PastChange[];
  /** In these, the digests of values of lists, in characters. */
  told: number;
  deletion: Pick<Deletion, 'revision' | 'at'> | null;
}

export class Pruning {
  readonly #records = new Map<string, RecordPruned>();
  readonly #away: Away;
  #room = MOST_TOLD;

  constructor(away: Away) {
    this.#away = away;
  }

  /** Each entry is older than the one before. */
  add(entry: StoredEntry, revision: number, around: Around | null): void {
    if (entry.overruled) return;
    const { madeAt } = entry;
    const record = this.#of(entry);
    const maker = this.#away.keyOf(entry);
    const by = this.#away.devices.some(({ key }) => key === maker) ? maker : null;
    if (entry.removed) record.deletion ??= { revision, at: madeAt };
    const changed = allChanged(entry, around);
    const most = Math.min(MOST_VALUES, this.#room / VALUE_SIZE);
    const told = withDigests(changed, this.#away.digests, most).reverse();
    for (const [path, before] of told) record.changes.push({ path, revision, madeAt, before, since: 0, by });
    this.#count(record, record.told + toldIn(told.map(([, before]) => before)));
    if (record.changes.length > 2 * MOST_CHANGES || record.told > 2 * MOST_PATHS) this.#trim(record);
  }

  #trim(record: RecordPruned): void {
    record.changes = [...PastChanges.needed(record.changes.reverse(), this.#away.devices)].reverse();
    this.#count(record, toldIn(record.changes.map(({ before }) => before)));
  }

  #count(record: RecordPruned, told: number): void {
    this.#room -= told - record.told;
    record.told = told;
  }

  /** The rows that take the place of what was remembered of these records. */
  *rows(remembered: Remembered): Generator<Deletion> {
    for (const { key, changes, deletion } of this.#records.values()) {
      const { revision, at } = deletion ?? remembered.deletion(key) ?? { revision: 0, at: 0 };
      const row = { ...key, revision, at };
      const all = remembered.changes(key).with([...changes].reverse(), this.#away.devices);
      yield all.tellMoreThan(revision) ? { ...row, changes: all.encode() } : row;
    }
  }

  #of({ collection, id }: RecordKey): RecordPruned {
    const key = { collection, id };
    const known = this.#records.get(keyOf(key));
    if (known !== undefined) return known;
    const record = { key, changes: [], told: 0, deletion: null };
    this.#records.set(keyOf(key), record);
    return record;
  }
}

/** What stood at a path: a value, or what stands in the place of its digest where it is none, or is not known. */
type Was = { readonly value: Json | undefined } | { readonly mark: Digest };
type Changed = readonly [path: Path, was: Was];

/**
 * What changes more than is told apart counts as a change of the whole record.
 *
 * @param most values of lists
 */
function withDigests(changed: readonly Changed[], digests: Digests, most: number): [Path, Digest][] {
  if (changed.length > MOST_CHANGES) return [[[], UNKNOWN]];
  let left = most;
  return changed.map(([path, was]) => {
    if ('mark' in was) return [path, was.mark];
    const { value } = was;
    const whole = digests.of(value);
    if (!isValues(value) || value.length > left) return [path, whole];
    left -= value.length;
    return [path, whole + digests.ofEach(value)];
  });
}

/** @param around null where no device is away: then nothing is asked for but when what was changed */
function allChanged(entry: StoredEntry, around: Around | null): Changed[] {
  if (entry.created) return [[[], { value: undefined }]];
  const [before, after] = [around?.before?.json, around?.after?.json];
  if (before !== undefined && after !== undefined) return changesIn(before, after, []);
  if (!entry.removed)
    return entry.patch === null ? [] : pathsIn(entry.patch, []).map((path) => [path, { mark: UNKNOWN }]);
  if (before === undefined) return [[[], { mark: UNKNOWN }]];
  const { id: _, ...fields } = before;
  return partsOf(fields, []);
}

/** What a patch replaces as a whole may have changed in part, so it does not tell. Inside of texts no path leads. */
function changesIn(before: Json | undefined, after: Json | undefined, path: Path): Changed[] {
  if (isSame(before, after)) return [];
  if (isElements(before) && isElements(after))
    return inList(changesOfElements(before, after, path), before, path);
  if (!isObject(before) || !isObject(after)) return inList(partsOf(before, path), before, path);
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) =>
    changesIn(valueAt(before, [name]), valueAt(after, [name]), [...path, name]),
  );
}

/** Of what goes as a whole each part is told apart, since others may have changed some before. */
function partsOf(before: Json | undefined, path: Path): Changed[] {
  const inside = (step: PathStep, value: Json) => partsOf(value, [...path, step]);
  if (isElements(before)) {
    const parts = before.flatMap((element) => inside({ id: elementId(element) ?? '' }, element));
    return [...parts, [path, { mark: IN_ELEMENTS }]];
  }
  if (!isObject(before)) return [[path, { value: before }]];
  const isElement = typeof path.at(-1) === 'object';
  const names = Object.keys(before).filter((name) => name !== 'id' || !isElement);
  return [...names.flatMap((name) => inside(name, before[name] as Json)), [path, { mark: IN_PARTS }]];
}

const inList = (changes: Changed[], value: Json | undefined, path: Path): Changed[] =>
  changes.length > MOST_AT_ONCE ? [[path, { value }]] : changes;

type Elements = readonly JsonObject[];

/** Whether each element has an id of its own. */
const isElements = (value: Json | undefined): value is JsonObject[] =>
  Array.isArray(value) &&
  !value.some((element) => elementId(element) === null) &&
  new Set(value.map(elementId)).size === value.length;

/** A list of few enough values, none of them with an id. */
const isValues = (value: Json | undefined): value is Json[] =>
  Array.isArray(value) && value.length <= MOST_AT_ONCE && value.every((each) => elementId(each) === null);

function changesOfElements(before: Elements, after: Elements, path: Path): Changed[] {
  const [old, now] = [byId(before), byId(after)];
  const changed = [...new Set([...old.keys(), ...now.keys()])].flatMap((id) =>
    changesIn(old.get(id), now.get(id), [...path, { id }]),
  );
  const common = (list: ReadonlyMap<string, Json>) =>
    [...list.keys()].filter((id) => old.has(id) && now.has(id));
  const isMoved = !sameJson(common(old), common(now));
  return isMoved ? [...changed, [[...path, LIST_ORDER], { mark: UNKNOWN }]] : changed;
}

const byId = (elements: Elements): ReadonlyMap<string, Json> =>
  new Map(elements.map((element) => [elementId(element) ?? '', element]));

const isSame = (a: Json | undefined, b: Json | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && sameJson(a, b));

/** What an object of numbers is looks like the inside of a list. */
function pathsIn(patch: Patch | 0, path: string[]): string[][] {
  const steps = patch === 0 || isList(patch) ? [] : Object.entries(patch);
  if (steps.every(([key]) => /^\d+$/.test(key))) return [path];
  return steps.flatMap(([key, step]) => pathsIn(step, [...path, key]));
}
