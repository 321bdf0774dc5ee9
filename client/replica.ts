/** One user's document on this device: Y.Doc, local store and pending changes. It knows no network. */
import * as Y from 'yjs';
import { ClientError, type StorageError, unreadableChanges } from './errors.js';
import type { LocalStore, NewChange, StoredChange, StoreNews } from './local-store/store.js';
import { PendingChanges } from './pending-changes.js';
import { StoreKeeper, type StoreKeeperOptions } from './store-keeper.js';
import { joined, pendingRow, seal, unseal } from './stored-bytes.js';
import { StoredSize } from './stored-size.js';
import type { PendingChange, SyncSource } from './sync-source.js';

export interface ReplicaOptions
  extends Pick<StoreKeeperOptions, 'storage' | 'name' | 'clock' | 'onStorage' | 'onCleared'> {
  /** The number of pending changes, or whether changes are stored, is another one. */
  readonly onChange: () => void;
  /** An update could not be applied; the document in memory may be broken and has to be opened anew. */
  readonly onBroken: () => void;
}

/** A `local` change is a write of the app: it is pending until the server confirms it. */
type Origin = 'local' | 'remote' | 'stored';

interface Task {
  readonly origin: Origin;
  readonly at: number; // when it was asked for
  readonly change: (doc: Y.Doc) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What a task did to the document. */
interface Done {
  readonly task: Task;
  /** `null` where there is nothing to store. */
  readonly change: NewChange | null;
  /** That of the pending change. */
  readonly number: number | null;
}

export class Replica implements SyncSource {
  readonly doc = new Y.Doc();
  readonly #options: ReplicaOptions;
  readonly #keeper: StoreKeeper;
  readonly #pending = new PendingChanges();
  readonly #size = new StoredSize();
  readonly #listeners = new Set<() => void>();
  #tasks: Task[] = [];
  #hasNews = false;
  #isDraining = false;
  #drained: Promise<void> | null = null;
  #closed = false;
  #captured: Uint8Array[] = [];

