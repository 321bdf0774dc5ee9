/** Time for others, of which what this process was busy, or stopped, is no part. */

/** Whoever stalls loses one of them. */
const STEPS = 20;

/** After each step what has come meanwhile is read, before the next one is counted. */
export class Deadline {
  readonly #onLate: () => void;
  #isOver = false;
  #left = 0;
  #step = 0;
  #timer: NodeJS.Timeout | undefined;
  #reading: NodeJS.Immediate | undefined;

  /** @param time in ms */
  constructor(time: number, onLate: () => void) {
    this.#onLate = onLate;
    this.restart(time);
  }

  restart(time: number): void {
    if (this.#isOver) return;
    this.#stop();
    this.#left = STEPS;
    this.#step = time / STEPS;
    this.#next();
  }

  end(): void {
    this.#isOver = true;
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#reading);
  }

  #next(): void {
    this.#timer = setTimeout(() => {
      this.#reading = setImmediate(() => this.#passed());
    }, this.#step);
  }

  #passed(): void {
    this.#left -= 1;
    if (this.#left > 0) {
      this.#next();
      return;
    }
    this.#isOver = true;
    this.#onLate();
  }
}
