import { Calls, callStep, type Step } from './calls.js';
import { asStorageError, toStorageError, unavailable } from './failures.js';
import type { LocalStore, NewChange, StoredChange, StoreNews } from './store.js';

/** What one write does, all of it or nothing. */
export interface RowsWrite {
  readonly add: readonly StoredChange[];
  /** Keys of changes that are no longer pending. */
  readonly confirm: readonly number[];
  /** Keys of changes to remove, after what is added is safe. */
  readonly remove: readonly number[];
}

/** Where a `SoleStore` keeps its changes. Called one at a time. */
export interface Rows {
  /** Everything, in the order of the keys. Called first of all, and once more before everything is replaced. */
  read(): Promise<readonly StoredChange[]>;
  write(write: RowsWrite): Promise<void>;
  /** May be called again. */
  close(): Promise<void>;
  /** Deletes everything; called after `close`. */
  remove(): Promise<void>;
}

/** The stores of one place (a database library, the process) that are open, by name. */
const open = new WeakMap<object, Map<string, Calls>>();

/** Opens a store that no one else writes to: a second one would not learn of what the first one stores. */
export async function openSole(
  place: object,
  name: string,
  storage: string,
  openRows: () => Promise<Rows>,
): Promise<LocalStore> {
  const held = open.get(place) ?? new Map<string, Calls>();
  open.set(place, held);
  await turnFor(held, name);
  let rows: Rows | null = null;
  const calls = new Calls(toStorageError(storage), async () => {
    await rows?.close().finally(() => held.delete(name));
  });
  held.set(name, calls);
  try {
    rows = await openRows();
    return new SoleStore(rows, await rows.read(), calls);
  } catch (error) {
    await rows?.close().catch(() => {}); // the first error tells more
    held.delete(name);
    throw asStorageError(error, toStorageError(storage));
  }
}

async function turnFor(held: ReadonlyMap<string, Calls>, name: string): Promise<void> {
  for (let other = held.get(name); other; other = held.get(name)) {
    if (!other.closing) throw unavailable(`The local store '${name}' is open already: close it first.`);
    await other.closing.catch(() => {});
  }
}

/** As `RowsWrite`, before the new changes have keys. */
interface SoleWrite {
  readonly add?: readonly NewChange[];
  readonly confirm?: readonly number[];
  readonly remove?: readonly number[];
}

class SoleStore implements LocalStore {
  readonly #rows: Rows;
  readonly #calls: Calls;
  /** Key → whether that change is pending. */
  readonly #stored: Map<number, boolean>;
  #untold: readonly StoredChange[] | null;
  #lastKey: number;

  constructor(rows: Rows, stored: readonly StoredChange[], calls: Calls) {
    this.#rows = rows;
    this.#calls = calls;
    this.#stored = new Map(stored.map(({ key, pending }) => [key, pending]));
    this.#untold = stored;
    this.#lastKey = stored[stored.length - 1]?.key ?? 0;
  }

  append(step: Step, anew = false): Promise<readonly number[]> {
    return this.#calls.run(async () => {
      if (anew) this.#untold = await this.#rows.read();
      const add = callStep(step, this.#news());
      return this.#write({ add, remove: anew ? [...this.#stored.keys()] : [] });
    });
  }

  async confirm(keys: readonly number[]): Promise<void> {
    await this.#calls.run(() => this.#write({ confirm: keys.filter((key) => this.#stored.get(key)) }));
  }

  async compact(key: number, snapshot: Uint8Array): Promise<number> {
    const [added = key] = await this.#calls.run(async () => {
      const old = [...this.#stored].filter(([each]) => each <= key);
      if (old.length === 0) return [key];
      return this.#write({
        add: [{ bytes: snapshot, pending: false }],
        remove: old.flatMap(([each, pending]) => (pending ? [] : each)),
      });
    });
    return added;
  }

  clear(): Promise<void> {
    return this.#calls.runLast(async () => {
      await this.#rows.close();
      await this.#rows.remove();
    });
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  #news(): StoreNews {
    const untold = this.#untold;
    if (untold === null) return { changes: [], pending: null };
    this.#untold = null;
    const changes = untold.flatMap((change) => {
      const pending = this.#stored.get(change.key);
      return pending === undefined ? [] : [{ ...change, pending }];
    });
    return { changes, pending: new Set([...this.#stored].flatMap(([key, pending]) => (pending ? key : []))) };
  }

  async #write({ add: added = [], confirm = [], remove = [] }: SoleWrite): Promise<number[]> {
    const add = added.map(({ bytes, pending }, i) => ({ key: this.#lastKey + 1 + i, bytes, pending }));
    if (add.length + confirm.length + remove.length === 0) return [];
    await this.#rows.write({ add, confirm, remove });
    for (const { key, pending } of add) this.#stored.set(key, pending);
    for (const key of confirm) this.#stored.set(key, false);
    for (const key of remove) this.#stored.delete(key);
    this.#lastKey += add.length;
    return add.map(({ key }) => key);
  }
}
