/** Reads what a write needs of the history into memory, and how long that stays there. */
import type { Archive } from './archive.js';
import type { History } from './history.js';

/** How long what was read stays in memory at least, in ms. */
const REST = 60_000;

export class HistoryReader {
  readonly #history: History;
  readonly #archive: Archive;
  readonly #now: () => number;
  readonly #damaged: () => void;
  #readAt = Number.NEGATIVE_INFINITY;

  /** @param damaged called where it does not reach back as far as it should */
  constructor(history: History, archive: Archive, now: () => number, damaged: () => void) {
    this.#history = history;
    this.#archive = archive;
    this.#now = now;
    this.#damaged = damaged;
  }

  /** Whether what was read may be let go. */
  hasRested = (now: number): boolean => now - this.#readAt > REST;

  backTo = (revision: number): Promise<void> =>
    this.#read(() => this.#archive.reachBack(this.#history, revision));

  backToTime = (time: number): Promise<void> =>
    this.#read(() => this.#archive.reachBackTo(this.#history, time));

  async #read(read: () => Promise<boolean>): Promise<void> {
    const isComplete = await read();
    this.#readAt = this.#now();
    if (!isComplete) this.#damaged();
  }
}
