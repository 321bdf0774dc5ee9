import { StorageError } from '../../client/errors.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import type {
  ClearReason,
  DeviceStorage,
  LocalStore,
  LocalStoreEvents,
  StoredChange,
} from '../../client/local-store/store.js';

/** Memory that claims to be durable, and fails on demand. It stands for a device whose storage breaks. */
export class BreakableStorage implements DeviceStorage {
  readonly name = 'breakable';
  readonly durable = true;
  /** While it is set, every call rejects with it and does nothing. */
  failure: StorageError | null = null;
  /** While it is set, reading works and each write is undone at its end with it, as where a browser has no room left. */
  writes: StorageError | null = null;
  /** While it is set, compactions reject with it and do nothing. */
  compactions: StorageError | null = null;
  refusedCompactions = 0;
  /** While it is set, what is to take the place of everything is refused with it. */
  anew: StorageError | null = null;
  /** Before each write. */
  onWrite: () => void = () => {};
  #refuseAnew = (): void => {};
  /** Resolves when `anew` was told to somebody. */
  readonly refusedAnew = new Promise<void>((resolve) => {
    this.#refuseAnew = resolve;
  });
  /** Before a change is handed out; to damage it. */
  onRead: (change: StoredChange) => StoredChange = (change) => change;
  /** Calls of `append` that wait here until it resolves. */
  gate: Promise<void> = Promise.resolve();
  /** As `gate`, where what they write is there already. */
  afterWrite: Promise<void> = Promise.resolve();
  /** As `gate`, for calls of `confirm`. */
  confirmGate: Promise<void> = Promise.resolve();
  #inner: DeviceStorage;
  readonly #open = new Set<LocalStoreEvents>();
  #starts = 0;

  /** `inner`: shared by tabs of which each fails by itself. */
  constructor(inner = memoryStorage()) {
    this.#inner = inner;
  }

  async open(name: string, events: LocalStoreEvents): Promise<LocalStore> {
    this.#check();
    this.#open.add(events);
    const alive = { onNews: () => this.#open.has(events) && events.onNews() };
    return this.#breakable(await this.#inner.open(name, { ...events, ...alive }));
  }

  /** As when someone deletes the database under the running app. */
  loseEverything(): void {
    this.#inner = memoryStorage();
    for (const events of [...this.#open]) events.onGone('lost');
    this.#open.clear();
  }

  /** The app is killed: stores that are open do nothing more; what they stored is there at the next start. */
  kill(): void {
    this.#starts++;
    this.#open.clear();
  }

  async readSetting(name: string): Promise<string | null> {
    this.#check();
    return this.#inner.readSetting(name);
  }

  async writeSetting(name: string, value: string | null): Promise<void> {
    this.#check();
    this.#checkWrite();
    await this.#inner.writeSetting(name, value);
  }

  #check(): void {
    if (this.failure !== null) throw this.failure;
  }

  #checkWrite(): void {
    if (this.writes !== null) throw this.writes;
  }

  #breakable(store: LocalStore): LocalStore {
    const start = this.#starts;
    const guarded =
      <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
      async (...args: Args): Promise<Result> => {
        this.onWrite();
        if (start !== this.#starts) throw new StorageError('UNAVAILABLE', 'The app was killed.');
        this.#check();
        return call(...args);
      };
    return {
      append: guarded(async (step, anew) => {
        await this.gate;
        if (anew && this.anew !== null) {
          this.#refuseAnew();
          throw this.anew;
        }
        const keys = await store.append((news) => {
          const rows = step({ ...news, changes: news.changes.map(this.onRead) });
          if (rows.length > 0) this.#checkWrite();
          return rows;
        }, anew);
        await this.afterWrite;
        return keys;
      }),
      confirm: guarded(async (keys) => {
        await this.confirmGate;
        this.#checkWrite();
        return store.confirm(keys);
      }),
      compact: guarded(async (key, snapshot) => {
        this.#checkWrite();
        if (this.compactions === null) return store.compact(key, snapshot);
        this.refusedCompactions++;
        throw this.compactions;
      }),
      clear: guarded((reason: ClearReason) => store.clear(reason)),
      close: () => store.close(),
    };
  }
}
