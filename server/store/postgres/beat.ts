/** What the beats of a node tell: when the last one was, and how far its clock is from that of the database. */
import type { Beat } from '../store.js';

/** From so much on somebody is told, in ms. */
const TELLING = 5_000;

interface BeatsOptions {
  /** Milliseconds since 1970, by the clock of this machine. */
  readonly now?: () => number;
  /** The clocks have begun to differ by more than they should: so much that of this machine is ahead, in ms. */
  readonly onClock?: (ahead: number) => void;
}

export class Beats implements Beat {
  clockAhead = 0;
  readonly #now: () => number;
  readonly #onClock: (ahead: number) => void;
  #at = performance.now();
  #isTold = false;

  constructor({ now = Date.now, onClock = () => {} }: BeatsOptions) {
    this.#now = now;
    this.#onClock = onClock;
  }

  get age(): number {
    return performance.now() - this.#at;
  }

  /** @param ask answers with rows, in which the database tells its time */
  async asked<Row extends { readonly time?: unknown }>(ask: () => Promise<Row[]>): Promise<Row[]> {
    const sent = this.#now();
    const rows = await ask();
    const [row] = rows;
    if (row !== undefined) this.#note(aheadOf(sent, this.#now(), Number(row.time)));
    return rows;
  }

  #note(ahead: number): void {
    this.#at = performance.now();
    this.clockAhead = ahead;
    const differs = Math.abs(ahead) > TELLING;
    if (differs && !this.#isTold) this.#onClock(ahead);
    this.#isTold = differs;
  }
}

/** The least that it can be: the database looked at its clock some time between the question and its answer. */
export function aheadOf(sent: number, received: number, time: number): number {
  if (sent > time) return sent - time;
  return received < time ? received - time : 0;
}
