import { StorageError } from './errors.js';
import type { DeviceStorage, LocalStore, LocalStoreEvents } from './local-store/store.js';
import type { Clock } from './platform.js';

export interface StoreKeeperOptions {
  readonly storage: DeviceStorage;
  /** Name of the store: that of the user. */
  readonly name: string;
  readonly clock: Clock;
  /** Storage failed (C7), or works again (null). */
  readonly onStorage: (error: StorageError | null) => void;
  /** Another tab deleted everything on purpose. */
  readonly onCleared: () => void;
  /** Another tab stored something. */
  readonly onNews: () => void;
  /** A store was opened after a failure: `takeReopened` gives it. */
  readonly onReopened: () => void;
}

/** Pauses before storage that failed is tried again, in ms. */
const FIRST_RETRY = 1_000;
const LAST_RETRY = 30_000;

/** Holds the open store of a replica; after a failure it tries to open it again and again (C7). */
export class StoreKeeper {
  readonly #options: StoreKeeperOptions;
  #store: LocalStore | null = null;
  #reopened: LocalStore | null = null;
  #error: StorageError | null = null;
  #closed = false;
  #delay = FIRST_RETRY;
  #cancelRetry = (): void => {};

  constructor(options: StoreKeeperOptions) {
    this.#options = options;
  }

  /** `null` while changes live in memory only. */
  get store(): LocalStore | null {
    return this.#store;
  }

  /** The failure that is not mended yet. */
  get error(): StorageError | null {
    return this.#error;
  }

  get hasReopened(): boolean {
    return this.#reopened !== null && !this.#closed;
  }

  /** A store that was opened after a failure and is to be filled, then handed to `use`. */
  takeReopened(): LocalStore | null {
    const store = this.#reopened;
    this.#reopened = null;
    return store;
  }

  open(): Promise<LocalStore> {
    return this.#options.storage.open(this.#options.name, this.#events());
  }

  /** From here changes are stored. */
  use(store: LocalStore): void {
    this.#store = store;
    this.#delay = FIRST_RETRY;
    if (this.#error === null) return;
    this.#error = null;
    this.#options.onStorage(null);
  }

  /** From here changes live in memory; storage is tried again until it works. */
  lose(cause: unknown): void {
    const error = toStorageError(cause);
    letGo(this.#store);
    this.#store = null;
    this.#error = error;
    this.#cancelRetry();
    if (!this.#closed) this.#cancelRetry = this.#options.clock.after(this.#delay, () => void this.#retry());
    this.#delay = Math.min(this.#delay * 2, LAST_RETRY);
    this.#options.onStorage(error);
  }

  /** No more retries; the store stays open until `close` or `clear`. */
  stop(): void {
    this.#closed = true;
    this.#cancelRetry();
    letGo(this.takeReopened());
  }

  async close(): Promise<void> {
    await this.#store?.close().catch(() => {}); // every promise that resolved is kept already
  }

  async clear(): Promise<void> {
    const store = this.#store ?? (await this.#options.storage.open(this.#options.name, NO_EVENTS));
    await store.clear();
  }

  async #retry(): Promise<void> {
    try {
      const store = await this.open();
      if (this.#closed) return letGo(store);
      this.#reopened = store;
      this.#options.onReopened();
    } catch (error) {
      if (!this.#closed) this.lose(error);
    }
  }

  #events(): LocalStoreEvents {
    return {
      onNews: () => this.#options.onNews(),
      onGone: (how) => {
        if (this.#closed) return;
        if (how === 'cleared') this.#options.onCleared();
        else this.lose(new StorageError('UNAVAILABLE', 'The local database was deleted or taken over.'));
      },
      onError: (error) => this.#options.onStorage(error),
    };
  }
}

const NO_EVENTS: LocalStoreEvents = { onNews: () => {}, onGone: () => {}, onError: () => {} };

/** Closes a store that has failed, or is not needed: whether that works changes nothing any more. */
function letGo(store: LocalStore | null): void {
  void store?.close().catch(() => {});
}

function toStorageError(cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  return new StorageError('UNAVAILABLE', 'Local storage failed.', { cause });
}
