/** Long work in steps: a few ms of it in a turn of the event loop, so that all others have theirs between two, users in turn. */
import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';

/** Somebody waits for a load or an answer; nobody does for a compaction, which goes on when they are done. */
export type Urgency = 'awaited' | 'in the background';

/** One turn in so many is of what waits in the background, however much is awaited: it ends, too. */
const BACKGROUND = 8;
/**
 * Users with an awaited work half done. More would have more memory in use at once, and when many come after a start,
 * each would wait until all are nearly done; with fewer, a few users with long works would keep others waiting.
 */
const AT_ONCE = 8;

/**
 * In ms. Steps are short, so how long a turn takes depends neither on the machine nor on whether the code is compiled: a
 * step with cold code takes ten times as long as one later.
 */
const TURN = 6;

/** What a turn came to: more of them, the end, or nothing where no step was done. */
type Came = 'to more' | 'to its end' | 'to nothing';

interface Work {
  /** Does steps, for a turn. */
  go(): Came;
  end(error: unknown): void;
}

export interface SlicesOptions {
  /** How many users have an awaited work half done. */
  readonly atOnce?: number;
  /** How long a work goes on in its turn, in ms; with 0, for a step. */
  readonly turn?: number;
  /** Milliseconds from any moment on. */
  readonly now?: () => number;
}

/** One work at a time, else each turn would be as long as there are works. */
export class Slices {
  readonly #awaited: Lines;
  /** Each of another user: one is at a time. */
  readonly #background = new Lines(1);
  #turns = 0;
  #isRunning = false;
  #isClosed = false;
  readonly #turn: number;
  readonly #now: () => number;

  constructor({ atOnce = AT_ONCE, turn = TURN, now = () => performance.now() }: SlicesOptions = {}) {
    this.#awaited = new Lines(atOnce);
    this.#turn = turn;
    this.#now = now;
  }

  /**
   * Resolves with what the steps return.
   *
   * @param user of whom one work is done after the other, while other users have their turns
   * @param steps what returns `null` at once was not to be done now, and costs its user no place
   * @param isWanted asked before each turn; what nobody wants any more is not done
   * @throws SyncError `RESTARTING` where the server stops first, or nobody wants it
   */
  run<Result>(
    user: UserId,
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
      let hasBegun = false;
      const go = (): Came => {
        if (this.#isClosed || !isWanted()) {
          end(new SyncError('RESTARTING'));
          return hasBegun ? 'to its end' : 'to nothing';
        }
        const until = this.#now() + this.#turn;
        do {
          const { done, value } = steps.next();
          if (done === true) {
            resolve(value);
            return hasBegun || value !== null ? 'to its end' : 'to nothing';
          }
          hasBegun = true;
        } while (this.#now() < until);
        return 'to more';
      };
      (urgency === 'awaited' ? this.#awaited : this.#background).add(user, { go, end });
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
    for (let lines = this.#next(); lines !== null; lines = this.#next()) {
      lines.go();
      await new Promise(setImmediate);
    }
    this.#isRunning = false;
  }

  #next(): Lines | null {
    const [first, second] =
      ++this.#turns % BACKGROUND === 0
        ? [this.#background, this.#awaited]
        : [this.#awaited, this.#background];
    if (!first.isEmpty) return first;
    return second.isEmpty ? null : second;
  }
}

interface Line {
  readonly user: UserId;
  /** In their order; only the first one may be half done. */
  readonly works: Work[];
}

/** Works of one urgency: the first users have a turn each, the others wait until a work of those is done. */
class Lines {
  readonly #atOnce: number;
  readonly #lines: Line[] = [];
  #next = 0;

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  add(user: UserId, work: Work): void {
    const line = this.#lines.find((each) => each.user === user);
    if (line === undefined) this.#lines.push({ user, works: [work] });
    else line.works.push(work);
  }

  /** Does a turn of one of them; there has to be one. */
  go(): void {
    if (this.#next >= Math.min(this.#lines.length, this.#atOnce)) this.#next = 0;
    const line = this.#lines[this.#next] as Line;
    const came = firstTurn(line.works);
    if (came === 'to more') {
      this.#next++;
      return;
    }
    // Whoever has had a work and has more waits behind those who wait already.
    this.#lines.splice(this.#next, 1);
    if (line.works.length > 0) this.#lines.push(line);
  }
}

/** Does a turn of the first of these of which one is to be done. */
function firstTurn(works: Work[]): Came {
  let came: Came = 'to nothing';
  for (let work = works[0]; came === 'to nothing' && work !== undefined; work = works[0]) {
    came = turnOf(work);
    if (came !== 'to more') works.shift();
  }
  return came;
}

function turnOf(work: Work): Came {
  try {
    return work.go();
  } catch (error) {
    work.end(error);
    return 'to its end';
  }
}
