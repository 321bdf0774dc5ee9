import type { Clock } from '../../client/platform/platform.js';

interface Timer {
  readonly at: number;
  readonly task: () => void;
}

/** Time that passes when a test says so. */
export class ManualClock implements Clock {
  #now = 1_700_000_000_000;
  readonly #timers = new Set<Timer>();

  readonly now = (): number => this.#now;

  after(ms: number, task: () => void): () => void {
    const timer = { at: this.#now + ms, task };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** When the next timer is due, in ms from now; infinite where none waits. */
  get untilNext(): number {
    return Math.min(...[...this.#timers].map(({ at }) => at)) - this.#now;
  }

  /** Lets time pass; timers that are due run in their order. */
  pass(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== null; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#now = next.at;
      next.task();
    }
    this.#now = end;
  }

  /** As `pass`; what a timer begins goes on, as far as it can without time, before the next one is due. */
  async live(ms: number): Promise<void> {
    for (let left = ms; left > 0; await new Promise((resolve) => setImmediate(resolve))) {
      const passing = Math.min(left, this.untilNext);
      this.pass(passing);
      left -= passing;
    }
  }

  #next(end: number): Timer | null {
    const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
    return due[0] ?? null;
  }
}
