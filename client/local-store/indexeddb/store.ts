import { Calls, callStep, type Step } from '../calls.js';
import { corrupt, unavailable } from '../failures.js';
import type {
  ClearReason,
  LocalStore,
  LocalStoreEvents,
  NewChange,
  StoredChange,
  StoreNews,
} from '../store.js';
import { deleteDatabase, openChanges, type Row, toIndexedDbError, transact } from './database.js';
import type { IndexedDbLimits } from './options.js';
import { answerOf } from './requests.js';

/** How long to wait for the tab that deleted the database to say that it was on purpose, in ms. */
const EXPLANATION_TIME = 500;

/** One tab's view of the changes of one user in IndexedDB. Transactions put the tabs in order. */
export class IndexedDbStore implements LocalStore {
  readonly #name: string;
  readonly #events: LocalStoreEvents;
  readonly #limits: IndexedDbLimits;
  readonly #calls = new Calls(toIndexedDbError, async () => this.#release());
  readonly #channel: BroadcastChannel | null;
  #db: IDBDatabase | null = null;
  #isGone = false;
  #stopWaiting = (): void => {};
  /** Up to this key, and for these keys above it, there is no news. */
  #told = 0;
  #own = new Set<number>();

  private constructor(name: string, events: LocalStoreEvents, limits: IndexedDbLimits) {
    this.#name = name;
    this.#events = events;
    this.#limits = limits;
    this.#channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(name);
    if (this.#channel) this.#channel.onmessage = ({ data }) => this.#hear(data);
  }

  static async open(
    name: string,
    events: LocalStoreEvents,
    limits: IndexedDbLimits,
  ): Promise<IndexedDbStore> {
    const store = new IndexedDbStore(name, events, limits);
    try {
      store.#db = await openChanges(name, limits, {
        onVersionChange: (version) => store.#makeWay(version),
        onTerminated: () => store.#leave('lost'),
      });
      return store;
    } catch (error) {
      store.#release();
      throw error;
    }
  }

  append(step: Step, anew = false): Promise<readonly number[]> {
    return this.#calls.run(async () => {
      const keys = await this.#transact(async (changes) => {
        const news = await this.#readNews(changes, anew);
        const added = callStep(step, news);
        if (anew) await answerOf(changes.clear());
        return Promise.all(added.map((change) => add(changes, change)));
      });
      this.#stored(keys);
      return keys;
    });
  }

  confirm(keys: readonly number[]): Promise<void> {
    return this.#calls.run(async () => {
      await this.#transact((changes) => Promise.all(keys.map((key) => confirmRow(changes, key))));
      this.#tell('news');
    });
  }

  compact(key: number, snapshot: Uint8Array): Promise<number> {
    return this.#calls.run(async () => {
      const added = await this.#transact(async (changes) => {
        const old = await answerOf(changes.getAllKeys(IDBKeyRange.upperBound(key)));
        if (old.length === 0) return null;
        const pending = await pendingKeys(changes);
        const settled = old.filter((each) => !pending.has(each as number));
        await Promise.all(settled.map((each) => answerOf(changes.delete(each))));
        return add(changes, { bytes: snapshot, pending: false });
      });
      this.#stored(added === null ? [] : [added]);
      return added ?? key;
    });
  }

  clear(reason: ClearReason): Promise<void> {
    return this.#calls.runLast(async () => {
      await this.#transact((changes) => answerOf(changes.clear()));
      this.#tell(reason);
      this.#db?.close();
      // The rows are gone: that the empty database stays for now is no failure of the call.
      await deleteDatabase(this.#name, this.#limits).catch((error) =>
        this.#events.onError(toIndexedDbError(error)),
      );
    });
  }

  close(): Promise<void> {
    return this.#calls.close();
  }

  async #transact<T>(work: (changes: IDBObjectStore) => Promise<T>): Promise<T> {
    if (!this.#db) throw unavailable('The local database is not open.');
    return transact(this.#db, this.#limits, work);
  }

  async #readNews(changes: IDBObjectStore, anew: boolean): Promise<StoreNews> {
    if (anew) this.#told = 0;
    if (anew) this.#own.clear();
    const rows: Row[] = await answerOf(changes.getAll(IDBKeyRange.lowerBound(this.#told, true)));
    const pending = await pendingKeys(changes);
    const news = rows.map(changeOf).filter(({ key }) => !this.#own.has(key));
    this.#told = rows.at(-1)?.key ?? this.#told;
    this.#own.clear();
    return { changes: news, pending };
  }

  #stored(keys: readonly number[]): void {
    for (const key of keys) this.#own.add(key);
    if (keys.length > 0) this.#tell('news');
  }

  #tell(message: 'news' | ClearReason): void {
    if (!this.#isGone) this.#channel?.postMessage(message);
  }

  #hear(message: unknown): void {
    if (isReason(message)) this.#leave(message);
    else if (!this.#calls.closing && !this.#calls.ended) this.#events.onNews();
  }

  /** The database is only deleted, or made newer, when no tab holds it open. */
  #makeWay(version: number | null): void {
    this.#db?.close();
    if (version === null) this.#awaitExplanation();
    else this.#leave('lost');
  }

  #awaitExplanation(): void {
    this.#calls.end(unavailable('The local database was deleted.'));
    const { clock } = this.#limits;
    this.#stopWaiting = clock.after(EXPLANATION_TIME, () => this.#leave('lost'));
  }

  #leave(how: ClearReason | 'lost'): void {
    if (this.#isGone || this.#calls.closing) return;
    this.#calls.end(unavailable(how === 'lost' ? LOST : DELETED));
    this.#release();
    this.#events.onGone(how);
  }

  #release(): void {
    this.#isGone = true;
    this.#stopWaiting();
    this.#db?.close();
    this.#channel?.close();
  }
}

const DELETED = 'The data of this user was deleted from this device in another tab.';
const LOST = 'The local database was deleted, or taken by a newer version of the app.';
const REASONS: ReadonlySet<unknown> = new Set<ClearReason>(['cleared', 'emptied', 'discarded', 'erased']);
const isReason = (message: unknown): message is ClearReason => REASONS.has(message);

async function pendingKeys(changes: IDBObjectStore): Promise<Set<number>> {
  const keys = await answerOf(changes.index('pending').getAllKeys());
  return new Set(keys as number[]);
}

async function confirmRow(changes: IDBObjectStore, key: number): Promise<void> {
  const row: Row | undefined = await answerOf(changes.get(key));
  if (row?.pending) await answerOf(changes.put({ key, bytes: row.bytes }));
}

/** Async, so that what the call itself throws rejects, too. */
async function add(changes: IDBObjectStore, change: NewChange): Promise<number> {
  return (await answerOf(changes.add(rowOf(change)))) as number;
}

const rowOf = ({ bytes, pending }: NewChange): Row => ({
  bytes: ofItsOwn(bytes),
  ...(pending ? { pending: 1 as const } : {}),
});

/** IndexedDB stores the whole buffer behind a view. */
const ofItsOwn = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();

function changeOf({ key, bytes, pending }: Row): StoredChange {
  if (key === undefined) throw corrupt('A stored change has no key.');
  // What is no update is told by whoever reads it; the others stand without it.
  return { key, bytes: ArrayBuffer.isView(bytes) ? bytes : new Uint8Array(0), pending: pending === 1 };
}
