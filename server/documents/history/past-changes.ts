/**
 * What is remembered of a record's changes when their entries are gone (L8): when what of it was last changed, and,
 * while a device is away that had read less, a digest of what stood there before. So what nobody else changed is told
 * from what somebody did, and what the device wrote from what it only sent along.
 */
import { createHash } from 'node:crypto';
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { canonical } from '../../../shared/merge/arrays.js';
import { FORGOTTEN, type Path } from '../../../shared/merge/merge.js';
import type { DeviceKey } from '../../../shared/names.js';

/** Of a value; {@link ABSENT} where there was none, {@link UNKNOWN} where it is not kept. */
export type Digest = string;
export const UNKNOWN: Digest = '';
export const ABSENT: Digest = '-';

/** Of one record. */
export const MOST_CHANGES = 1_000;
/** Of one record, the names in all its paths, in characters of JSON. */
const MOST_PATHS = 65_536;

/** A change of what stands at a path. */
export interface PastChange {
  readonly path: readonly string[];
  readonly revision: number;
  readonly madeAt: number;
  /** What stood there before it, from the revision `since` on. */
  readonly before: Digest;
  readonly since: number;
  /** The device that made it, where that one is away. */
  readonly by: DeviceKey | null;
}

/** What a device that is away may have been looking at. */
export interface AwayDevice {
  readonly key: DeviceKey;
  /** It had read everything up to here, and received nothing beyond `to`. */
  readonly from: number;
  readonly to: number;
}

/** How it is stored, as JSON; what is at its default is left out at the end. */
type Saved = readonly [
  path: readonly string[],
  revision: number,
  madeAt: number,
  before?: Digest,
  since?: number,
  by?: DeviceKey | null,
];

export function digestOf(value: Json | undefined): Digest {
  if (value === undefined) return ABSENT;
  return createHash('sha256').update(canonical(value)).digest('base64').slice(0, 12);
}

export class PastChanges {
  /** In the order of their revisions. */
  readonly #changes: readonly PastChange[];

  constructor(changes: readonly PastChange[]) {
    this.#changes = changes;
  }

  static decode(bytes: Uint8Array): PastChanges {
    const saved = JSON.parse(Buffer.from(bytes).toString()) as Saved[];
    if (!Array.isArray(saved) || !saved.every((each) => Array.isArray(each) && Array.isArray(each[0])))
      throw new Error('This is not what is remembered of changes.');
    return new PastChanges(
      saved.map(([path, revision, madeAt, before = UNKNOWN, since = 0, by = null]) => ({
        path,
        revision,
        madeAt,
        before,
        since,
        by,
      })),
    );
  }

  encode(): Uint8Array {
    const saved = this.#changes.map(({ path, revision, madeAt, before, since, by }): Saved => {
      if (by !== null) return [path, revision, madeAt, before, since, by];
      if (since > 0) return [path, revision, madeAt, before, since];
      return before === UNKNOWN ? [path, revision, madeAt] : [path, revision, madeAt, before];
    });
    return Buffer.from(JSON.stringify(saved));
  }

  /** As far as they tell something, and no more than are told apart; in the order of their revisions. */
  static needed(changes: readonly PastChange[], away: readonly AwayDevice[]): readonly PastChange[] {
    return new PastChanges([]).with(changes, away).#changes;
  }

  /** With later ones: of each path the last one is kept, and what tells what the devices that are away had read. */
  with(later: readonly PastChange[], away: readonly AwayDevice[]): PastChanges {
    const all = [...this.#changes, ...later];
    // When the whole record was made, or replaced, that is the last change of all that it does not name since.
    const whole = all.findLastIndex(isWhole);
    const byPath = new Map<string, PastChange[]>();
    for (const change of all.filter((each, index) => isWhole(each) || index > whole)) {
      const key = JSON.stringify(change.path);
      const others = byPath.get(key);
      if (others === undefined) byPath.set(key, [change]);
      else others.push(change);
    }
    const kept = [...byPath.values()].flatMap((changes) => neededOf(changes, away));
    return new PastChanges(bounded(kept.sort((a, b) => a.revision - b.revision)));
  }

  /** When the value at a path was last changed; -Infinity: not since the record was made. */
  last(path: Path, isThere: boolean): Pick<PastChange, 'revision' | 'madeAt'> | null {
    const last = this.#changes.findLast((change) => !isWhole(change) && touches(change.path, path));
    if (last !== undefined) return last;
    const whole = this.#changes.findLast(isWhole);
    if (whole === undefined) return null;
    // What was not there when the record was first made, and never changed since, was never there.
    const isFirst = whole === this.#changes[0] && whole.before === ABSENT && whole.since === 0;
    return isThere || !isFirst ? whole : { ...whole, madeAt: Number.NEGATIVE_INFINITY };
  }

  /**
   * The versions that a device may have been looking at, one for each revision; empty where one can't be told.
   *
   * @param oldest the record after the last one of these changes
   * @param known what it may have been, which a digest tells
   */
  versions(
    { key, from, to }: AwayDevice,
    oldest: JsonObject | null,
    known: readonly (JsonObject | null)[],
  ): (JsonObject | null)[] {
    const seen = this.#changes.filter(
      ({ revision, by }) => revision > from && (revision <= to || by === key),
    );
    const versions: (JsonObject | null)[] = [];
    for (const revision of new Set([from, ...seen.map((change) => change.revision)])) {
      const version = this.#at(revision, oldest, known);
      if (version === undefined) return [];
      versions.push(version);
    }
    return versions;
  }

  /** The changes after a revision that made the record another one, or may have, but for the device's own. */
  replacements(since: number, device: DeviceKey): PastChange[] {
    return this.#changes.filter((each) => isWhole(each) && each.revision > since && each.by !== device);
  }

  /** The record at a revision; `undefined` where that is not known. */
  #at(
    revision: number,
    oldest: JsonObject | null,
    known: readonly (JsonObject | null)[],
  ): JsonObject | null | undefined {
    let record: JsonObject | null = oldest;
    for (const change of [...this.#changes].reverse()) {
      if (change.revision <= revision) break;
      if (isWhole(change)) {
        if (change.before !== ABSENT || revision < change.since) return undefined;
        record = null;
      } else if (record !== null)
        record = withValue(record, change.path, valueBefore(change, revision, known));
    }
    return record;
  }
}

