/**
 * Lets tasks wait while a document is rebuilt, tried or erased, or its history is read: nothing waits while it is
 * open.
 */
import { notSaved, SyncError } from '../errors.js';
import type { Committer } from './committer.js';
import type { HistoryReader } from './history/history-reader.js';
import type { Safely } from './safely.js';
import type { UserTurns } from './turns/user-turns.js';

export interface GateParts {
  readonly committer: Committer;
  readonly reader: HistoryReader;
  readonly safely: Safely;
  readonly turns: UserTurns;
}

export class Gate {
  #waiting: (() => void)[] | null = null;
  readonly #parts: GateParts;

  constructor(parts: GateParts) {
    this.#parts = parts;
    parts.committer.onFailure(() => this.#open());
  }

  get isClosed(): boolean {
    return this.#waiting !== null;
  }

  /** Whether the document can be changed now. */
  get isInOrder(): boolean {
    return this.#parts.committer.failure === null && !this.isClosed;
  }

  /** @throws SyncError where the document can't be changed now */
  mustBeInOrder(): void {
    const { failure } = this.#parts.committer;
    if (failure !== null) throw failure;
    if (this.isClosed) throw new SyncError('INTERNAL', 'The document is being rebuilt.');
  }

  /** Runs `task` now, or when the gate opens, in the order of the calls; also when the document has failed. */
  whenReady = (task: () => void): void => {
    if (this.#waiting !== null) this.#waiting.push(task);
    else task();
  };

  /** Runs `task` when the history since `revision` is in memory: now, or after it was read, before what came later. */
  withHistory(revision: number, task: () => void): void {
    const { reader } = this.#parts;
    this.whenReady(() => {
      if (!reader.covers(revision)) void this.exclusive(() => reader.backTo(revision));
      this.whenReady(task);
    });
  }

  /**
   * Does `work` when everything so far is durable, before anything that comes in. When it throws, the document has
   * failed. Of one that has failed by then, nothing is done any more.
   */
  exclusive = (work: () => Promise<void>): Promise<void> =>
    new Promise((ended) => this.whenReady(() => void this.#exclusive(work).then(ended)));

  /** The same for one author: what `work` throws is told to them alone, and the document has not failed. */
  alone<Result>(work: () => Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const told = () => work().then(resolve, reject);
      // The document may fail before it is this one's turn: then that is told.
      void this.exclusive(told).then(() => reject(this.#parts.committer.failure));
    });
  }

  #exclusive(work: () => Promise<void>): Promise<void> {
    const { committer } = this.#parts;
    // It fails once, and that opens the gate: one that were closed behind it would keep its user waiting for ever.
    if (committer.failure !== null) return Promise.resolve();
    this.#close();
    return committer
      .allDurable()
      .then(work)
      .then(() => this.#open())
      .catch((error: unknown) => committer.fail(notSaved(error)));
  }

  /** What comes in from here on waits in the line of its user. */
  #close(): void {
    this.#waiting ??= [];
    this.#parts.turns.block();
  }

  /**
   * A task may close it again: then the rest waits on, in its order. Where the document failed during the work, it was
   * opened then, and the line of its user may wait for the next document by now.
   */
  #open(): void {
    const tasks = this.#waiting;
    if (tasks === null) return;
    this.#waiting = null;
    for (const task of tasks) this.whenReady(() => this.#parts.safely(task));
    if (!this.isClosed) this.#parts.turns.unblock();
  }
}
