/**
 * Records whose last message an app may have lost, since another one of their collection came too soon before or
 * after it (L4): the device may be looking at what it had before that, until it is sent the record again.
 */
import { keyOf, type RecordKey } from '../records/record-key.js';

interface Mark {
  /** When the last message came too close to another one; not there in what earlier versions saved. */
  readonly at?: number;
  /** It had certainly read what there was at this revision. */
  readonly since: number;
  /** When it had read the record again; writes of before that may wait in a queue still. `null`: not yet. */
  readonly until: number | null;
}

/** So many are told apart; of the others, what holds for one holds for all records. */
const MAX_RECORDS = 256;
/** So many times of doubt about one record are told apart; of the oldest, what holds for one holds for both. */
const MAX_MARKS = 4;

export interface SavedUnsure {
  /** A record is there once for each time that it was in doubt. */
  readonly records: readonly (readonly [string, Mark])[];
  readonly all: Mark | null;
}

export class UnsureRecords {
  /** By record, the oldest mark first; only the last one may be open. */
  readonly #records = new Map<string, readonly Mark[]>();
  #all: readonly Mark[];

  constructor({ records, all }: SavedUnsure = { records: [], all: null }) {
    for (const [key, mark] of records) this.#records.set(key, added(this.#of(key), mark));
    this.#all = all === null ? [] : [all];
  }

  /** A message with this record, or with all, came too close to another one. */
  mark(what: RecordKey | 'everything', since: number, at: number): void {
    const mark = { at, since, until: null };
    if (what === 'everything') {
      this.#all = added(this.#all, mark);
      return;
    }
    const key = keyOf(what);
    const marks = added(this.#of(key), mark);
    this.#records.delete(key);
    this.#records.set(key, marks);
    if (this.#records.size <= MAX_RECORDS) return;
    for (const [oldest, each] of this.#records) {
      this.#records.delete(oldest);
      this.#all = each.reduce(added, this.#all);
      break;
    }
  }

  /** By `at` it has read this record, or all, in a message of this time; returns whether that is news. */
  clear(what: RecordKey | 'everything', sentAt: number, at: number): boolean {
    if (what !== 'everything') return this.#clearOne(keyOf(what), sentAt, at);
    const all = closed(this.#all, sentAt, at);
    const isAll = all !== this.#all;
    this.#all = all;
    return [...this.#records.keys()].map((key) => this.#clearOne(key, sentAt, at)).includes(true) || isAll;
  }

  #clearOne(key: string, sentAt: number, at: number): boolean {
    const marks = this.#of(key);
    const left = closed(marks, sentAt, at);
    if (left === marks) return false;
    this.#records.set(key, left);
    return true;
  }

  /**
   * From which revision on the device may be looking at versions of this record.
   *
   * @param madeAt of the write in question; `null`: not known
   */
  since(key: RecordKey, madeAt: number | null): number {
    return Math.min(openSince(this.#all, madeAt), openSince(this.#of(keyOf(key)), madeAt));
  }

  /** The oldest revision of any of them that was not read before this time. */
  oldestSince(time: number): number {
    const marks = [...[...this.#records.values()].flat(), ...this.#all];
    return Math.min(...marks.filter((mark) => isOpenAt(mark, time)).map(({ since }) => since));
  }

  /** Forgets those that were read before this time. */
  forgetBefore(time: number): void {
    const isLeft = (mark: Mark) => isOpenAt(mark, time);
    for (const [key, marks] of this.#records) {
      const left = marks.filter(isLeft);
      if (left.length === 0) this.#records.delete(key);
      else this.#records.set(key, left);
    }
    this.#all = this.#all.filter(isLeft);
  }

  #of(key: string): readonly Mark[] {
    return this.#records.get(key) ?? [];
  }

  toJSON(): SavedUnsure {
    const records = [...this.#records].flatMap(([key, marks]) => marks.map((mark) => [key, mark] as const));
    return { records, all: this.#all.length === 0 ? null : this.#all.reduce(both) };
  }
}

const isOpen = ({ until }: Mark): boolean => until === null;

const isOpenAt = ({ until }: Mark, time: number | null): boolean =>
  time === null || until === null || time < until;

/** The oldest revision of those that are open then. */
function openSince(marks: readonly Mark[], time: number | null): number {
  let oldest = Number.POSITIVE_INFINITY;
  for (const mark of marks) if (isOpenAt(mark, time)) oldest = Math.min(oldest, mark.since);
  return oldest;
}

/** The last one ends by a message that was sent later: what came before, or was in doubt itself, settles nothing. */
function closed(marks: readonly Mark[], sentAt: number, until: number): readonly Mark[] {
  const last = marks.at(-1);
  if (last === undefined || !isOpen(last) || (last.at ?? 0) >= sentAt) return marks;
  return [...marks.slice(0, -1), { ...last, until }];
}

function added(marks: readonly Mark[], mark: Mark): readonly Mark[] {
  const last = marks.at(-1);
  if (last !== undefined && isOpen(last)) return [...marks.slice(0, -1), both(last, mark)];
  const [first, second, ...rest] = marks;
  const isFull = first !== undefined && second !== undefined && marks.length >= MAX_MARKS;
  return [...(isFull ? [both(first, second), ...rest] : marks), mark];
}

function both(a: Mark, b: Mark): Mark {
  const until = a.until === null || b.until === null ? null : Math.max(a.until, b.until);
  return { at: Math.max(a.at ?? 0, b.at ?? 0), since: Math.min(a.since, b.since), until };
}
