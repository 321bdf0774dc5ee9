/** Many use a database at once; who needs it alone waits until they are done, and lets those that come wait. */
export class DatabaseAccess {
  readonly #users = new Set<Promise<unknown>>();
  #alone: Promise<void> | null = null;

  async shared<T>(use: () => Promise<T>): Promise<T> {
    while (this.#alone !== null) await this.#alone;
    const running = use();
    this.#users.add(running);
    try {
      return await running;
    } finally {
      this.#users.delete(running);
    }
  }

  async alone<T>(use: () => Promise<T>): Promise<T> {
    while (this.#alone !== null) await this.#alone;
    let release = (): void => {};
    this.#alone = new Promise((resolve) => {
      release = resolve;
    });
    try {
      await this.settled();
      return await use();
    } finally {
      this.#alone = null;
      release();
    }
  }

  /** Resolves when all that use it now are done. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#users]);
  }
}

/** At most so many tasks at once; the others wait in the order in which they came. */
export class Lanes {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await task();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}

/** Tasks that must not meet, one after the other. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(task, task);
    this.#last = turn.catch(() => {});
    return turn;
  }

  async ended(): Promise<void> {
    await this.#last;
  }
}
