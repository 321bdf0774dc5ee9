/** Which revisions a device may have been looking at when its last connections ended (L4, L5). */
import type { RevisionRange } from './history.js';

/** A connection that has ended, or requests that confirmed what was received. */
export interface Ended extends RevisionRange {
  readonly startedAt: number;
  /** `null` where the server ended first, without a word. */
  readonly at: number | null;
  readonly isHttp: boolean;
  /** When the device had its first full sync. */
  readonly syncedAt: number;
  /** Up to here the device's own writes may be sent again: it may not know that they have arrived. */
  readonly repeatedUpTo: number;
  /** What it may have been looking at when the connection began. */
  readonly begins: number;
  /** From when on which revisions had been read for certain; some, the last ones among them. */
  readonly read: readonly Read[];
}

export type Read = readonly [at: number, revision: number];

/** What a device may have been looking at when a connection ended. */
export interface SeenRange extends RevisionRange {
  /** When the device's copy had been made anew by the full sync. */
  readonly syncedAt: number;
  /** Whether the connection ended in order, so that everything of the device's own last writes is known. */
  readonly isComplete: boolean;
  /** Up to here the device's own writes may be sent again. */
  readonly repeatedUpTo: number;
}

/** A connection that ends now. */
export interface EndedNow {
  /** `null` if nothing was sent over it. */
  readonly range: RevisionRange | null;
  readonly startedAt: number;
  /** When its first full sync was received; `null` if that is not known. */
  readonly syncedAt: number | null;
  /** Revision of the last write that came from a queue. */
  readonly replayedUpTo: number;
  readonly read: readonly Read[];
}

interface Open {
  readonly startedAt: number;
  from: number;
}

/** So many are kept, to find the one that a queued write was made after. */
const MAX_ENDED = 16;
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
    if (open === null) return;
    const to = Math.max(open.from, revision);
    const { from, startedAt } = open;
    const rest = { isHttp: false, repeatedUpTo: revision, begins: from, read: [] };
    this.#push({ startedAt, at: null, syncedAt: startedAt, from, to, ...rest });
  }

  get isConnected(): boolean {
    return this.#count > 0;
  }

  /** Whether one that has ended lasted long enough for a queue to be flushed. */
  get hasFlushed(): boolean {
    return this.#ended.some(({ startedAt, at }) => at !== null && at - startedAt >= FLUSH_TIME);
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

  end(ended: EndedNow, now: number): void {
    this.#count--;
    if (this.#count === 0) this.#open = null;
    this.note(ended, now);
  }

  /** What was seen over a connection until now. */
  note({ range, startedAt, syncedAt, replayedUpTo, read }: EndedNow, now: number): void {
    if (range === null) return;
    const repeatedUpTo = now - startedAt < FLUSH_TIME ? replayedUpTo : -1;
    const begins = this.#ended.at(-1)?.from ?? range.from;
    const times = { startedAt, at: now, syncedAt: syncedAt ?? now };
    this.#push({ ...range, ...times, isHttp: false, repeatedUpTo, begins, read });
  }

  /**
   * The device said over HTTP what it has, from an answer that was sent at this time. Returns whether that is to
   * be saved at once: without a later one, more is taken for seen than was.
   */
  confirm(revision: number, sentAt: number): boolean {
    const last = this.#ended.at(-1);
    if (last?.isHttp && last.from >= revision) return false;
    const begins = last?.from ?? revision;
    const range = { from: revision, to: Math.max(last?.isHttp ? last.to : 0, revision) };
    this.#push({
      ...range,
      startedAt: sentAt,
      at: sentAt,
      syncedAt: sentAt,
      isHttp: true,
      repeatedUpTo: -1,
      begins,
      read: [],
    });
    return !last?.isHttp;
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
  seenBefore(madeAt: number | null, now: number): SeenRange | null {
    const last = this.#ended.at(-1);
    if (last === undefined) return null;
    if (madeAt === null) return this.#sinceLastFlush(last, now);
    // Older ones were forgotten, so the oldest stands for them.
    const oldest = this.#ended.length === MAX_ENDED ? this.#ended[0] : undefined;
    const found = this.#ended.findLast(({ startedAt }) => startedAt <= madeAt) ?? oldest;
    if (found === undefined) return null;
    // Made while that connection was there, or nobody had noticed yet that it was gone.
    const isDuring = found.at !== null && madeAt < found.at;
    const read = found.read.findLast(([at]) => at <= madeAt)?.[1] ?? found.begins;
    return { ...found, from: isDuring ? read : found.from, isComplete: found.at !== null };
  }

  /** Whether it certainly had no connection at that time. */
  isOfflineAt(time: number): boolean {
    const last = this.#ended.findLast(({ startedAt }) => startedAt <= time);
    return last === undefined || (last.at !== null && last.at <= time);
  }

  #sinceLastFlush(last: Ended, now: number): SeenRange {
    const isLong = ({ startedAt, at, isHttp }: Ended) =>
      at !== null && (isHttp ? now : at) - startedAt >= FLUSH_TIME;
    const from = this.#ended.findLast(isLong)?.from ?? this.#ended[0]?.begins ?? last.from;
    const repeatedUpTo = Math.max(...this.#ended.map((each) => each.repeatedUpTo));
    return { ...last, from, isComplete: last.at !== null, repeatedUpTo };
  }

  /** An old connection of the device may be noticed to be dead after a newer one has ended. */
  #push(ended: Ended): void {
    const last = this.#ended.at(-1);
    // Of connections that break off one after the other, none says what a queued write was made on.
    if (last !== undefined && isFlaky(last) && isFlaky(ended)) {
      this.#ended.pop();
      const { startedAt, from, begins } = last;
      this.#ended.push({ ...ended, startedAt, from, begins, to: Math.max(last.to, ended.to) });
      return;
    }
    this.#ended.push(ended);
    this.#ended.sort((a, b) => a.from - b.from || a.startedAt - b.startedAt);
    this.#ended.splice(0, this.#ended.length - MAX_ENDED);
  }

  toJSON(): SavedConnections {
    return { ended: this.#ended, open: this.#open };
  }
}

/** Too short for a queue to be flushed, and nothing was. */
const isFlaky = ({ startedAt, at, isHttp, repeatedUpTo }: Ended): boolean =>
  !isHttp && at !== null && at - startedAt < FLUSH_TIME && repeatedUpTo < 0;
