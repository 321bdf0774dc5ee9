/** Long work in steps: one step in a turn of the event loop, so that all others have theirs between two. */
import { SyncError } from '../../errors.js';

/** One work at a time, else each turn would be as long as there are works; the others wait in their order. */
export class Slices {
  #last: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  /**
   * Resolves with what the steps return.
   *
   * @throws SyncError `RESTARTING` where the server stops first
   */
  run<Result>(steps: Generator<void, Result>): Promise<Result> {
    const done = this.#last.then(() => this.#run(steps));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Ends the work that is under way, and what waits. */
  close(): void {
    this.#isClosed = true;
  }

  async #run<Result>(steps: Generator<void, Result>): Promise<Result> {
    while (!this.#isClosed) {
      const { done, value } = steps.next();
      if (done === true) return value;
      await new Promise(setImmediate);
    }
    throw new SyncError('RESTARTING');
  }
}
