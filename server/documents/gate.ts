import type { UserTurns } from './turns/user-turns.js';

/** What waits until a document is in order again: nothing, while it is open. */
export class Gate {
  #waiting: (() => void)[] | null = null;
  readonly #safely: (task: () => void) => void;
  readonly #turns: UserTurns;

  constructor(safely: (task: () => void) => void, turns: UserTurns) {
    this.#safely = safely;
    this.#turns = turns;
  }

  get isClosed(): boolean {
    return this.#waiting !== null;
  }

  /** Runs `task` now, or when the gate opens, in the order of the calls. */
  enter(task: () => void): void {
    if (this.#waiting !== null) this.#waiting.push(task);
    else task();
  }

  /** What comes in from here on waits in the line of its user. */
  close(): void {
    this.#waiting ??= [];
    this.#turns.block();
  }

  /** A task may close it again: then the rest waits on, in its order. */
  open(): void {
    const tasks = this.#waiting ?? [];
    this.#waiting = null;
    for (const task of tasks) this.enter(() => this.#safely(task));
    if (!this.isClosed) this.#turns.unblock();
  }
}
