/**
 * Records whose last message an app may have lost, since another one of their collection came too soon before or
 * after it (L4): the device may be looking at what it had before that, until it is sent the record again.
 */
import { keyOf, type RecordKey } from './record-key.js';

interface Mark {
  /** It had certainly read what there was at this revision. */
  readonly since: number;
  /** When it had read the record again; writes of before that may wait in a queue still. `null`: not yet. */
  readonly until: number | null;
}

/** So many are told apart; of the others, what holds for one holds for all records. */
const MAX_RECORDS = 256;

export interface SavedUnsure {
  readonly records: readonly (readonly [string, Mark])[];
  readonly all: Mark | null;
}

export class UnsureRecords {
  readonly #records: Map<string, Mark>;
  #all: Mark | null;

  constructor({ records, all }: SavedUnsure = { records: [], all: null }) {
    this.#records = new Map(records);
    this.#all = all;
  }

  /** A message with this record, or with all, came too close to another one. */
  mark(what: RecordKey | 'everything', since: number): void {
    const mark = { since, until: null };
    if (what === 'everything') {
      this.#all = both(this.#all, mark);
      return;
    }
    const key = keyOf(what);
    const known = this.#records.get(key) ?? null;
    this.#records.delete(key);
    this.#records.set(key, both(known, mark));
    if (this.#records.size <= MAX_RECORDS) return;
    for (const [oldest, each] of this.#records) {
      this.#records.delete(oldest);
      this.#all = both(this.#all, each);
      break;
    }
  }

  /** It has read this record, or all, in a message that stood alone; returns whether that is news. */
  clear(what: RecordKey | 'everything', at: number): boolean {
    if (what !== 'everything') return this.#clearOne(keyOf(what), at);
    const isAll = this.#all !== null && this.#all.until === null;
    if (isAll && this.#all !== null) this.#all = { ...this.#all, until: at };
    return [...this.#records.keys()].map((key) => this.#clearOne(key, at)).includes(true) || isAll;
  }

  #clearOne(key: string, at: number): boolean {
    const mark = this.#records.get(key);
    if (mark === undefined || mark.until !== null) return false;
    this.#records.set(key, { ...mark, until: at });
    return true;
  }

  /**
   * From which revision on the device may be looking at versions of this record.
   *
   * @param madeAt of the write in question; `null`: not known
   */
  since(key: RecordKey, madeAt: number | null): number {
    const marks = [this.#all, this.#records.get(keyOf(key))];
    const since = marks.map((mark) => (mark && isOpenAt(mark, madeAt) ? mark.since : undefined));
    return Math.min(...since.map((revision) => revision ?? Number.POSITIVE_INFINITY));
  }

  /** The oldest revision of any of them. */
  get oldest(): number {
    const marks = [...this.#records.values(), ...(this.#all === null ? [] : [this.#all])];
    return Math.min(...marks.map(({ since }) => since));
  }

  /** Forgets those that were read before this time. */
  forgetBefore(time: number): void {
    for (const [key, mark] of this.#records) if (!isOpenAt(mark, time)) this.#records.delete(key);
    if (this.#all !== null && !isOpenAt(this.#all, time)) this.#all = null;
  }

  toJSON(): SavedUnsure {
    return { records: [...this.#records], all: this.#all };
  }
}

const isOpenAt = ({ until }: Mark, time: number | null): boolean =>
  time === null || until === null || time < until;

function both(a: Mark | null, b: Mark): Mark {
  if (a === null) return b;
  const until = a.until === null || b.until === null ? null : Math.max(a.until, b.until);
  return { since: Math.min(a.since, b.since), until };
}
