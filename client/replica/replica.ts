/** One user's document on this device: Y.Doc, local store and pending changes. It knows no network. */
import * as Y from 'yjs';
import type { PendingChange, SyncSource } from '../connection/sync-source.js';
import type { Moved, MovedInMemory } from '../epochs/moved.js';
import { ClientError, type StorageError } from '../errors.js';
import type { ClearReason, StoreNews } from '../local-store/store.js';
import { Quarantine } from '../refused/quarantine.js';
import { ClientIds } from './client-ids.js';
import { closeGaps } from './gaps.js';
import { Persistence, type PersistenceOptions } from './persistence.js';
import type { Origin, Replacement, Task } from './replica-task.js';
import { TaskRunner } from './task-runner.js';

export interface ReplicaOptions
  extends Omit<PersistenceOptions, 'doc' | 'onPending' | 'onNews' | 'onReopened' | 'onBroken'> {
  /** How many changes another document of this user has on this device alone. */
  readonly others?: () => number;
  /** The number of pending changes has changed, or storage has failed or works again. */
  readonly onChange: () => void;
  /** The document in memory is broken, or not the stored one: it is to be opened anew, unless `stored` rejects. */
  readonly onBroken: (stored?: Promise<void>, isRefused?: boolean) => void;
  /** It is to be opened anew with this in memory; false where that can't be now. */
  readonly onMoved: (moved: MovedInMemory) => boolean;
}

