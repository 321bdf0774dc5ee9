/** What is to be remembered of entries of the history that go (L7, L8). */
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import type { Path, PathStep } from '../../../shared/merge/merge.js';
import type { DeviceKey } from '../../../shared/names.js';
import type { Deletion } from '../../store/store.js';
import { isList, type Patch, sameJson } from '../records/patch.js';
import type { RecordImage } from '../records/record-image.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { ABSENT, type Digest, type Digests, IN_ELEMENTS, IN_PARTS, UNKNOWN } from './digests.js';
import type { StoredEntry } from './history-entry.js';
import { type AwayDevice, MOST_CHANGES, type PastChange, PastChanges } from './past-changes.js';
import { LIST_ORDER, valueAt } from './past-record.js';
import type { Remembered } from './remembered.js';

/** Changes inside of one list, or of what goes as a whole, that are told apart; more count as one. */
const MOST_AT_ONCE = 200;
/** Values of lists that one change tells apart, of each list no more than that. */
const MOST_VALUES = 2_000;

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
  deletion: Pick<Deletion, 'revision' | 'at'> | null;
}

export class Pruning {
  readonly #records = new Map<string, RecordPruned>();
  readonly #away: Away;

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
    for (const [path, before] of changedPaths(entry, around, this.#away.digests).reverse())
      record.changes.push({ path, revision, madeAt, before, since: 0, by });
    if (record.changes.length <= 2 * MOST_CHANGES) return;
    record.changes = [...PastChanges.needed(record.changes.reverse(), this.#away.devices)].reverse();
  }

  /** The rows that take the place of what was remembered of these records. */
  *rows(remembered: Remembered): Generator<Deletion> {
    for (const { key, changes, deletion } of this.#records.values()) {
      const { revision, at } = deletion ?? remembered.deletion(key) ?? { revision: 0, at: 0 };
      const row = { ...key, revision, at };
      const all = remembered.changes(key).with(changes.reverse(), this.#away.devices);
      yield all.tellMoreThan(revision) ? { ...row, changes: all.encode() } : row;
    }
  }

  #of({ collection, id }: RecordKey): RecordPruned {
    const key = { collection, id };
    const known = this.#records.get(keyOf(key));
    if (known !== undefined) return known;
    const record = { key, changes: [], deletion: null };
    this.#records.set(keyOf(key), record);
    return record;
  }
}

/** `values`: of a list, where each of them may be told apart. */
type Changed = [path: Path, before: Digest, values?: readonly Json[]];

/** What changes more than is told apart counts as a change of the whole record. */
function changedPaths(entry: StoredEntry, around: Around | null, digests: Digests): Changed[] {
  const changed = allChanged(entry, around, digests);
  if (changed.length > MOST_CHANGES) return [[[], UNKNOWN]];
  let left = MOST_VALUES;
  return changed.map(([path, before, values = []]) => {
    if (values.length === 0 || values.length > left) return [path, before];
    left -= values.length;
    return [path, before + digests.ofEach(values)];
  });
}

/** @param around null where no device is away: then nothing is asked for but when what was changed */
function allChanged(entry: StoredEntry, around: Around | null, digests: Digests): Changed[] {
  if (entry.created) return [[[], ABSENT]];
  const [before, after] = [around?.before?.json, around?.after?.json];
  if (before !== undefined && after !== undefined) return changesIn(before, after, { path: [], digests });
  if (!entry.removed)
    return entry.patch === null ? [] : pathsIn(entry.patch, []).map((path) => [path, UNKNOWN]);
  if (before === undefined) return [[[], UNKNOWN]];
  const { id: _, ...fields } = before;
  return partsOf(fields, { path: [], digests });
}

interface Within {
  readonly path: Path;
  readonly digests: Digests;
}

/** What a patch replaces as a whole may have changed in part, so it does not tell. Inside of texts no path leads. */
function changesIn(before: Json | undefined, after: Json | undefined, within: Within): Changed[] {
  if (isSame(before, after)) return [];
  if (isElements(before) && isElements(after))
    return inList(changesOfElements(before, after, within), before, within);
  if (!isObject(before) || !isObject(after)) return inList(partsOf(before, within), before, within);
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) =>
    changesIn(valueAt(before, [name]), valueAt(after, [name]), { ...within, path: [...within.path, name] }),
  );
}

/** Of what goes as a whole each part is told apart, since others may have changed some before. */
function partsOf(before: Json | undefined, { path, digests }: Within): Changed[] {
  const inside = (step: PathStep, value: Json) => partsOf(value, { path: [...path, step], digests });
  if (isElements(before)) {
    const parts = before.flatMap((element) => inside({ id: elementId(element) ?? '' }, element));
    return [...parts, [path, IN_ELEMENTS]];
  }
  if (isValues(before)) return [[path, digests.of(before), before]];
  if (!isObject(before)) return [[path, digests.of(before)]];
  const isElement = typeof path.at(-1) === 'object';
  const names = Object.keys(before).filter((name) => name !== 'id' || !isElement);
  return [...names.flatMap((name) => inside(name, before[name] as Json)), [path, IN_PARTS]];
}

const inList = (changes: Changed[], before: Json | undefined, { path, digests }: Within): Changed[] =>
  changes.length > MOST_AT_ONCE ? [[path, digests.of(before)]] : changes;

type Elements = readonly JsonObject[];

/** Whether each element has an id of its own. */
const isElements = (value: Json | undefined): value is JsonObject[] =>
  Array.isArray(value) &&
  !value.some((element) => elementId(element) === null) &&
  new Set(value.map(elementId)).size === value.length;

/** A list of few enough values, none of them with an id. */
const isValues = (value: Json | undefined): value is Json[] =>
  Array.isArray(value) && value.length <= MOST_AT_ONCE && value.every((each) => elementId(each) === null);

function changesOfElements(before: Elements, after: Elements, { path, digests }: Within): Changed[] {
  const [old, now] = [byId(before), byId(after)];
  const changed = [...new Set([...old.keys(), ...now.keys()])].flatMap((id) =>
    changesIn(old.get(id), now.get(id), { path: [...path, { id }], digests }),
  );
  const common = (list: ReadonlyMap<string, Json>) =>
    [...list.keys()].filter((id) => old.has(id) && now.has(id));
  const isMoved = !sameJson(common(old), common(now));
  return isMoved ? [...changed, [[...path, LIST_ORDER], UNKNOWN]] : changed;
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
