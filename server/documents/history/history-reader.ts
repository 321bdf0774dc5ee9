/** Reads what a write needs of the history into memory. */
import type { Archive } from './history-log.js';
import type { History } from './history-window.js';

export class HistoryReader {
  readonly #history: History;
  readonly #archive: Archive;
  readonly #now: () => number;
  readonly #damaged: () => void;

  /** @param damaged called where it does not reach back as far as it should */
  constructor(history: History, archive: Archive, now: () => number, damaged: () => void) {
    this.#history = history;
    this.#archive = archive;
    this.#now = now;
    this.#damaged = damaged;
  }

  backTo = (revision: number): Promise<void> =>
    this.#read(() => this.#archive.reachBack(this.#history, revision));

  backToTime = (time: number): Promise<void> =>
    this.#read(() => this.#archive.reachBackTo(this.#history, time));

  async #read(read: () => Promise<boolean>): Promise<void> {
    const isComplete = await read();
    this.#history.readAt = this.#now();
    if (!isComplete) this.#damaged();
  }
}