  private constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#keeper = new StoreKeeper({
      ...options,
      fill: (store) => this.#fill(store),
      onNews: () => this.#drain(true),
      onReopened: () => this.#drain(),
    });
    this.doc.on('update', (update: Uint8Array, origin: Origin) => {
      if (origin !== 'stored') this.#captured.push(update);
    });
  }

  /** Resolves when everything stored is loaded; where storage fails, it goes on in memory and says so. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    await replica.#keeper.open();
    return replica;
  }

  get pendingCount(): number {
    return this.#pending.count;
  }

  /** Whether what is written survives the end of the app. */
  get durable(): boolean {
    return this.#keeper.store !== null && this.#options.storage.durable;
  }

  get storageError(): StorageError | null {
    return this.#keeper.error;
  }

  /** Changes the document; resolves with the result once the change is stored (C3). */
  async write<T>(change: (doc: Y.Doc) => T): Promise<T> {
    const results: T[] = [];
    await this.#enqueue('local', (doc) => void results.push(change(doc)));
    return results[0] as T;
  }

  async receive(update: Uint8Array): Promise<void> {
    try {
      await this.#enqueue('remote', (doc) => Y.applyUpdate(doc, update));
    } catch (error) {
      if (!this.#closed) this.#options.onBroken();
      throw error;
    }
  }

  pendingAfter(number: number): PendingChange[] {
    return this.#pending.after(number);
  }

  stateVector(): Uint8Array {
    return Y.encodeStateVector(this.doc);
  }

  diff(stateVector: Uint8Array): Uint8Array {
    return Y.encodeStateAsUpdate(this.doc, stateVector.length > 0 ? stateVector : undefined);
  }

  onPending(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The count goes down once the mark is off in the store too, so that it is the same after a restart. */
  confirm(upTo: number): void {
    const numbers = this.#pending.confirm(upTo);
    if (numbers.length > 0) this.#unmark(numbers);
  }

  /** Where the marks are is not known while a store is read and filled. */
  #unmark(numbers: readonly number[]): void {
    const { store, adopting } = this.#keeper;
    const keys = this.#pending.keysOf(numbers);
    const forget = (): void => {
      this.#pending.remove(numbers);
      this.#options.onChange();
    };
    if (adopting !== null) void adopting.then(() => this.#unmark(numbers));
    else if (store === null || keys.length === 0) forget();
    else
      void store.confirm(keys).then(forget, (error: unknown) => {
        this.#failed(store, error);
        this.#unmark(numbers);
      });
  }

  /** Waits for what was asked for, and closes the store. What is pending stays so. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#keeper.close();
  }

  /** Deletes everything on this device, in other tabs too. Rejects with a `StorageError` where that is impossible. */
  async clear(): Promise<void> {
    await this.#stop();
    await this.#keeper.clear();
  }

  async #stop(): Promise<void> {
    this.#closed = true;
    this.#keeper.stop();
    await this.#drained;
    this.doc.destroy();
  }

  #enqueue(origin: Origin, change: (doc: Y.Doc) => void): Promise<void> {
    if (this.#closed) return Promise.reject(new ClientError('CLOSED'));
    return new Promise((resolve, reject) => {
      this.#tasks.push({ origin, at: this.#options.clock.now(), change, resolve, reject });
      this.#drain();
    });
  }

  /** One batch after the other; what comes in meanwhile makes the next one. */
  #drain(hasNews = false): void {
    this.#hasNews ||= hasNews;
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#drained = this.#drainAll().finally(() => {
      this.#isDraining = false;
      if (this.#hasWork()) this.#drain();
    });
  }

  #hasWork(): boolean {
    return this.#tasks.length > 0 || (this.#hasNews && !this.#closed) || this.#keeper.hasReopened;
  }

  async #drainAll(): Promise<void> {
    while (this.#hasWork()) {
      if (this.#keeper.hasReopened) await this.#keeper.adoptReopened();
      this.#hasNews = false;
      await this.#process(this.#tasks.splice(0));
      await this.#compactIfDue();
    }
  }

  async #process(tasks: readonly Task[]): Promise<void> {
    let done: readonly Done[] | null = null;
    const run = (): NewChange[] => {
      done = tasks.map((task) => this.#run(task));
      return done.flatMap(({ change }) => change ?? []);
    };
    const { store } = this.#keeper;
    let keys: readonly number[] = [];
    try {
      if (store !== null) keys = await store.append((news) => this.#learn(news, run));
    } catch (error) {
      this.#failed(store, error);
    }
    if (done === null) run();
    this.#finish(done ?? [], keys);
  }

  #run(task: Task): Done {
    this.#captured = [];
    try {
      this.doc.transact(() => task.change(this.doc), task.origin);
    } catch (error) {
      task.reject(error);
      if (task.origin === 'remote') this.#captured = []; // half an update: the server has all of it
    }
    const update = joined(this.#captured);
    if (update === null) return { task, change: null, number: null };
    const madeAt = task.origin === 'local' ? task.at : null;
    const number = madeAt === null ? null : this.#pending.begin(update, madeAt);
    return { task, change: { bytes: seal(update, madeAt), pending: number !== null }, number };
  }

  #finish(done: readonly Done[], keys: readonly number[]): void {
    let next = 0;
    for (const { change, number } of done) {
      const key = change === null ? null : (keys[next++] ?? null);
      if (number !== null) this.#pending.settle(number, key);
      if (key !== null && change !== null) this.#size.add(key, change.bytes.length);
    }
    if (done.some(({ number }) => number !== null)) this.#tellPending();
    for (const { task } of done) task.resolve();
  }

  #tellPending(): void {
    this.#options.onChange();
    for (const listener of [...this.#listeners]) listener();
  }

  /** Takes in what the store tells: everything at first, then what other tabs did. */
  #learn<T>({ changes, pending }: StoreNews, then: () => T): T {
    const before = this.#pending.count;
    let unreadable = 0;
    this.doc.transact(() => {
      for (const change of changes) if (!this.#learnChange(change)) unreadable++;
    }, 'stored' satisfies Origin);
    if (pending !== null) this.#pending.keepOnly(pending);
    if (unreadable > 0) this.#options.onStorage(unreadableChanges(unreadable));
    // News may bring as many as it takes away.
    if (this.#pending.count !== before || changes.some(({ pending }) => pending)) this.#tellPending();
    return then();
  }

  #learnChange(change: StoredChange): boolean {
    this.#size.add(change.key, change.bytes.length);
    const stored = unseal(change.bytes);
    if (stored === null) return false;
    try {
      Y.applyUpdate(this.doc, stored.update);
    } catch {
      return false;
    }
    if (change.pending) this.#pending.found(stored.update, stored.madeAt, change.key);
    return true;
  }

  async #compactIfDue(): Promise<void> {
    const { store } = this.#keeper;
    if (store === null || !this.#size.isCompactionDue) return;
    try {
      this.#size.reset(await store.compact(this.#size.lastKey, this.#state()));
    } catch (error) {
      this.#failed(store, error);
    }
  }

  #failed(store: LocalStore | null, error: unknown): void {
    if (store === this.#keeper.store) this.#keeper.lose(error);
  }

  #state(): Uint8Array {
    return seal(Y.encodeStateAsUpdate(this.doc));
  }

  /** Reads all of a store that was just opened; after a failure, writes to it what it lacks. */
  async #fill(store: LocalStore): Promise<void> {
    let missing: readonly PendingChange[] = [];
    const fill = (): NewChange[] => {
      if (this.#keeper.error === null) return [];
      missing = this.#pending.unstored();
      const state = { bytes: this.#state(), pending: false };
      return [state, ...missing.map(pendingRow)];
    };
    this.#pending.forgetKeys();
    this.#size.reset(0);
    const keys = await store.append(({ changes }) => this.#learn({ changes, pending: null }, fill));
    for (const [i, { number }] of missing.entries()) this.#pending.settle(number, keys[i + 1] ?? null);
  }
}