/** The oldest ones become one of the whole record. */
function bounded(changes: readonly PastChange[]): readonly PastChange[] {
  let [first, bytes] = [changes.length, 0];
  for (const { path } of [...changes].reverse()) {
    bytes += JSON.stringify(path).length;
    if (bytes > MOST_PATHS || changes.length - first === MOST_CHANGES) break;
    first--;
  }
  // The last one that is told apart makes room for the one of the whole record.
  const last = first === 0 ? undefined : changes[Math.min(first, changes.length - 1)];
  if (last === undefined) return changes;
  return [{ ...last, path: [], before: UNKNOWN, since: 0, by: null }, ...changes.slice(first + 1)];
}

const isWhole = ({ path }: PastChange): boolean => path.length === 0;

/** Those of one path that tell something: what a device had read, or wrote itself, or when the last one was. */
function neededOf(changes: readonly PastChange[], away: readonly AwayDevice[]): PastChange[] {
  const needed: PastChange[] = [];
  const isOwn = (change: PastChange | undefined) => away.some(({ key }) => key === change?.by);
  let dropped = 0;
  for (const [index, change] of changes.entries()) {
    const since = Math.max(dropped, change.since);
    const previous = Math.max(changes[index - 1]?.revision ?? 0, since);
    const isSeen = away.some(({ from, to }) => change.revision > from && previous <= to);
    if (isSeen || isOwn(change) || isOwn(changes[index - 1])) needed.push({ ...change, since });
    else if (index === changes.length - 1) needed.push(lastOnly(change, since));
    else {
      dropped = change.revision;
      continue;
    }
    dropped = 0;
  }
  return needed;
}

/** No device that is away had read what was before it. */
function lastOnly(change: PastChange, since: number): PastChange {
  const past = isWhole(change) ? { before: change.before, since } : { before: UNKNOWN, since: 0 };
  return { ...change, ...past, by: null };
}

const touches = (changed: readonly string[], path: Path): boolean =>
  changed.every((name, index) => {
    const step = path[index];
    return typeof step !== 'string' || step === name; // no change is told from another inside a list
  });

/** What stood at the path of a change at a revision before it. */
function valueBefore(
  { path, before, since }: PastChange,
  revision: number,
  known: readonly (JsonObject | null)[],
): Json | undefined {
  if (before === ABSENT) return revision < since ? FORGOTTEN : undefined;
  if (before === UNKNOWN || revision < since) return FORGOTTEN;
  const candidates = known.map((record) => valueAt(record ?? undefined, path));
  const found = candidates.findIndex((value) => digestOf(value) === before);
  return found === -1 ? FORGOTTEN : candidates[found];
}

export function valueAt(record: Json | undefined, path: readonly string[]): Json | undefined {
  let value = record;
  for (const name of path) value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value;
}

function withValue(
  record: JsonObject,
  [name, ...rest]: readonly string[],
  value: Json | undefined,
): JsonObject {
  if (name === undefined) return record;
  const inside = rest.length === 0 ? value : inner(valueAt(record, [name]), rest, value);
  const { [name]: _, ...others } = record;
  return inside === undefined ? others : { ...others, [name]: inside };
}

function inner(outer: Json | undefined, path: readonly string[], value: Json | undefined): Json | undefined {
  if (isObject(outer)) return withValue(outer, path, value);
  return outer === undefined && value === undefined ? undefined : FORGOTTEN;
}
