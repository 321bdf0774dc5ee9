import { Calls, callStep, type Step } from './calls.js';
import { toStorageError, unavailable } from './failures.js';
import type {
  ClearReason,
  DeviceStorage,
  LocalStore,
  LocalStoreEvents,
  NewChange,
  StoredChange,
} from './store.js';

/**
 * Keeps everything in memory, for tests and for where there is no storage: nothing survives the end of the
 * process. Stores of one name that are opened from one storage share their changes, as tabs of a browser do, and
 * one that is opened again after `close` finds what was there.
 *
 * @example
 * const storage = memoryStorage();
 * const store = await storage.open('anna', { onNews() {}, onGone() {}, onError() {} });
 */
export function memoryStorage(): DeviceStorage {
  const tables = new Map<string, Table>();
  const settings = new Map<string, string>();
  return {
    name: 'memory',
    durable: false,
    async open(name, events) {
      const table = tables.get(name) ?? new Table();
      tables.set(name, table);
      return new MemoryStore(table, events);
    },
    async readSetting(name) {
      return settings.get(name) ?? null;
    },
    async writeSetting(name, value) {
      if (value === null) settings.delete(name);
      else settings.set(name, value);
    },
  };
}

class Table {
  readonly stores = new Set<MemoryStore>();
  changes: StoredChange[] = [];
  #lastKey = 0;

  add(added: readonly NewChange[]): number[] {
    const keyed = added.map(({ bytes, pending }) => ({ key: ++this.#lastKey, bytes, pending }));
    this.changes.push(...keyed);
    return keyed.map(({ key }) => key);
  }

  tellOthers(teller: MemoryStore, tell: (other: MemoryStore) => void): void {
    for (const other of this.stores) {
      if (other !== teller) queueMicrotask(() => tell(other));
    }
  }
}

class MemoryStore implements LocalStore {
  readonly #table: Table;
  readonly #events: LocalStoreEvents;
  readonly #calls = new Calls(toStorageError('Memory'), async () => {
    this.#table.stores.delete(this);
  });
  /** Up to this key, and for these keys above it, there is no news. */
  #told = 0;
  #own = new Set<number>();

  constructor(table: Table, events: LocalStoreEvents) {
    this.#table = table;
    this.#events = events;
    table.stores.add(this);
  }

  append(step: Step, anew = false): Promise<readonly number[]> {
    return this.#calls.run(async () => {
      if (anew) this.#told = 0;
      if (anew) this.#own.clear();
      const added = callStep(step, this.#news());
      if (anew) this.#table.changes = [];
      const keys = this.#table.add(added);
      for (const key of keys) this.#own.add(key);
      if (keys.length > 0) this.#tellNews();
      return keys;
    });
  }

  confirm(keys: readonly number[]): Promise<void> {
    return this.#calls.run(async () => {
      const confirmed = new Set(keys);
      this.#table.changes = this.#table.changes.map((change) =>
        confirmed.has(change.key) ? { ...change, pending: false } : change,
      );
      this.#tellNews();
    });
  }

  compact(key: number, snapshot: Uint8Array): Promise<number> {
    return this.#calls.run(async () => {
      if (!this.#table.changes.some((change) => change.key <= key)) return key;
      this.#table.changes = this.#table.changes.filter((change) => change.key > key || change.pending);
      const [added = 0] = this.#table.add([{ bytes: snapshot, pending: false }]);
      this.#own.add(added);
      this.#tellNews();
      return added;
    });
  }

  clear(reason: ClearReason): Promise<void> {
    return this.#calls.runLast(async () => {
      this.#table.changes = [];
      this.#table.tellOthers(this, (other) => other.#gone(reason));
    });
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  #news() {
    const { changes } = this.#table;
    const news = changes.filter(({ key }) => key > this.#told && !this.#own.has(key));
    this.#told = changes.at(-1)?.key ?? this.#told;
    this.#own.clear();
    return {
      changes: news,
      pending: new Set(changes.filter(({ pending }) => pending).map(({ key }) => key)),
    };
  }

  #tellNews(): void {
    this.#table.tellOthers(this, (other) => other.#events.onNews());
  }

  #gone(reason: ClearReason): void {
    this.#table.stores.delete(this);
    this.#calls.end(unavailable('The local store was deleted by another tab.'));
    this.#events.onGone(reason);
  }
}
