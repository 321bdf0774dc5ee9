/**
 * What is remembered of a record's changes when their entries are gone (L8): when what of it was last changed, and,
 * while a device is away that had read less, a digest of what stood there before. So what nobody else changed is told
 * from what somebody did, and what the device wrote from what it only sent along.
 */
import type { JsonObject } from '../../../shared/json.js';
import type { Path } from '../../../shared/merge/merge.js';
import type { DeviceKey } from '../../../shared/names.js';
import { ABSENT, type Digest, IN_ELEMENTS, IN_PARTS, parted, UNKNOWN } from './digests.js';
import { isListOrder, type KnownValues, PastRecord } from './past-record.js';

/** Of one record. */
export const MOST_CHANGES = 1_000;
/** Of one record, the names in all its paths, in characters of JSON; what they leave is for the values of lists. */
export const MOST_PATHS = 65_536;

/** A change of what stands at a path. */
export interface PastChange {
  readonly path: Path;
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

/** A version of a record that a device may have been looking at, and what led to it from the one before. */
export interface PastVersion {
  readonly revision: number;
  readonly json: JsonObject | null;
  readonly changes: readonly PastChange[];
}

/** How it is stored, as JSON; what is at its default is left out at the end. */
type Saved = readonly [
  path: Path,
  revision: number,
  madeAt: number,
  before?: Digest,
  since?: number,
  by?: DeviceKey | null,
  /** Digests of the values of a list. */
  values?: string,
];

export class PastChanges {
  /** In the order of their revisions; what a deletion took with it comes before that. */
  readonly #changes: readonly PastChange[];

  constructor(changes: readonly PastChange[]) {
    this.#changes = changes;
  }

  static decode(bytes: Uint8Array): PastChanges {
    const saved = JSON.parse(Buffer.from(bytes).toString()) as Saved[];
    if (!Array.isArray(saved) || !saved.every((each) => Array.isArray(each) && Array.isArray(each[0])))
      throw new Error('This is not what is remembered of changes.');
    return new PastChanges(
      saved.map(([path, revision, madeAt, before = UNKNOWN, since = 0, by = null, values = '']) => ({
        path,
        revision,
        madeAt,
        before: `${before}${values}`,
        since,
        by,
      })),
    );
  }

  encode(): Uint8Array {
    const saved = this.#changes.map(({ path, revision, madeAt, before: digest, since, by }): Saved => {
      const [before, values] = parted(digest);
      if (values !== '') return [path, revision, madeAt, before, since, by, values];
      if (by !== null) return [path, revision, madeAt, before, since, by];
      if (since > 0) return [path, revision, madeAt, before, since];
      return before === UNKNOWN ? [path, revision, madeAt] : [path, revision, madeAt, before];
    });
    return Buffer.from(JSON.stringify(saved));
  }

  /** The same with other digests of the same values. */
  withDigests(digestOf: (before: Digest) => Digest): PastChanges {
    const isValue = ({ before }: PastChange) => ![UNKNOWN, ABSENT, IN_PARTS, IN_ELEMENTS].includes(before);
    return new PastChanges(
      this.#changes.map((each) =>
        isValue(each) ? { ...each, before: digestOf(parted(each.before)[0]) } : each,
      ),
    );
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
    const byPath = new Map<string, Placed[]>();
    for (const [index, change] of all.entries()) {
      const key = JSON.stringify(change.path);
      const others = byPath.get(key);
      const placed = { change, isBefore: index < whole && !isWhole(change), index };
      if (others === undefined) byPath.set(key, [placed]);
      else others.push(placed);
    }
    const kept = [...byPath.values()].flatMap((changes) => neededOf(changes, away));
    return new PastChanges(bounded(kept.sort((a, b) => a.index - b.index).map(({ change }) => change)));
  }

  /** Whether they tell more than that the record was deleted at this revision. */
  tellMoreThan(deletion: number): boolean {
    const [first, second] = this.#changes;
    if (first === undefined || second !== undefined) return second !== undefined;
    return first.revision !== deletion || first.before !== UNKNOWN || first.by !== null;
  }

  /** When the value at a path was last changed; -Infinity: not since the record was made. */
  last(path: Path, isThere: boolean): Pick<PastChange, 'revision' | 'madeAt'> | null {
    const index = this.#changes.findLastIndex(isWhole);
    const last = this.#changes.slice(index + 1).findLast((change) => touches(change.path, path));
    if (last !== undefined) return last;
    const whole = this.#changes[index];
    if (whole === undefined) return null;
    // What was not there when the record was first made, and never changed since, was never there.
    const isFirst =
      this.#changes.findIndex(isWhole) === index && whole.before === ABSENT && whole.since === 0;
    return isThere || !isFirst ? whole : { ...whole, madeAt: Number.NEGATIVE_INFINITY };
  }

  /**
   * The versions that a device may have been looking at, one for each revision; empty where one can't be told.
   *
   * @param oldest the record after the last one of these changes
   */
  versions({ key, from, to }: AwayDevice, oldest: JsonObject | null, known: KnownValues): PastVersion[] {
    const made = new Map<number, PastChange[]>([[from, []]]);
    for (const change of this.#changes) {
      const { revision, by } = change;
      if (revision <= from || (revision > to && by !== key)) continue;
      const others = made.get(revision);
      if (others === undefined) made.set(revision, [change]);
      else others.push(change);
    }
    const steps = this.#backward();
    const record = new PastRecord(oldest, known);
    const versions: PastVersion[] = [];
    for (const [revision, changes] of [...made].sort(([a], [b]) => b - a)) {
      for (let step = steps[0]; step !== undefined && step.revision > revision; step = steps[0]) {
        record.stepBack(step);
        steps.shift();
      }
      if (record.json === undefined) return [];
      versions.unshift({ revision, json: record.json, changes });
    }
    return versions;
  }

  /** From the last change on: what stood at a path before each, and from where on back that is not known. */
  #backward(): Step[] {
    const steps = this.#changes.flatMap(({ path, revision, before, since }): Step[] => {
      const step = { path, revision, before };
      return since > 0 ? [{ path, revision: since, before: UNKNOWN }, step] : [step];
    });
    return steps.reverse().sort((a, b) => b.revision - a.revision);
  }

  /** Those after a revision that a device made itself. */
  madeBy(device: DeviceKey, since: number): readonly Pick<PastChange, 'revision' | 'madeAt'>[] {
    return this.#changes.filter(({ by, revision }) => by === device && revision > since);
  }

  /** The changes after a revision that made the record another one, or may have, but for the device's own. */
  replacements(since: number, device: DeviceKey): PastChange[] {
    return this.#changes.filter((each) => isWhole(each) && each.revision > since && each.by !== device);
  }
}

