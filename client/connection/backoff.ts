const BASE = 1_000;
const LONGEST = 30_000;
/** Even the luckiest draw leaves a server this long. */
const FLOOR = 100;

/** How long to wait before the next attempt: a random time in a window that doubles, so that devices spread (C6). */
export class Backoff {
  readonly #random: () => number;
  #window = BASE;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next pause, in ms. */
  next(): number {
    const pause = FLOOR + this.#random() * (this.#window - FLOOR);
    this.#window = Math.min(LONGEST, this.#window * 2);
    return pause;
  }

  reset(): void {
    this.#window = BASE;
  }

  /** The next window is at least this long. */
  atLeast(window: number): void {
    this.#window = Math.max(this.#window, Math.min(window, LONGEST));
  }

  /** The next window is the longest one. */
  slow(): void {
    this.#window = LONGEST;
  }
}
