/**
 * What every store has in common: its state and who is told of it, the order of changes, and what becomes of those
 * that a failed batch takes along. A backend brings the reads, and the batches.
 */
import type { UserId } from '../../shared/names.js';
import { SyncError } from '../errors.js';
import { GroupWriter, type Job } from './group-writer.js';
import { LastOf } from './last-of.js';
import { type StoreState, takesWork } from './store.js';

export interface ChangeJob extends Job {
  readonly user: UserId;
}

export interface Backend<J extends ChangeJob> {
  /** Writes all of it durably, or rejects. */
  readonly write: (jobs: readonly J[]) => Promise<void>;
  /** A batch failed: what is held of these users may not be what is stored. */
  readonly drop: (jobs: readonly J[], cause: unknown) => void;
  /** Makes the store work again, by `recovered` in the end; called once for each failure, when all are told. */
  readonly reopen: (cause: unknown) => void;
  /** From the start of a batch to the next, in ms, while there is something to write. */
  readonly interval?: number;
}

export class StoreCore<J extends ChangeJob> {
  /** The last change that was handed over of each user, while it is not durable: a load comes after it. */
  readonly pending = new LastOf<UserId>();
  readonly #listeners = new Set<(state: StoreState, cause?: unknown) => void>();
  readonly #backend: Backend<J>;
  readonly #writer: GroupWriter<J>;
  #state: StoreState = 'ready';
  #generation = 1;

  constructor(backend: Backend<J>) {
    this.#backend = backend;
    this.#writer = new GroupWriter(
      backend.write,
      (jobs, cause) => this.#fail(jobs, cause),
      backend.interval ?? 0,
    );
  }

  get state(): StoreState {
    return this.#state;
  }

  get generation(): number {
    return this.#generation;
  }

  get takesWork(): boolean {
    return takesWork(this.#state);
  }

  onState(listener: (state: StoreState, cause?: unknown) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  setState(state: StoreState, cause?: unknown): void {
    if (state === this.#state) return;
    this.#state = state;
    for (const listener of this.#listeners) listener(state, cause);
  }

  /** @throws SyncError `STORE_UNAVAILABLE` */
  mustWork(): void {
    if (!this.takesWork) throw new SyncError('STORE_UNAVAILABLE');
  }

  /** @throws SyncError `STORE_UNAVAILABLE` where it was reopened since: what was read may have been written anew */
  mustStill(generation: number): void {
    this.mustWork();
    if (this.#generation !== generation) throw new SyncError('STORE_UNAVAILABLE');
  }

  /** Resolves when everything of this user that was handed over is written. */
  async settled(user: UserId): Promise<void> {
    const generation = this.#generation;
    this.mustStill(generation);
    await this.pending.settled(user);
    this.mustStill(generation);
  }

  /** Resolves when it is durable. What is handed over first is written first; the job is the core's from then on. */
  add(job: Omit<J, 'resolve' | 'reject'>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#writer.add(Object.assign(job, { resolve, reject }) as J);
    });
  }

  /** The same, as a change of its user. */
  addChange(job: Omit<J, 'resolve' | 'reject'>): Promise<void> {
    const done = this.add(job);
    this.pending.add(job.user, done);
    return done;
  }

  /** Fails all that is not durable yet. */
  giveUp(cause: unknown): void {
    this.#writer.giveUp(cause);
  }

  /** It works again. A batch that failed may be there or not, so what was loaded before counts no more. */
  recovered(): void {
    if (this.#state !== 'reopening') return;
    this.#generation += 1;
    this.#writer.resume();
    this.setState('ready');
  }

  /** Resolves when nothing is left to write. */
  idle(): Promise<void> {
    return this.#writer.idle();
  }

  #fail(jobs: readonly J[], cause: unknown): void {
    this.#backend.drop(jobs, cause);
    const reopens = this.takesWork;
    if (reopens) this.setState('reopening', cause);
    for (const job of jobs) job.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    if (reopens) this.#backend.reopen(cause);
  }
}
