import type { SyncError } from '../../shared/errors.js';

/** What happens when a commit has become durable, or has failed. */
export interface Effect {
  readonly done: () => void;
  readonly failed?: ((error: SyncError) => void) | undefined;
}

/** The commits of a document that are not durable yet, and what waits for each of them, in order. */
export class CommitQueue {
  readonly #commits: Effect[][] = [];
  readonly #safely: (action: () => void) => void;

  constructor(safely: (action: () => void) => void) {
    this.#safely = safely;
  }

  get isEmpty(): boolean {
    return this.#commits.length === 0;
  }

  /** A commit was handed to the store. */
  add(effect: Effect): void {
    this.#commits.push([effect]);
  }

  /** Runs when all commits so far are durable: now, if they are. */
  after(effect: Effect): void {
    const last = this.#commits.at(-1);
    if (last === undefined) effect.done();
    else last.push(effect);
  }

  /** The store resolves in order, so it is always the oldest commit that became durable. */
  settle(): void {
    for (const { done } of this.#commits.shift() ?? []) this.#safely(done);
  }

  fail(error: SyncError): void {
    for (const effects of this.#commits.splice(0)) {
      for (const { failed } of effects) if (failed !== undefined) this.#safely(() => failed(error));
    }
  }
}
