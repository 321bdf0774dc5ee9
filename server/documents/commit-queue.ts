import type { SyncError } from '../errors.js';
import type { Safely } from './safely.js';
import type { UserTurns } from './turns/user-turns.js';

/** What happens when a commit has become durable, or has failed. */
export interface Effect {
  readonly done: () => void;
  readonly failed?: ((error: SyncError) => void) | undefined;
}

/** The commits of a document that are not durable yet, and what waits for each of them, in order. */
export class CommitQueue {
  readonly #commits: Effect[][] = [];
  /** So many of the oldest are durable, and wait for the user's turn. */
  #durable = 0;
  readonly #safely: Safely;
  readonly #turns: UserTurns;

  constructor(safely: Safely, turns: UserTurns) {
    this.#safely = safely;
    this.#turns = turns;
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
    this.#durable++;
    this.#turns.first(() => this.#run());
  }

  fail(error: SyncError): void {
    while (this.#durable > 0) this.#run();
    for (const effects of this.#commits.splice(0)) {
      for (const { failed } of effects) if (failed !== undefined) this.#safely(() => failed(error));
    }
  }

  #run(): void {
    if (this.#durable === 0) return; // when it failed
    this.#durable--;
    for (const { done } of this.#commits.shift() ?? []) this.#safely(done);
  }
}
