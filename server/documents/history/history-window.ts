/**
 * The last part of a user's history in memory: what a merge compares with (L4–L9). It reaches back as far as
 * somebody asked for, and is read from the store when a write needs more.
 */
import { equalityDeep } from 'lib0/function';
import { elementId } from '../../../shared/elements.js';
import { isObject, type Json, type JsonObject, type JsonRecord } from '../../../shared/json.js';
import type { Path, PathStep } from '../../../shared/merge/merge.js';
import type { DeviceKey } from '../../../shared/names.js';
import type { HistoryRow, StoredDocument } from '../../store/store.js';
import type { Origin } from '../changes.js';
import { firstIndex } from '../first-index.js';
import type { LastChange } from '../later-wins/later-wins.js';
import { type MadeAt, ON_ARRIVAL } from '../later-wins/made-at.js';
import type { RecordImage } from '../records/record-image.js';
import type { ImageChange } from '../records/record-images.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { ABSENT } from './digests.js';
import { earlierImage, entryOf, type HistoryEntry, readEntry, type StoredEntry } from './history-entry.js';
import type { AwayDevice, PastVersion } from './past-changes.js';
import type { Remembered } from './remembered.js';

/** Revisions, both included. */
export interface RevisionRange {
  readonly from: number;
  readonly to: number;
}

export interface KnownDeletion {
  readonly revision: number;
  readonly at: number;
  /** The device that deleted it; `null` where it is not known any more. */
  readonly by: Pick<Origin, 'device' | 'actor'> | null;
}

/** So many of the last entries stay in memory in any case. */
const MIN_ENTRIES = 20;
/** How long what was read stays in memory at least, in ms. */
const REST = 60_000;

/** When a write was made. */
export interface WriteTime {
  /** By the server's clock; `null` if it does not say: then it counts as made when it came in. */
  readonly madeAt: number | null;
  /** Whether the clock of its author was known by then. */
  readonly isCertain: boolean;
}

/** When the changes of records were made, by their keys, where that is not when they came in; `null`: not known. */
export type TimesMade = Pick<ReadonlyMap<string, WriteTime>, 'get'> | null;

/** One time for all that an update changes; what came live without one was made now. */
export const timesOf = (madeAt: MadeAt): TimesMade | undefined =>
  madeAt === null ? null : madeAt === ON_ARRIVAL ? undefined : { get: () => ({ madeAt, isCertain: true }) };

export class HistoryWindow {
  /** The user's change counter: the revision of the last entry. */
  revision: number;
  /** When some of it was last read from the store. */
  readAt = Number.NEGATIVE_INFINITY;
  /** Fields of the records in what was read back, and entries, until some of it is let go. */
  recalledFields = 0;
  /** The entries in memory are those of all revisions after this one. */
  #from: number;
  /** The oldest revision whose state can be told at all. */
  #floor: number;
  /** What is older was too much to read. */
  #limit = 0;
  /** In the order of their revisions. */
  #entries: HistoryEntry[] = [];
  #byRecord = new Map<string, HistoryEntry[]>();
  /** What is remembered of the history that is not kept; `null` while it was not read. */
  #remembered: Remembered | null = null;
  readonly #current: (key: RecordKey) => RecordImage | null;

  readonly #past: (date: number) => number;

  /**
   * @param current the record after the last entry
   * @param past what a date counts as that was made before
   */
  constructor(
    { revision, historyFrom }: Pick<StoredDocument, 'revision' | 'historyFrom'>,
    current: (key: RecordKey) => RecordImage | null,
    past: (date: number) => number = (date) => date,
  ) {
    this.#past = past;
    this.revision = revision;
    this.#from = revision;
    this.#floor = historyFrom;
    this.#current = current;
  }

  /** The oldest revision whose state is known without reading the store. */
  get from(): number {
    return this.#from;
  }

  get floor(): number {
    return this.#floor;
  }

