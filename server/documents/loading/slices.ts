/** Long work in steps: one step in a turn of the event loop, so that all others have theirs between two. */
import { SyncError } from '../../errors.js';

/** Somebody waits for a load or an answer; nobody does for a compaction, which goes on when they are done. */
export type Urgency = 'awaited' | 'in the background';

/** One turn in so many is of what waits in the background, however much is awaited: it ends, too. */
const BACKGROUND = 8;

interface Work {
  /** Does a step; returns whether there are more. */
  step(): boolean;
  end(error: unknown): void;
}

/** One step at a time, else each turn would be as long as there are works; those of one urgency in their order. */
export class Slices {
  readonly #awaited: Work[] = [];
  readonly #background: Work[] = [];
  #turns = 0;
  #isRunning = false;
  #isClosed = false;

  /**
   * Resolves with what the steps return.
   *
   * @param isWanted asked before each step; what nobody wants any more is not done
   * @throws SyncError `RESTARTING` where the server stops first, or nobody wants it
   */
  run<Result>(
    steps: Generator<void, Result>,
    urgency: Urgency = 'awaited',
    isWanted = () => true,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const end = (error: unknown): void => {
        reject(error);
        // What fails as it tidies up must not keep the next one from being done; it has failed already.
        try {
          steps.return(undefined as never);
        } catch {}
      };
      const step = (): boolean => {
        if (this.#isClosed || !isWanted()) throw new SyncError('RESTARTING');
        const { done, value } = steps.next();
        if (done === true) resolve(value);
        return done !== true;
      };
      (urgency === 'awaited' ? this.#awaited : this.#background).push({ step, end });
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Ends the work that is under way, and what waits. */
  close(): void {
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    await Promise.resolve(); // whoever asked is done first
    for (let line = this.#next(); line !== null; line = this.#next()) {
      if (!isGoingOn(line[0] as Work)) line.shift();
      await new Promise(setImmediate);
    }
    this.#isRunning = false;
  }

  #next(): Work[] | null {
    const [first, second] =
      ++this.#turns % BACKGROUND === 0
        ? [this.#background, this.#awaited]
        : [this.#awaited, this.#background];
    if (first.length > 0) return first;
    return second.length > 0 ? second : null;
  }
}

function isGoingOn(work: Work): boolean {
  try {
    return work.step();
  } catch (error) {
    work.end(error);
    return false;
  }
}