type Step = Pick<PastChange, 'path' | 'revision' | 'before'>;

interface Placed {
  readonly change: PastChange;
  /** It is of what the record was before it was made anew, or replaced. */
  readonly isBefore: boolean;
  readonly index: number;
}

/** Of lists, what happened inside is not told apart any more; then the oldest changes become one of the whole record. */
function bounded(changes: readonly PastChange[]): readonly PastChange[] {
  return withFewerValues(toldApart(changes));
}

function toldApart(changes: readonly PastChange[]): readonly PastChange[] {
  if (fitting(changes) === 0) return changes;
  const coarse = withoutInside(changes);
  const first = fitting(coarse);
  // The last one that is told apart makes room for the one of the whole record.
  const last = first === 0 ? undefined : coarse[Math.min(first, coarse.length - 1)];
  if (last === undefined) return coarse;
  return [{ ...last, path: [], before: UNKNOWN, since: 0, by: null }, ...coarse.slice(first + 1)];
}

/** Where there is no room for the values of all lists, the older ones count as one value. */
function withFewerValues(changes: readonly PastChange[]): readonly PastChange[] {
  let room = MOST_PATHS - changes.reduce((sum, { path }) => sum + JSON.stringify(path).length, 0);
  const told = [...changes].reverse().map((change) => {
    const [before, values] = parted(change.before);
    if (values.length > room) return { ...change, before };
    room -= values.length;
    return change;
  });
  return told.reverse();
}

/** The first one of the last ones that are not too many. */
function fitting(changes: readonly PastChange[]): number {
  let [first, bytes] = [changes.length, 0];
  for (const { path } of [...changes].reverse()) {
    bytes += JSON.stringify(path).length;
    if (bytes > MOST_PATHS || changes.length - first === MOST_CHANGES) break;
    first--;
  }
  return first;
}

function withoutInside(changes: readonly PastChange[]): PastChange[] {
  const last = new Map<string, PastChange>();
  const coarse = changes.map((change) => {
    const end = change.path.findIndex((step) => typeof step !== 'string' || isListOrder(step));
    if (end === -1) return change;
    const list = { ...change, path: change.path.slice(0, end), before: UNKNOWN, since: 0, by: null };
    last.set(JSON.stringify(list.path), list);
    return list;
  });
  return coarse.filter((each) => (last.get(JSON.stringify(each.path)) ?? each) === each);
}

const isWhole = ({ path }: Pick<PastChange, 'path'>): boolean => path.length === 0;

/** Those of one path that tell something: what a device had read, or wrote itself, or when the last one was. */
function neededOf(changes: readonly Placed[], away: readonly AwayDevice[]): Placed[] {
  const needed: Placed[] = [];
  const isOwn = (placed: Placed | undefined) => away.some(({ key }) => key === placed?.change.by);
  let dropped = 0;
  for (const [index, placed] of changes.entries()) {
    const { change, isBefore } = placed;
    const since = Math.max(dropped, change.since);
    const previous = Math.max(changes[index - 1]?.change.revision ?? 0, since);
    const isSeen = away.some(({ from, to }) => change.revision > from && previous <= to);
    if (isSeen || isOwn(placed) || isOwn(changes[index - 1]))
      needed.push({ ...placed, change: { ...change, since } });
    else if (index === changes.length - 1 && !isBefore)
      needed.push({ ...placed, change: lastOnly(change, since) });
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
  const isMade = change.before === ABSENT;
  return { ...change, ...(isMade ? { since } : { before: UNKNOWN, since: 0 }), by: null };
}

const touches = (changed: Path, path: Path): boolean =>
  changed.every((step, index) => {
    const other = path[index];
    if (other === undefined) return true; // a change inside
    if (typeof step === 'string' && typeof other === 'string') return step === other;
    if (typeof step === 'string') return !isListOrder(step); // where elements stand is not what they are
    return typeof other === 'string' || step.id === other.id;
  });
