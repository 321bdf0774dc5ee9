/** Which revisions a device may have been looking at when its last connections ended (L4, L5). */
import type { RevisionRange } from './history.js';

/** A connection that has ended, or requests that confirmed what was received. */
export interface Ended extends RevisionRange {
  readonly startedAt: number;
  /** `null` where the server ended first, without a word. */
  readonly at: number | null;
  readonly isHttp: boolean;
  /** Up to here the device's own writes may be sent again: it may not know that they have arrived. */
  readonly repeatedUpTo: number;
}

/** What a device may have been looking at when a connection ended. */
export interface SeenRange extends RevisionRange {
  /** When the device's copy was last made anew. */
  readonly startedAt: number;
  /** Whether the connection ended in order, so that everything of the device's own last writes is known. */
  readonly isComplete: boolean;
  /** Up to here the device's own writes may be sent again. */
  readonly repeatedUpTo: number;
}

interface Open {
  readonly startedAt: number;
  from: number;
}

/** So many are kept, to find the one that a queued write was made after. */
const MAX_ENDED = 8;
/** A device may not have flushed its queue yet when its connection ended: as long as L5 waits for it. */
export const FLUSH_TIME = 30_000;

export interface SavedConnections {
  readonly ended: readonly Ended[];
  readonly open: Open | null;
}

export class DeviceConnections {
  #ended: Ended[];
  #open: Open | null = null;
  #count = 0;

  /** @param revision the user's revision at load: what did not end may have received all up to it */
  constructor({ ended, open }: SavedConnections = { ended: [], open: null }, revision = 0) {
    this.#ended = ended.map((each) => (each.isHttp ? { ...each, to: Math.max(each.to, revision) } : each));
    if (open !== null)
      this.#push({
        ...open,
        at: null,
        to: Math.max(open.from, revision),
        isHttp: false,
        repeatedUpTo: revision,
      });
  }

  get isConnected(): boolean {
    return this.#count > 0;
  }

  /** The oldest revision that a write of this device may have to be compared with. */
  get neededFrom(): number {
    return Math.min(this.#open?.from ?? Number.POSITIVE_INFINITY, ...this.#ended.map(({ from }) => from));
  }

  /** The newest revision that it may have received by now; -1 if none. */
  get lastSeen(): number {
    return Math.max(-1, ...this.#ended.map(({ to }) => to));
  }

  /**
   * Returns whether that is news to be saved at once.
   *
   * @param revision what the first full sync will show at least
   */
  begin(now: number, revision: number): boolean {
    this.#count++;
    if (this.#open !== null) return false;
    this.#open = { startedAt: now, from: this.#ended.at(-1)?.from ?? revision };
    return true;
  }

  /** What was proven to have been received meanwhile, should this process end without a word. */
  advance(from: number): boolean {
    if (this.#open === null || this.#open.from >= from) return false;
    this.#open.from = from;
    return true;
  }

  /** @param replayedUpTo revision of the last write that came from a queue */
  end(range: RevisionRange | null, startedAt: number, replayedUpTo: number, now: number): void {
    this.#count--;
    if (this.#count === 0) this.#open = null;
    if (range === null) return;
    const repeatedUpTo = now - startedAt < FLUSH_TIME ? replayedUpTo : -1;
    this.#push({ ...range, startedAt, at: now, isHttp: false, repeatedUpTo });
  }

  /** The device said over HTTP what it has. */
  confirm(revision: number, now: number): void {
    const last = this.#ended.at(-1);
    if (!last?.isHttp) {
      this.#push({ startedAt: now, at: now, from: revision, to: revision, isHttp: true, repeatedUpTo: -1 });
    } else if (revision > last.from) {
      const to = Math.max(last.to, revision);
      this.#ended[this.#ended.length - 1] = { ...last, at: now, from: revision, to };
    }
  }

  /** Forgets connections that ended before this time. */
  forgetBefore(time: number): void {
    this.#ended = this.#ended.filter(({ startedAt, at }) => (at ?? startedAt) >= time);
  }

  /**
   * What the device may have been looking at when it made a write offline: at the end of the connection before
   * it.
   *
   * @param madeAt by the server's clock; `null` where that is not known: then a connection that was too short to
   *   flush a queue may have come after the write
   */
  seenBefore(madeAt: number | null): SeenRange | null {
    const last = this.#ended.at(-1);
    if (last === undefined) return null;
    if (madeAt === null) return this.#sinceLastFlush(last);
    const index = this.#ended.findLastIndex(({ startedAt }) => startedAt <= madeAt);
    const found = this.#ended[index];
    if (found === undefined) return null;
    // Made while that connection was there: on what was seen before, or on what came over it.
    const isDuring = found.at !== null && madeAt < found.at;
    const from = isDuring ? (this.#ended[index - 1]?.from ?? found.from) : found.from;
    return { ...found, from, isComplete: found.at !== null };
  }

  /** Whether it certainly had no connection at that time. */
  isOfflineAt(time: number): boolean {
    const last = this.#ended.findLast(({ startedAt }) => startedAt <= time);
    return last === undefined || (last.at !== null && last.at <= time);
  }

  #sinceLastFlush(last: Ended): SeenRange {
    const flushed = this.#ended.findLast(({ startedAt, at }) => at !== null && at - startedAt >= FLUSH_TIME);
    const { from } = flushed ?? this.#ended[0] ?? last;
    const repeatedUpTo = Math.max(...this.#ended.map((each) => each.repeatedUpTo));
    return { ...last, from, isComplete: last.at !== null, repeatedUpTo };
  }

  /** An old connection of the device may be noticed to be dead after a newer one has ended. */
  #push(ended: Ended): void {
    this.#ended.push(ended);
    this.#ended.sort((a, b) => a.from - b.from || a.startedAt - b.startedAt);
    this.#ended.splice(0, this.#ended.length - MAX_ENDED);
  }

  toJSON(): SavedConnections {
    return { ended: this.#ended, open: this.#open };
  }
}
