/**
 * Work of all users in turns: a user with much to do waits for itself, and keeps no other waiting. What has
 * come in is also counted here until it is durable; where that is too much, nothing more is read.
 */

import { type Arrival, Line, type Schedule, type TurnClock, type TurnOptions } from './turn-line.js';

/** How long it works before what has arrived is read. */
const ROUND = 2;

export class Turns implements Schedule {
  readonly options: TurnOptions;
  readonly #lines = new Map<string, Line>();
  /** Users with something to do now, the next one first. */
  readonly #ready: Line[] = [];
  readonly #idle: (() => void)[] = [];
  /** Users that had something since the last round, which counts until the next one. */
  readonly #served = new Set<Line>();
  #isScheduled = false;
  #isWorking = false;
  #unsaved = 0;
  #isFull = false;
  isHurried = false;

  constructor(options: TurnOptions) {
    this.options = options;
  }

  /**
   * Something came in: it runs when its user has a turn, in the order in which it came. That is now, for a user who
   * has nothing waiting and used up no slice.
   */
  enter(user: string, arrival: Arrival): void {
    this.#lineOf(user).enter(arrival);
  }

  /**
   * The server itself has something to do for a user, which goes before what has come in and is not counted towards
   * any rate.
   */
  first(user: string, task: () => void): void {
    this.#lineOf(user).first(task);
  }

  /** The user's document is in work: what has come in waits here until that is over. */
  block(user: string): void {
    this.#lineOf(user).block();
  }

  unblock(user: string): void {
    this.#lines.get(user)?.unblock();
  }

  /** From now on rates don't count: what has come in is to be done. */
  hurry(): void {
    this.isHurried = true;
    for (const line of this.#lines.values()) line.wake();
  }

  /** Resolves when nothing is left to do. */
  idle(): Promise<void> {
    if (this.#isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Bytes that came in and are not durable yet, of all users, of each no more than one may have. */
  get unsaved(): number {
    return this.#unsaved;
  }

  /** Nothing more is read from who sends: from the bound on until half of it is durable. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Users of whom something is known now. */
  get size(): number {
    return this.#lines.size;
  }

  /** For lines: more, or fewer, bytes are not durable yet. */
  addUnsaved(bytes: number): void {
    const before = this.#unsaved;
    this.#unsaved += bytes;
    const half = this.options.maxUnsaved / 2;
    this.#isFull = this.#unsaved > (this.#isFull ? half : this.options.maxUnsaved);
    if (before > half && this.#unsaved <= half) for (const line of [...this.#lines.values()]) line.release();
  }

  /** For lines: this one has something to do. */
  queue(line: Line): void {
    this.#ready.push(line);
    this.#schedule();
  }

  /** For lines: runs a task at once; returns how long it took, or `null` where something else is running. */
  atOnce(line: Line, task: () => void): number | null {
    if (this.#isWorking) return null;
    const { now } = this.options.clock;
    const began = now();
    this.#isWorking = true;
    this.renewSoon(line);
    try {
      task();
    } finally {
      this.#isWorking = false;
    }
    return now() - began;
  }

  /** For lines: this one is to be told when the next round begins. */
  renewSoon(line: Line): void {
    this.#served.add(line);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.options.clock.soon(this.#run);
  }

  forget(user: string, line: Line): void {
    if (this.#lines.get(user) === line) this.#lines.delete(user);
  }

  #lineOf(user: string): Line {
    const line = this.#lines.get(user) ?? new Line(user, this);
    this.#lines.set(user, line);
    return line;
  }

  readonly #run = (): void => {
    const { clock } = this.options;
    const end = clock.now() + ROUND;
    for (const line of this.#served) line.renew();
    this.#served.clear();
    this.#isScheduled = false;
    this.#isWorking = true;
    // Also after a task that throws: the others have nothing to do with it.
    try {
      do this.#ready.shift()?.work();
      while (this.#ready.length > 0 && clock.now() < end);
    } finally {
      this.#isWorking = false;
      if (this.#ready.length > 0) this.#schedule();
    }
    if (this.#isIdle) for (const resolve of this.#idle.splice(0)) resolve();
  };

  get #isIdle(): boolean {
    for (const line of this.#lines.values()) if (line.isWaiting) return false;
    return true;
  }
}

/** The time of the process. */
export const TURN_CLOCK: TurnClock = {
  now: () => performance.now(),
  soon: (task) => void setImmediate(task),
  after: (ms, task) => void setTimeout(task, ms).unref(),
};
