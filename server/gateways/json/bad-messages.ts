/** Counts the bad messages of a connection (L10). */
const MOST = 20;
const WINDOW = 60_000;

export class BadMessages {
  #times: number[] = [];

  /** Another one came; returns whether they are too many by now. */
  areTooMany(now: number): boolean {
    this.#times = [...this.#times.filter((at) => at > now - WINDOW), now];
    return this.#times.length >= MOST;
  }
}
