/** What is to be remembered of entries of the history that go (L7, L8). */
import { isObject, type Json } from '../../../shared/json.js';
import type { DeviceKey } from '../../../shared/names.js';
import type { Deletion } from '../../store/store.js';
import { isList, type Patch, sameJson } from '../records/patch.js';
import type { RecordImage } from '../records/record-image.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import type { StoredEntry } from './history-entry.js';
import {
  ABSENT,
  type AwayDevice,
  digestOf,
  MOST_CHANGES,
  type PastChange,
  PastChanges,
  UNKNOWN,
  valueAt,
} from './past-changes.js';
import type { Remembered } from './remembered.js';

/** The record around an entry, where that was read. */
export interface Around {
  readonly before: RecordImage | null;
  readonly after: RecordImage | null;
}

/** Which devices are away that may need more than the time of a change, and which of them made one. */
export interface Away {
  readonly devices: readonly AwayDevice[];
  readonly keyOf: (entry: StoredEntry) => DeviceKey;
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
    for (const [path, before] of changedPaths(entry, around).reverse())
      record.changes.push({ path, revision, madeAt, before, since: 0, by });
    if (record.changes.length <= 2 * MOST_CHANGES) return;
    record.changes = [...PastChanges.needed(record.changes.reverse(), this.#away.devices)].reverse();
  }

  /** The rows that take the place of what was remembered of these records. */
  rows(remembered: Remembered): Deletion[] {
    return [...this.#records.values()].map(({ key, changes, deletion }) => {
      const { collection, id } = key;
      const { revision, at } = deletion ?? remembered.deletion(key) ?? { revision: 0, at: 0 };
      const row = { collection, id, revision, at };
      // That it was deleted tells all of what was before.
      if (changes[0]?.revision === revision) return row;
      const all = remembered.changes(key).with(changes.reverse(), this.#away.devices);
      return { ...row, changes: all.encode() };
    });
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

type Changed = [path: string[], before: string];

/** What changes more than is told apart counts as a change of the whole record. */
function changedPaths(entry: StoredEntry, around: Around | null): Changed[] {
  const changed = allChanged(entry, around);
  return changed.length > MOST_CHANGES ? [[[], UNKNOWN]] : changed;
}

function allChanged({ removed, created, patch }: StoredEntry, around: Around | null): Changed[] {
  if (removed || created) return [[[], created ? ABSENT : UNKNOWN]];
  const [before, after] = [around?.before?.json, around?.after?.json];
  if (before !== undefined && after !== undefined) return changesIn(before, after, []);
  return patch === null ? [] : pathsIn(patch, []).map((path) => [path, UNKNOWN]);
}

/** What a patch replaces as a whole may have changed in part, so it does not tell; inside lists and texts no path leads. */
function changesIn(before: Json | undefined, after: Json | undefined, path: string[]): Changed[] {
  if (isSame(before, after)) return [];
  if (!isObject(before) || !isObject(after)) return [[path, digestOf(before)]];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) =>
    changesIn(valueAt(before, [name]), valueAt(after, [name]), [...path, name]),
  );
}

const isSame = (a: Json | undefined, b: Json | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && sameJson(a, b));

/** What an object of numbers is looks like the inside of a list. */
function pathsIn(patch: Patch | 0, path: string[]): string[][] {
  const steps = patch === 0 || isList(patch) ? [] : Object.entries(patch);
  if (steps.every(([key]) => /^\d+$/.test(key))) return [path];
  return steps.flatMap(([key, step]) => pathsIn(step, [...path, key]));
}
