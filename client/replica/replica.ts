/** One user's document on this device: Y.Doc, local store and pending changes. It knows no network. */
import * as Y from 'yjs';
import type { PendingChange, SyncSource } from '../connection/sync-source.js';
import { ClientError, StorageError, unreadableChanges } from '../errors.js';
import type { ClearReason, LocalStore, NewChange, StoredChange, StoreNews } from '../local-store/store.js';
import { Quarantine } from '../refused/quarantine.js';
import { bringBack } from './created-apart.js';
import { closeGaps } from './gaps.js';
import { PendingChanges, type PendingEntry } from './pending-changes.js';
import { changeOf, type Origin, type Renewal, type Task } from './replica-task.js';
import { StoreSupervisor, type StoreSupervisorOptions } from './store-supervisor.js';
import { pendingRow, seal, unseal } from './stored-bytes.js';
import { StoredSize } from './stored-size.js';

export interface ReplicaOptions extends Omit<StoreSupervisorOptions, 'fill' | 'onNews' | 'onReopened'> {
  /** The number of pending changes, or whether changes are stored, is another one. */
  readonly onChange: () => void;
  /** The document in memory is broken, or not the stored one: it is to be opened anew, unless `stored` rejects. */
  readonly onBroken: (stored?: Promise<void>) => void;
}

export class Replica implements SyncSource {
  readonly doc = new Y.Doc();
  readonly #options: ReplicaOptions;
  /** What the server refused (C11). */
  readonly refused: Quarantine;
  readonly #supervisor: StoreSupervisor;
  readonly #pending = new PendingChanges();
  readonly #size = new StoredSize();
  readonly #listeners = new Set<() => void>();
  readonly stateVector = (): Uint8Array => Y.encodeStateVector(this.doc);
  readonly settled = (): Promise<void> => this.write(() => {});
  readonly setAside: SyncSource['setAside'] = (...refused) => this.refused.setAside(...refused);
  readonly closeGaps = (serverHas: Uint8Array): Promise<void> => closeGaps(this, serverHas);
  #tasks: Task[] = [];
  #renewal: Renewal | null = null;
  #hasNews = false;
  #isDraining = false;
  #drained: Promise<void> | null = null;
  #closed = false;
  /** Whose work a transaction is: a listener of one write may make the next one. */
  readonly #taskOf = new WeakMap<Y.Transaction, Task>();
  /** Yjs has ended what it began. */
  #isWhole = true;
  #isBroken = false; // it could not

