import type { StorageError } from '../errors.js';
import { asStorageError, unavailable } from './failures.js';
import type { NewChange, StoreNews } from './store.js';

export type Step = (news: StoreNews) => readonly NewChange[];

/** What the app's own `step` threw: no failure of the storage, so it reaches the caller as it is. */
class StepFailure {
  constructor(readonly thrown: unknown) {}
}

export function callStep(step: Step, news: StoreNews): readonly NewChange[] {
  try {
    return step(news);
  } catch (thrown) {
    throw new StepFailure(thrown);
  }
}

/**
 * The calls of one open store: carried out one at a time, refused after its end, and whatever they throw becomes a
 * `StorageError`.
 */
export class Calls {
  readonly #toStorageError: (error: unknown) => StorageError;
  readonly #release: () => Promise<void>;
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;
  #end: StorageError | null = null;

  /** `release` lets go of what the store holds: last of all, once, and also after a failure. */
  constructor(toStorageError: (error: unknown) => StorageError, release: () => Promise<void>) {
    this.#toStorageError = toStorageError;
    this.#release = release;
  }

  /** Settles when what the store held is let go of; `null` while nobody asked for it. */
  get closing(): Promise<void> | null {
    return this.#closing;
  }

  get ended(): boolean {
    return this.#end !== null;
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closing) return Promise.reject(unavailable('The local store was closed.'));
    return this.#enqueue(() => this.#attempt(task));
  }

  /** As `run`; then closes, whether the task succeeds or not. */
  async runLast(task: () => Promise<void>): Promise<void> {
    const done = this.run(task);
    const closed = this.close();
    await done;
    await closed;
  }

  /** Refuses new calls at once, and closes when those that wait are done. */
  close(): Promise<void> {
    this.#closing ??= this.#enqueue(async () => {
      await this.#release().catch((error) => {
        throw asStorageError(error, this.#toStorageError);
      });
    });
    return this.#closing;
  }

  /** The store is of no further use: refuses new calls and those that wait. */
  end(reason: StorageError): void {
    this.#end ??= reason;
  }

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }

  async #attempt<T>(task: () => Promise<T>): Promise<T> {
    if (this.#end) throw this.#end;
    try {
      return await task();
    } catch (error) {
      if (error instanceof StepFailure) throw error.thrown;
      const failure = asStorageError(error, this.#toStorageError);
      if (failure.code === 'UNAVAILABLE') this.end(failure);
      throw failure;
    }
  }
}
