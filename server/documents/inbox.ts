/** What waits until a document is in order again: nothing, while it is open. */
export class Inbox {
  #waiting: (() => void)[] | null = null;
  readonly #safely: (task: () => void) => void;

  constructor(safely: (task: () => void) => void) {
    this.#safely = safely;
  }

  get isClosed(): boolean {
    return this.#waiting !== null;
  }

  /** Runs `task` now, or when the inbox opens, in the order of the calls. */
  enter(task: () => void): void {
    if (this.#waiting !== null) this.#waiting.push(task);
    else task();
  }

  close(): void {
    this.#waiting ??= [];
  }

  /** A task may close it again: then the rest waits on, in its order. */
  open(): void {
    const tasks = this.#waiting ?? [];
    this.#waiting = null;
    for (const task of tasks) this.enter(() => this.#safely(task));
  }
}
