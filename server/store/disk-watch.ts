/** How long whoever waits for the disk has waited: a disk that hangs gives no error, it just never answers (P8). */

export interface DiskPatience {
  /** What takes longer than this, in ms, makes the store `slow`. */
  readonly slow: number;
  /** Nobody waits longer than this, in ms. */
  readonly timeout: number;
}

export const DISK_PATIENCE: DiskPatience = { slow: 5_000, timeout: 30_000 };

/** The cause of what was given up, and its cure. */
export const HANGS =
  'the disk does not answer: look for a failing device, a full queue, or a network disk that is gone';

export interface DiskWatchOptions extends DiskPatience {
  readonly onChange: (isSlow: boolean) => void;
  /** Milliseconds from any moment on; never goes back. */
  readonly now?: () => number;
}

interface Waiting {
  readonly since: number;
  readonly onLate: () => void;
  isLate: boolean;
}

const LONGEST_TICK = 250;
const SHORTEST_TICK = 5;

export class DiskWatch {
  isSlow = false;
  readonly #options: DiskWatchOptions;
  readonly #tick: number;
  readonly #now: () => number;
  /** In the order in which they began. */
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | null = null;
  #passed = 0;
  #lookedAt = 0;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const least = Math.min(options.slow, options.timeout) / 20;
    this.#tick = Math.max(SHORTEST_TICK, Math.min(least, LONGEST_TICK));
  }

  /** Calls `onLate` once if the task is not done in time; the task itself goes on. */
  follow(task: Promise<unknown>, onLate: () => void): void {
    this.#start();
    const waiting: Waiting = { since: this.#time(), onLate, isLate: false };
    this.#waiting.add(waiting);
    const done = (): void => {
      this.#waiting.delete(waiting);
      if (this.isSlow) this.#tell();
    };
    task.then(done, done);
  }

  #start(): void {
    if (this.#timer !== null) return;
    this.#lookedAt = this.#now();
    this.#timer = setInterval(() => this.#look(), this.#tick).unref();
  }

  /** What was done while this process was too busy to hear of it must not count as late. */
  #time(): number {
    return this.#passed + Math.min(this.#now() - this.#lookedAt, 2 * this.#tick);
  }

  #look(): void {
    this.#passed = this.#time();
    this.#lookedAt = this.#now();
    for (const waiting of this.#waiting) {
      // The next look would be too late.
      if (this.#passed + this.#tick - waiting.since <= this.#options.timeout) break;
      if (waiting.isLate) continue;
      waiting.isLate = true;
      waiting.onLate();
    }
    this.#tell();
    if (this.#waiting.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  #tell(): void {
    const [oldest] = this.#waiting;
    const isSlow = oldest !== undefined && this.#passed - oldest.since >= this.#options.slow;
    if (isSlow === this.isSlow) return;
    this.isSlow = isSlow;
    this.#options.onChange(isSlow);
  }
}