  /** The oldest revision that a merge may be compared with; what was seen before it counts as not known (L8). */
  get oldest(): number {
    return Math.max(this.#floor, this.#limit);
  }

  /** Nothing older than what is in memory is read, until some of it is let go. */
  limit(): void {
    this.#limit = this.#from;
  }

  /** Whether everything that can be told about revisions from `from` on is in memory. */
  covers(from: number): boolean {
    if (from >= this.#from) return true;
    return this.#from <= this.oldest && this.#remembered !== null;
  }

  /** Enters the changes that came of one update, each under a revision of its own (H5). */
  enter(
    changes: readonly ImageChange[],
    { device, actor, via }: Pick<Origin, 'device' | 'actor' | 'via'>,
    at: number,
    made?: TimesMade,
  ): readonly HistoryEntry[] {
    return changes.map(({ collection, id, before, after }) => {
      const key = keyOf({ collection, id });
      const time = made?.get(key);
      const madeAt = time?.madeAt ?? at;
      const revision = ++this.revision;
      const untimed = made === null;
      const uncertain = time !== undefined && !time.isCertain;
      // Not spread: this runs for each change, and that costs more than all the rest.
      const entry = {
        revision,
        collection,
        id,
        before,
        after,
        device,
        actor,
        via,
        at,
        madeAt,
        untimed,
        uncertain,
      };
      this.#entries.push(entry);
      const others = this.#byRecord.get(key);
      if (others === undefined) this.#byRecord.set(key, [entry]);
      else others.push(entry);
      return entry;
    });
  }

  /**
   * Enters writes that were overruled when they came in (D3): each as a change to what would have been, and one back.
   * No device ever saw that, so merges know nothing of them.
   */
  enterOverruled(
    lost: readonly ImageChange[],
    { device, actor, via }: Pick<Origin, 'device' | 'actor' | 'via'>,
    at: number,
    madeAt: number,
  ): readonly HistoryEntry[] {
    return lost.flatMap(({ collection, id, before, after }) => {
      const common = { collection, id, device, actor, via, at, overruled: true };
      const there = { ...common, revision: ++this.revision, before, after, madeAt };
      const back = { ...common, revision: ++this.revision, before: after, after: before, madeAt: at };
      this.#entries.push(there, back);
      return [there, back];
    });
  }

  /** Rows of the store that come before what is in memory, newest first; `false` where one is not sound. */
  prepend(rows: readonly HistoryRow[]): boolean {
    const older: HistoryEntry[] = [];
    for (const { revision, entry: bytes } of rows) {
      const stored = readEntry(bytes);
      const entry = stored === null ? null : this.#earlier(revision, stored);
      if (entry === null || revision !== this.#from) break;
      older.push(entry);
      this.recalledFields += 1 + Object.keys(entry.before?.json ?? {}).length;
      this.#from = revision - 1;
      if (entry.overruled) continue;
      const later = this.#byRecord.get(keyOf(entry));
      if (later === undefined) this.#byRecord.set(keyOf(entry), [entry]);
      else later.unshift(entry);
    }
    this.#entries = [...older.reverse(), ...this.#entries];
    return older.length === rows.length;
  }

  #earlier(revision: number, stored: StoredEntry): HistoryEntry | null {
    const [later] = this.#of(stored);
    const after = later === undefined ? this.#current(stored) : later.before;
    const before = stored.overruled ? after : earlierImage(stored, after);
    if (before === undefined) return null;
    return entryOf(stored, revision, before, after);
  }

  /** What came after this revision was never saved. */
  backTo(revision: number): void {
    while (this.#entries.length > 0 && this.revision > revision) {
      const entry = this.#entries.pop();
      if (entry !== undefined && !entry.overruled) this.#byRecord.get(keyOf(entry))?.pop();
      this.revision--;
    }
    this.revision = revision;
  }

  /** Nothing before this revision can be told any more. */
  raiseFloor(revision: number): void {
    if (revision <= this.#floor) return;
    this.#floor = revision;
    this.#remembered = null;
    this.#drop(revision);
  }

  remember(remembered: Remembered): void {
    this.#remembered = remembered;
  }

  /** When the last change came in, as far as that is in memory. */
  get lastAt(): number | undefined {
    return this.#entries.at(-1)?.at;
  }

  /** Lets go of entries that no connected device needs, now and then; they can be read again. */
  trim(now: number, neededFrom: () => number): void {
    if (now - this.readAt <= REST || this.#entries.length < 2 * MIN_ENTRIES) return;
    const last = this.#entries.at(-MIN_ENTRIES)?.revision ?? 0;
    this.#remembered = null;
    this.#drop(Math.min(last, neededFrom()));
  }

  /** The states of a record at these revisions, the oldest first. */
  versions(key: RecordKey, { from, to }: RevisionRange): (RecordImage | null)[] {
    const later = this.changes(key, from, to);
    const next = later[0] ?? this.#of(key)[firstAfter(this.#of(key), from)];
    const oldest = next === undefined ? this.#current(key) : next.before;
    return [oldest, ...later.map(({ after }) => after)];
  }

  /** The entries of a record after `since`, up to and including `to`. */
  changes(key: RecordKey, since: number, to: number): HistoryEntry[] {
    const entries = this.#of(key);
    return entries.slice(firstAfter(entries, since), firstAfter(entries, to));
  }

  /** The last deletion of a record, as far as it is known. */
  deletion(key: RecordKey): KnownDeletion | null {
    const last = this.#of(key).findLast(({ after }) => after === null);
    if (last !== undefined) return { revision: last.revision, at: this.#past(last.madeAt), by: last };
    const remembered = this.#remembered?.deletion(key) ?? null;
    if (remembered === null) return null;
    return { revision: remembered.revision, at: this.#past(remembered.at), by: null };
  }

  /**
   * When the value at `path` was last changed, an upper bound where nothing tells.
   *
   * @param timeOf when a change that is in memory was made
   */
  changedAt(key: RecordKey, path: Path, timeOf = ({ madeAt }: HistoryEntry): number => madeAt): number {
    const entries = this.#of(key);
    for (let index = entries.length - 1; index >= 0; index--) {
      const entry = entries[index] as HistoryEntry;
      if (differsAt(entry, path)) return this.#past(timeOf(entry));
    }
    if (entries[0]?.before === null) return Number.NEGATIVE_INFINITY;
    const remembered = this.#beforeFloor;
    if (remembered === null) return this.oldestTime();
    const isThere = at(this.#oldest(key)?.json, path) !== undefined;
    return this.#past(remembered.changedAt(key, path, isThere));
  }

  /**
   * The versions of a record from before the floor that a device may have been looking at which is away for longer
   * than history is kept; empty where one is not known any more (L8).
   *
   * @param known what a field may have been in them, what came in first
   */
  versionsBefore(
    key: RecordKey,
    device: AwayDevice,
    known: readonly (JsonObject | null)[],
  ): readonly PastVersion[] {
    return this.#beforeFloor?.versions(key, device, this.#oldest(key)?.json ?? null, known) ?? [];
  }

  /** What the device itself changed of a record after `since`, of what is remembered of changes before the floor. */
  madeBefore(key: RecordKey, since: number, device: DeviceKey) {
    return this.#beforeFloor?.changes(key).madeBy(device, since) ?? [];
  }

  /**
   * Whether the record may be another one than that of a revision which is before what is in memory, and when one was
   * last made anew after it; what the device itself did does not count.
   */
  replaced(key: RecordKey, since: number, device: DeviceKey) {
    const changes = this.#remembered?.changes(key).replacements(since, device) ?? [];
    const made = changes.findLast(({ before }) => before === ABSENT);
    const anew = made === undefined ? null : { revision: made.revision, madeAt: this.#past(made.madeAt) };
    return { isOther: changes.length > 0, anew };
  }

  /** What is remembered, where it tells of everything before what is in memory. */
  get #beforeFloor(): Remembered | null {
    if (this.#from > this.#floor || this.oldest > this.#floor) return null;
    return this.#remembered?.untold.until === this.#floor ? this.#remembered : null;
  }

  /** The record at the floor, where everything since is in memory. */
  #oldest(key: RecordKey): RecordImage | null {
    const [first] = this.#of(key);
    return first === undefined ? this.#current(key) : first.before;
  }

  /** The same for a device that speaks Yjs (D3): exactly where an entry in memory tells, else an upper bound. */
  lastChange(key: RecordKey, path: Path): LastChange {
    const entry = this.#of(key).findLast((each) => differsAt(each, path));
    if (entry === undefined) return { at: this.oldestTime(), isExact: false };
    return { at: entry.madeAt, isExact: entry.untimed !== true };
  }

  /** Whether everything in memory that was made at `time` or later, as far as history is kept. */
  reaches(time: number): boolean {
    return this.#from <= this.#floor || (this.#entries[0]?.at ?? Number.POSITIVE_INFINITY) < time;
  }

  /** Before this, the last change of what no entry in memory tells was made; now, if there is no entry. */
  oldestTime(): number {
    const [oldest] = this.#entries;
    return oldest === undefined ? Number.POSITIVE_INFINITY : this.#past(oldest.at);
  }

  #of(key: RecordKey): readonly HistoryEntry[] {
    return this.#byRecord.get(keyOf(key)) ?? [];
  }

  #drop(upTo: number): void {
    if (upTo <= this.#from) return;
    this.recalledFields = 0;
    this.#limit = 0;
    const dropped = this.#entries.splice(0, firstAfter(this.#entries, upTo));
    for (const entry of dropped) if (!entry.overruled) this.#dropFromRecord(keyOf(entry));
    this.#from = upTo;
  }

  #dropFromRecord(key: string): void {
    const entries = this.#byRecord.get(key);
    entries?.shift();
    if (entries?.length === 0) this.#byRecord.delete(key);
  }
}

/** Where the first one after this revision is. */
const firstAfter = (entries: readonly HistoryEntry[], since: number): number =>
  firstIndex(entries, ({ revision }) => revision > since);

function differsAt({ before, after }: HistoryEntry, path: Path): boolean {
  const [old, now] = [at(before?.json, path), at(after?.json, path)];
  return old !== now && !(old !== undefined && now !== undefined && equalityDeep(old, now));
}

function at(record: JsonRecord | undefined, path: Path): Json | undefined {
  let value: Json | undefined = record;
  for (const step of path) value = value === undefined ? undefined : inside(value, step);
  return value;
}

function inside(value: Json, step: PathStep): Json | undefined {
  if (typeof step === 'string') {
    return isObject(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return Array.isArray(value) ? value.find((element) => elementId(element) === step.id) : undefined;
}
