/** Reads what a write needs of the history into memory. */
import type { HistoryLog } from './history-log.js';
import type { HistoryWindow } from './history-window.js';

export class HistoryReader {
  readonly #history: HistoryWindow;
  readonly #historyLog: HistoryLog;
  readonly #now: () => number;
  readonly #damaged: () => void;

  /** @param damaged called where it does not reach back as far as it should */
  constructor(history: HistoryWindow, historyLog: HistoryLog, now: () => number, damaged: () => void) {
    this.#history = history;
    this.#historyLog = historyLog;
    this.#now = now;
    this.#damaged = damaged;
  }

  /** Whether everything since `revision` is in memory. */
  covers = (revision: number): boolean => this.#history.covers(revision);

  /** Whether everything that was made at `time` or later is. */
  reaches = (time: number): boolean => this.#history.reaches(time);

  backTo = (revision: number): Promise<void> =>
    this.#read(() => this.#historyLog.reachBack(this.#history, revision));

  backToTime = (time: number): Promise<void> =>
    this.#read(() => this.#historyLog.reachBackTo(this.#history, time));

  async #read(read: () => Promise<boolean>): Promise<void> {
    const isComplete = await read();
    this.#history.readAt = this.#now();
    if (!isComplete) this.#damaged();
  }
}