  private constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#supervisor = new StoreSupervisor({
      ...options,
      fill: (store) => this.#fill(store),
      onNews: () => this.#drain(true),
      onReopened: () => this.#drain(),
    });
    this.refused = new Quarantine({
      ...options,
      source: this,
      supervisor: this.#supervisor,
      learn: (news, then) => this.#learn(news, then),
      storeAnew: (rows) => this.#renew(rows),
    });
    this.doc.on('update', (update: Uint8Array, origin: Origin, _: Y.Doc, transaction: Y.Transaction) => {
      const task = this.#taskOf.get(transaction);
      if (origin !== 'stored' && task !== undefined) this.#note(task, update);
    });
    this.doc.on('beforeAllTransactions', () => {
      this.#isWhole = false;
    });
    this.doc.on('afterAllTransactions', () => {
      this.#isWhole = true;
      if (this.#tasks.length > 0) this.#drain();
    });
  }

  /** Resolves when everything stored is loaded; where storage fails, it goes on in memory and says so. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    await replica.#supervisor.open();
    return replica;
  }

  get pendingCount(): number {
    return this.#pending.count;
  }

  /** Whether what is written survives the end of the app. */
  get durable(): boolean {
    return this.#supervisor.store !== null && this.#options.storage.durable;
  }

  get storageError(): StorageError | null {
    return this.#supervisor.error;
  }

  /**
   * Changes the document before it returns, so that every view shows it in the same tick; resolves with the result
   * once the change is stored (C3). What `change` throws rejects the promise. It may be called once more: where
   * another tab has written meanwhile, the change is made again in knowledge of that (C9). `at`: when it was made.
   */
  async write<T>(change: (doc: Y.Doc) => T, at?: number): Promise<T> {
    let result: T | undefined;
    const run = (doc: Y.Doc): void => {
      result = change(doc);
    };
    await this.#enqueue('local', run, at);
    return result as T;
  }

  async receive(update: Uint8Array): Promise<void> {
    try {
      await this.#enqueue('remote', (doc) => Y.applyUpdate(doc, update));
    } catch (error) {
      if (!this.#closed && !this.#isBroken) this.#options.onBroken();
      throw error;
    }
  }

  /** What is in memory only. */
  get unstored(): readonly PendingChange[] {
    return this.#pending.unstored();
  }

  pendingAfter(number: number): PendingChange[] {
    return this.#pending.after(number);
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
    const confirmed = this.#pending.confirm(upTo);
    if (confirmed.length > 0) this.#unmark(confirmed);
  }

  /** Where the marks are is not known while a store is read and filled. */
  #unmark(confirmed: readonly PendingEntry[]): void {
    const { store, adopting } = this.#supervisor;
    const keys = this.#pending.keysOf(confirmed);
    const forget = (): void => {
      this.#pending.remove(confirmed);
      this.#options.onChange();
    };
    if (adopting !== null) void adopting.then(() => this.#unmark(confirmed));
    else if (store === null || keys.length === 0) forget();
    else
      void store.confirm(keys).then(forget, (error: unknown) => {
        this.#failed(store, error);
        this.#unmark(confirmed);
      });
  }

  /** Waits for what was asked for, and closes the store. What is pending stays so. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#supervisor.close();
  }

  /** Deletes everything on this device, in other tabs too. Rejects with a `StorageError` where that is impossible. */
  async clear(force: boolean, reason: ClearReason): Promise<void> {
    await this.#stop();
    await this.#supervisor.clear(force, reason);
  }

  async #stop(): Promise<void> {
    this.#closed = true;
    this.#supervisor.stop();
    await this.#drained;
    this.doc.destroy();
  }

  #enqueue(origin: Origin, change: (doc: Y.Doc) => void, at = this.#options.clock.now()): Promise<void> {
    if (this.#closed || this.#isBroken) return Promise.reject(new ClientError('CLOSED'));
    return new Promise((resolve, reject) => {
      const task: Task = { origin, at, change, resolve, reject, update: null, pending: null };
      this.#tasks.push(task);
      if (origin === 'local') this.#run(task);
      if (this.#isWhole || this.#isBroken) this.#drain();
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
    const hasNews = (this.#hasNews && !this.#closed) || this.#supervisor.hasReopened;
    return hasNews || this.#tasks.length > 0 || this.#renewal !== null;
  }

  async #drainAll(): Promise<void> {
    while (this.#hasWork()) {
      if (this.#supervisor.hasReopened) await this.#supervisor.adoptReopened();
      this.#hasNews = false;
      await this.#process(this.#tasks.splice(0));
      await this.#compactIfDue();
      if (this.#tasks.length === 0 && this.#renewal !== null) await this.#storeAnew(this.#renewal);
    }
  }

  /** Nothing is taken while all that is stored is replaced, and nothing ever more where that worked. */
  #renew(rows: Renewal['rows']): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#renewal = { rows, resolve, reject };
      this.#drain();
    });
  }

  async #storeAnew({ rows, resolve, reject }: Renewal): Promise<void> {
    const { store } = this.#supervisor;
    this.#renewal = null;
    if (store === null || this.#closed || this.#isBroken)
      return reject(this.#supervisor.error ?? new ClientError('CLOSED'));
    this.#isBroken = true;
    const stored = store.append((news) => this.#learn(news, rows), true).then(() => {});
    this.#options.onBroken(stored);
    await stored.then(resolve, (error: unknown) => {
      this.#isBroken = false;
      reject(error);
    });
  }

  async #process(tasks: readonly Task[]): Promise<void> {
    let isDone = false;
    const run = (news: StoreNews | null): NewChange[] => {
      isDone = true;
      if (news?.changes.some(({ pending }) => pending) === true)
        this.#runAgain([...tasks, ...this.#tasks], news);
      for (const task of tasks) if (task.origin === 'remote') this.#run(task);
      return tasks.flatMap((task) => (this.#isToStore(task) ? changeOf(task) : []));
    };
    const { store } = this.#supervisor;
    let keys: readonly number[] = [];
    try {
      if (store !== null) keys = await store.append((news) => this.#learn(news, () => run(news)));
    } catch (error) {
      this.#failed(store, error);
    }
    if (!isDone) run(null);
    this.#finish(tasks, keys);
  }

  #run(task: Task): void {
    try {
      this.#transact(task);
    } catch (error) {
      task.reject(error);
      if (task.origin === 'remote')
        task.update = null; // half an update: the server has all of it
      else if (!this.#isWhole) this.#break();
    }
  }

  /** Yjs swallows every later change: what is written already is stored, and nothing more is taken. */
  #break(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#options.onBroken();
  }

  #transact(task: Task, change = task.change): void {
    this.doc.transact((transaction) => {
      this.#taskOf.set(transaction, task);
      change(this.doc);
    }, task.origin);
  }

  #note(task: Task, update: Uint8Array): void {
    task.update = task.update === null ? update : Y.mergeUpdates([task.update, update]);
    if (task.origin !== 'local') return;
    if (task.pending === null) task.pending = this.#pending.begin(task.update, task.at);
    else task.pending.update = task.update;
  }

  /**
   * Another tab has written what these writes did not know of: they are made again, and what the other tab created
   * and Yjs dropped for it comes back (D4).
   */
  #runAgain(tasks: readonly Task[], { changes }: StoreNews): void {
    const written = tasks.filter(({ pending }) => pending !== null);
    const others = changes.flatMap(({ pending, bytes }) => (pending ? (unseal(bytes)?.update ?? []) : []));
    for (const task of written) {
      try {
        this.#transact(task);
      } catch {
        // The record is deleted by now, say: what the write did stands.
      }
    }
    const last = written[written.length - 1];
    if (last === undefined) return;
    this.#transact(last, (doc) => bringBack(doc, others));
  }

  /** A write that was made while a store was opened anew is stored with it. */
  #isToStore({ update, pending }: Task): boolean {
    return update !== null && (pending === null || !this.#pending.isStored(pending));
  }

  #finish(tasks: readonly Task[], keys: readonly number[]): void {
    let next = 0;
    for (const task of tasks) {
      if (!this.#isToStore(task)) continue;
      const key = keys[next++] ?? null;
      if (task.pending !== null) this.#pending.settle(task.pending, key);
      if (key !== null) this.#size.add(key, task.update?.length ?? 0, task.pending !== null);
    }
    if (tasks.some(({ pending }) => pending !== null)) this.#tellPending();
    for (const task of tasks) task.resolve();
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
    if (pending !== null) for (const each of [this.#pending, this.refused.changes]) each.keepOnly(pending);
    if (unreadable > 0) this.#options.onStorage(unreadableChanges(unreadable));
    // News may bring as many as it takes away.
    if (this.#pending.count !== before || changes.some(({ pending }) => pending)) this.#tellPending();
    return then();
  }

  #learnChange(change: StoredChange): boolean {
    this.#size.add(change.key, change.bytes.length, change.pending);
    const stored = unseal(change.bytes);
    if (stored === null) return false;
    if (stored.kind === 'aside') {
      if (change.pending) this.refused.changes.found(stored.update, change.key);
      return true;
    }
    if (stored.kind === 'anew' && this.#supervisor.adopting === null) this.refused.renewed(stored.update);
    try {
      Y.applyUpdate(this.doc, stored.update);
    } catch {
      return false;
    }
    if (change.pending) this.#pending.found(stored.update, stored.madeAt, change.key);
    return true;
  }

  async #compactIfDue(): Promise<void> {
    const { store } = this.#supervisor;
    for (const bytes of this.#pending.takeConfirmed()) this.#size.confirmed(bytes);
    if (store === null || !this.#size.isCompactionDue) return;
    try {
      this.#size.reset(await store.compact(this.#size.lastKey, this.#state()));
    } catch (error) {
      // No room for a moment's two copies: nothing is lost, and there may be some the next time (C12).
      if (error instanceof StorageError && error.code === 'QUOTA') this.#size.reset(this.#size.lastKey);
      else this.#failed(store, error);
    }
  }

  #failed(store: LocalStore | null, error: unknown): void {
    if (store === this.#supervisor.store) this.#supervisor.lose(error);
  }

  #state(): Uint8Array {
    return seal(Y.encodeStateAsUpdate(this.doc));
  }

  /** Reads all of a store that was just opened; after a failure, writes to it what it lacks. */
  async #fill(store: LocalStore): Promise<void> {
    let missing: readonly PendingEntry[] = [];
    const fill = (): NewChange[] => {
      if (this.#supervisor.error === null) return [];
      missing = this.#pending.unstored();
      return [{ bytes: this.#state(), pending: false }, ...missing.map(pendingRow)];
    };
    this.#pending.forgetKeys();
    this.refused.changes.forgetRows();
    this.#size.reset(0);
    const keys = await store.append(({ changes }) => this.#learn({ changes, pending: null }, fill));
    for (const [i, entry] of missing.entries()) this.#pending.settle(entry, keys[i + 1] ?? null);
    await this.refused.storeIn(store);
  }
}
