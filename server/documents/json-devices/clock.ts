/** How the clock of a device goes, told by the times that its messages name (L5). */

interface Period {
  readonly since: number;
  /** The smallest difference between arrival and the time named, in ms. */
  readonly least: number;
}

/** A clock that was set right has its old difference forgotten after two of these. */
const PERIOD = 7 * 86_400_000;
/** So far apart, the time of sending was not stored together with that of the change. */
const APART = 1_000;
/** So near to the arrival, or after it, no queue can have stored it. */
const NEAR = 60_000;

/** From `at` on, the times of the device count as earlier than before, by so many ms. */
interface Correction {
  readonly at: number;
  readonly by: number;
}

/** What is kept of a clock; `corrections` is not there in what earlier versions saved. */
export interface SavedClock {
  readonly clock: readonly Period[];
  readonly corrections?: readonly Correction[] | undefined;
}

const MAX_CORRECTIONS = 8;

export class DeviceClock {
  #periods: Period[];
  #corrections: Correction[];

  constructor({ clock, corrections }: SavedClock = { clock: [] }) {
    this.#periods = [...clock];
    this.#corrections = [...(corrections ?? [])];
  }

  /** What is to be added to a time of the device; `null` while nothing reliable was heard. */
  get offset(): number | null {
    let offset: number | null = null;
    for (const { least } of this.#periods) if (offset === null || least < offset) offset = least;
    return offset;
  }

  /**
   * A message arrived; returns whether that changed anything. A queue may store the time of sending, too: then it
   * says nothing about the clock.
   *
   * @param isLive whether the message can't come from a queue
   */
  hear(sentAt: number | null, madeAt: number | null, isLive: boolean, now: number): boolean {
    const before = this.offset;
    const isChanged = this.#hear(sentAt, madeAt, isLive, now);
    const by = (before ?? 0) - (this.offset ?? 0);
    // More than that is a clock that was set.
    const isOfTheWay = before !== null && by > 0 && by < NEAR;
    if (isOfTheWay) this.#corrections = [...this.#corrections.slice(1 - MAX_CORRECTIONS), { at: now, by }];
    return isChanged;
  }

  /**
   * By how much a time that was found at `then` would be found earlier now, in ms: the messages of then had been
   * long on their way, which was taken for a clock that is slow.
   */
  correctedSince(then: number): number {
    return this.#corrections.reduce((sum, { at, by }) => (at > then ? sum + by : sum), 0);
  }

  #hear(sentAt: number | null, madeAt: number | null, isLive: boolean, now: number): boolean {
    if (sentAt === null) return false;
    const difference = now - sentAt;
    const isReliable = isLive || difference < NEAR || (madeAt !== null && sentAt - madeAt >= APART);
    // It was ahead, and was set right: what it said before does not count any more.
    if (difference >= 0 && difference < NEAR && (this.offset ?? 0) <= -NEAR) this.#periods = [];
    const last = this.#periods.at(-1);
    if (isReliable && (last === undefined || now - last.since >= PERIOD)) {
      this.#periods = [...this.#periods.slice(-1), { since: now, least: difference }];
      return true;
    }
    if (last === undefined || difference >= last.least) return false;
    this.#periods[this.#periods.length - 1] = { ...last, least: difference };
    return true;
  }

  /** A time of the device by the server's clock, at most now; whatever was sent, it is a time. */
  correct(time: number, now: number): number {
    return Math.max(0, Math.min(now, Math.floor(time + (this.offset ?? 0))));
  }

  toJSON(): SavedClock {
    return {
      clock: this.#periods,
      corrections: this.#corrections.length === 0 ? undefined : this.#corrections,
    };
  }
}
