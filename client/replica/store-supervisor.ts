import { StorageError } from '../errors.js';
import { withDeadline } from '../local-store/deadline.js';
import { unavailable } from '../local-store/failures.js';
import type { ClearReason, DeviceStorage, LocalStore, LocalStoreEvents } from '../local-store/store.js';
import type { Clock } from '../platform/platform.js';

export interface StoreSupervisorOptions {
  readonly storage: DeviceStorage;
  /** Name of the store: that of the user. */
  readonly name: string;
  readonly clock: Clock;
  /** How long `open` waits for storage, in ms. */
  readonly openTimeout?: number | undefined;
  /** Reads all of a store that was just opened; after a failure, writes to it what it lacks. */
  readonly fill: (store: LocalStore) => Promise<void>;
  /** Storage failed (C7), or works again (null). */
  readonly onStorage: (error: StorageError | null) => void;
  /** Another tab deleted everything on purpose. */
  readonly onCleared: (reason: ClearReason) => void;
  /** Another tab stored something. */
  readonly onNews: () => void;
  /** A store was opened after a failure: `fillReopened` is to be called. */
  readonly onReopened: () => void;
}

/** How long the app waits for storage to open, in ms. */
const OPEN_TIMEOUT = 4_000;
/** How long each step of a deletion may take, in ms; longer than storage itself waits for other tabs. */
const CLEAR_TIMEOUT = 10_000;
/** Pauses before storage that failed is tried again, in ms. */
const FIRST_RETRY = 1_000;
const LAST_RETRY = 30_000;

/** Holds the open store of a replica; after a failure it tries to open it again and again (C7). */
export class StoreSupervisor {
  readonly #options: StoreSupervisorOptions;
  #store: LocalStore | null = null;
  #reopened: LocalStore | null = null;
  #filling: Promise<void> | null = null;
  #error: StorageError | null = null;
  #closed = false;
  /** An `open` is still unanswered: storage is not asked a second time meanwhile. */
  #hangs = false;
  #delay = FIRST_RETRY;
  #cancelRetry = (): void => {};

  constructor(options: StoreSupervisorOptions) {
    this.#options = options;
  }

  /** `null` while changes live in memory only. */
  get store(): LocalStore | null {
    return this.#store;
  }

  /** Throws where there is none. */
  get inUse(): LocalStore {
    if (this.#store === null) throw this.#error ?? unavailable('The local store was closed.');
    return this.#store;
  }

  /** The failure that is not mended yet. */
  get error(): StorageError | null {
    return this.#error;
  }

  get hasReopened(): boolean {
    return this.#reopened !== null && !this.#closed;
  }

  /** While a store is filled: settles when that is done, or has failed. */
  get filling(): Promise<void> | null {
    return this.#filling;
  }

  /** For the first time. Never rejects. */
  open(): Promise<void> {
    return this.#openInTime().then(
      (store) => this.#fill(store),
      (error: unknown) => this.lose(error),
    );
  }

  /** Fills what was opened after a failure, and goes on with it. Never rejects. */
  async fillReopened(): Promise<void> {
    const store = this.#detachReopened();
    if (store !== null) await this.#fill(store);
  }

  /** From here changes live in memory; storage is tried again until it works. */
  lose(cause: unknown, failed = this.#store): void {
    const error = toStorageError(cause);
    closeQuietly(failed); // while it is open, some storages open no other one of its name
    this.#store = null;
    this.#error = error;
    this.#cancelRetry();
    if (!this.#closed && !this.#hangs)
      this.#cancelRetry = this.#options.clock.after(this.#delay, () => void this.#retry());
    this.#delay = Math.min(this.#delay * 2, LAST_RETRY);
    this.#options.onStorage(error);
  }

  /** No more retries; the store stays open until `close` or `clear`. */
  stop(): void {
    this.#closed = true;
    this.#cancelRetry();
    closeQuietly(this.#detachReopened());
  }

  async close(): Promise<void> {
    await this.#store?.close().catch(() => {}); // every promise that resolved is kept already
  }

  /**
   * What can't be opened may hold what nobody else has: it is deleted with `force` only. Nobody waits for ever: what
   * opens too late is let go of.
   */
  async clear(force: boolean, reason: ClearReason): Promise<void> {
    const { storage, name, clock } = this.#options;
    const inTime = <T>(work: Promise<T>): Promise<T> => withDeadline(clock, CLEAR_TIMEOUT, work, unanswered);
    const opened = async (): Promise<LocalStore> => {
      const opening = storage.open(name, NO_EVENTS);
      return inTime(opening).catch((error) => {
        opening.then(closeQuietly, () => {});
        throw error;
      });
    };
    try {
      await inTime((this.#store ?? (await opened())).clear(reason));
    } catch (error) {
      if (!force || storage.remove === undefined) throw error;
      await inTime(storage.remove(name));
    }
  }

  #open(): Promise<LocalStore> {
    return this.#options.storage.open(this.#options.name, this.#events());
  }

  /** The app does not wait longer for storage that hangs; where it opens later, it is taken then (C12). */
  #openInTime(): Promise<LocalStore> {
    const opening = this.#open();
    let isLate = false;
    const late = (): StorageError => {
      isLate = true;
      this.#hangs = true;
      return new StorageError('BLOCKED', 'Local storage did not open in time.');
    };
    opening.then(
      (store) => isLate && this.#reopenedWith(store),
      (error: unknown) => {
        this.#hangs = false;
        if (isLate && !this.#closed) this.lose(error);
      },
    );
    const { clock, openTimeout = OPEN_TIMEOUT } = this.#options;
    return withDeadline(clock, openTimeout, opening, late);
  }

  #reopenedWith(store: LocalStore): void {
    this.#hangs = false;
    if (this.#closed) {
      closeQuietly(store);
      return;
    }
    this.#cancelRetry();
    this.#reopened = store;
    this.#options.onReopened();
  }

  #detachReopened(): LocalStore | null {
    const store = this.#reopened;
    this.#reopened = null;
    return store;
  }

  #fill(store: LocalStore): Promise<void> {
    this.#filling = this.#options
      .fill(store)
      .then(
        () => this.#use(store),
        (error: unknown) => this.lose(error, store),
      )
      .finally(() => {
        this.#filling = null;
      });
    return this.#filling;
  }

  /** From here changes are stored. */
  #use(store: LocalStore): void {
    this.#store = store;
    this.#delay = FIRST_RETRY;
    if (this.#error === null) return;
    this.#error = null;
    this.#options.onStorage(null);
  }

  async #retry(): Promise<void> {
    try {
      this.#reopenedWith(await this.#open());
    } catch (error) {
      if (!this.#closed) this.lose(error);
    }
  }

  #events(): LocalStoreEvents {
    return {
      onNews: () => this.#options.onNews(),
      onGone: (how) => {
        if (this.#closed) return;
        if (how !== 'lost') this.#options.onCleared(how);
        else this.lose(new StorageError('UNAVAILABLE', 'The local database was deleted or taken over.'));
      },
      onError: (error) => this.#options.onStorage(error),
    };
  }
}

const NO_EVENTS: LocalStoreEvents = { onNews: () => {}, onGone: () => {}, onError: () => {} };

const unanswered = (): StorageError => new StorageError('BLOCKED', 'Local storage does not answer.');

/** Closes a store that has failed, or is not needed: whether that works changes nothing any more. */
function closeQuietly(store: LocalStore | null): void {
  void store?.close().catch(() => {});
}

function toStorageError(cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  return new StorageError('UNAVAILABLE', 'Local storage failed.', { cause });
}