export class Replica implements SyncSource {
  readonly doc = new Y.Doc();
  /** What the server refused (C11). */
  readonly refused: Quarantine;
  readonly #options: ReplicaOptions;
  readonly #persistence: Persistence;
  readonly #runner: TaskRunner;
  readonly #ids: ClientIds;
  readonly #listeners = new Set<() => void>();
  readonly stateVector = (): Uint8Array => Y.encodeStateVector(this.doc);
  /** What the server refused, and what another document has. */
  readonly kept = (): number => this.refused.changes.list.length + (this.#options.others?.() ?? 0);
  readonly settled = (): Promise<void> => this.write(() => {});
  readonly setAside: SyncSource['setAside'] = (...refused) => this.refused.setAside(...refused);
  #tasks: Task[] = [];
  #replacement: Replacement | null = null;
  #hasNews = false;
  #isDraining = false;
  #drained: Promise<void> | null = null;
  #closed = false;
  #isBroken = false;

  private constructor(options: ReplicaOptions) {
    this.#options = options;
    const { doc } = this;
    this.#persistence = new Persistence({
      ...options,
      doc,
      onStorage: (error) => {
        if (error !== null) this.#ids.letGo();
        options.onStorage(error);
      },
      onPending: () => this.#tellPending(),
      onNews: () => this.#drain(true),
      onReopened: () => this.#drain(),
    });
    this.#ids = new ClientIds({
      ...options,
      doc,
      settled: this.settled,
      isStored: () => this.#persistence.supervisor.store !== null,
    });
    this.#runner = new TaskRunner(doc, this.#persistence.pending, {
      onIdle: () => this.#tasks.length > 0 && this.#drain(),
      onStuck: () => this.#break(),
    });
    this.refused = new Quarantine({
      source: this,
      clock: options.clock,
      persistence: this.#persistence,
      replaceStored: (...replacement) => this.#replaceStored(...replacement),
      goOnInMemory: (moved) => this.#goOnInMemory(moved),
    });
  }

  /** Resolves when everything stored is loaded; where storage fails, it goes on in memory and says so. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const replica = new Replica(options);
    await replica.#persistence.supervisor.open();
    replica.#ids.begin();
    return replica;
  }

  /** That of its store. */
  get name(): string {
    return this.#options.name;
  }

  /** How many changes the server does not have. */
  get alone(): number {
    return this.unsynced + this.kept();
  }

  get pendingCount(): number {
    return this.#persistence.count;
  }

  /** Without changes that the server has confirmed and the store still marks as pending. */
  get unsynced(): number {
    return this.#persistence.unsynced;
  }

  get isReplaced(): boolean {
    return this.#persistence.stored.doc !== this.doc;
  }

  /** All that is stored, also where another tab has put another document there a moment ago. */
  get content(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#persistence.stored.doc);
  }

  /** Whether what is written survives the end of the app. */
  get durable(): boolean {
    return this.#persistence.supervisor.store !== null && this.#options.storage.durable;
  }

  get storageError(): StorageError | null {
    return this.#persistence.supervisor.error;
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

  async applyRemote(update: Uint8Array): Promise<void> {
    try {
      const { heard } = this.#persistence;
      await this.#enqueue('remote', (doc) => {
        if (heard.isAfter(doc)) throw new ClientError('CLOSED'); // opened anew, it asks for the new document
        Y.applyUpdate(doc, update);
        heard.look(doc);
      });
    } catch (error) {
      if (!this.#closed && !this.#isBroken) this.#options.onBroken();
      throw error;
    }
  }

  /** Why what is stored could not be read; null where it was. */
  get unread(): StorageError | null {
    return this.#persistence.mayBeLate ? this.storageError : null;
  }

  /** What is in memory only. */
  get unstored(): readonly PendingChange[] {
    return this.#persistence.pending.unstored();
  }

  pendingAfter(number: number): PendingChange[] {
    return this.#persistence.pending.after(number);
  }

  diff(stateVector: Uint8Array): Uint8Array {
    return Y.encodeStateAsUpdate(this.doc, stateVector.length > 0 ? stateVector : undefined);
  }

  get asksForEpoch(): boolean {
    return this.#persistence.mayBeLate;
  }

  hearEpoch(epoch: Uint8Array): void {
    this.#persistence.heard.hearEpoch(epoch);
  }

  onPending(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async closeGaps(serverHas: Uint8Array): Promise<void> {
    const { heard } = this.#persistence;
    heard.hearState(serverHas);
    heard.look(this.doc);
    await closeGaps(this, serverHas);
    await this.#ids.heard(serverHas);
  }

  confirm(upTo: number): void {
    this.#persistence.confirm(upTo);
  }

  /** Waits for what was asked for, and closes the store. What is pending stays so. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#persistence.supervisor.close();
  }

  /** Deletes everything on this device, in other tabs too. Rejects with a `StorageError` where that is impossible. */
  async clear(force: boolean, reason: ClearReason): Promise<void> {
    await this.#stop();
    await this.#persistence.supervisor.clear(force, reason);
  }

  async #stop(): Promise<void> {
    this.#closed = true;
    this.#persistence.supervisor.stop();
    await this.#drained;
    this.#ids.end();
    this.doc.destroy();
  }

  #enqueue(origin: Origin, change: (doc: Y.Doc) => void, at = this.#options.clock.now()): Promise<void> {
    if (this.#closed || this.#isBroken) return Promise.reject(new ClientError('CLOSED'));
    return new Promise((resolve, reject) => {
      const task: Task = { origin, at, change, resolve, reject, update: null, pending: null };
      this.#tasks.push(task);
      if (origin === 'local') this.#runner.run(task);
      if (this.#runner.isIdle || this.#isBroken) this.#drain();
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
    const hasNews = (this.#hasNews && !this.#closed) || this.#persistence.supervisor.hasReopened;
    return hasNews || this.#tasks.length > 0 || this.#replacement !== null;
  }

  async #drainAll(): Promise<void> {
    const { supervisor } = this.#persistence;
    while (this.#hasWork()) {
      if (supervisor.hasReopened) await supervisor.fillReopened();
      this.#hasNews = false;
      await this.#process(this.#tasks.splice(0));
      if (!this.#isBroken) await this.#persistence.compactIfDue();
      if (this.#tasks.length > 0) continue;
      if (this.#replacement !== null) await this.#replace(this.#replacement);
      if (!this.#isBroken) this.#persistence.tellFound();
    }
  }

  async #process(tasks: readonly Task[]): Promise<void> {
    await this.#persistence.store(tasks, (news) => {
      if (news !== null && hasWrites(news)) this.#runner.runAgain([...tasks, ...this.#tasks], news);
      for (const task of tasks) if (task.origin === 'remote') this.#runner.run(task);
    });
    if (tasks.some(({ pending }) => pending !== null)) this.#tellPending();
    for (const task of tasks) task.resolve();
  }

  /** From the moment the store is replaced this replica accepts no writes; it does again only where that fails. */
  #replaceStored(rows: Replacement['rows'], isRefused: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#replacement = { rows, isRefused, resolve, reject };
      this.#drain();
    });
  }

  async #replace({ rows, isRefused, resolve, reject }: Replacement): Promise<void> {
    this.#replacement = null;
    if (this.#closed || this.#isBroken || this.#persistence.supervisor.store === null)
      return reject(this.storageError ?? new ClientError('CLOSED'));
    this.#isBroken = true;
    const stored = this.#persistence.replace(rows);
    this.#options.onBroken(stored, isRefused);
    await stored.then(resolve, (error: unknown) => {
      this.#isBroken = false;
      reject(error);
    });
  }

  #goOnInMemory(moved: Moved): void {
    const { name, onMoved } = this.#options;
    if (this.#closed || this.#isBroken || !onMoved({ ...moved, name }))
      throw this.storageError ?? new ClientError('CLOSED');
    this.#isBroken = true;
  }

  /** Yjs is stuck: writes made so far are stored, new ones are rejected, and the owner opens the document anew. */
  #break(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#options.onBroken();
  }

  #tellPending(): void {
    this.#options.onChange();
    for (const listener of [...this.#listeners]) listener();
  }
}

const hasWrites = ({ changes }: StoreNews): boolean => changes.some(({ pending }) => pending);
