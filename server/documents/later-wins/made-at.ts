/** When a native device made a change, as far as that is known (N9). */

/** By the server's clock, in ms since 1970; `null` where it is not known. */
export type MadeAt = number | null;

/** Of what a provider without times sends live, the arrival counts: it is later than everything before. */
export const ON_ARRIVAL = Number.POSITIVE_INFINITY;

/** No message that is heard at all is on its way for longer; the clock was set back meanwhile. */
const LONGEST_WAY = 60_000;

/** How the clock of a device goes, told by the times of sending on one connection. */
export class SenderClock {
  /** The smallest difference between arrival and sending, in ms: the clock's offset, and the shortest way. */
  #least = Number.POSITIVE_INFINITY;

  hear(sentAt: number, arrivedAt: number): void {
    const difference = arrivedAt - sentAt;
    if (difference < this.#least || difference > this.#least + LONGEST_WAY) this.#least = difference;
  }

  /** A time of the device by the server's clock, at most `now`. */
  correct(madeAt: number, now: number): number {
    return Math.max(0, Math.min(now, Math.floor(madeAt + this.#least)));
  }
}
