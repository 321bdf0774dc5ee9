/** What of a user's document is in the local store: what others stored there comes in, what this one made goes out. */
import * as Y from 'yjs';
import { HeardDocument } from '../epochs/heard.js';
import { type Moved, type MovedInMemory, movedTo, rowsOf, rowsWith } from '../epochs/moved.js';
import { StorageError, unreadableChanges } from '../errors.js';
import type { LocalStore, NewChange, StoredChange, StoreNews } from '../local-store/store.js';
import { asideRow, asidesIn, RefusedChanges } from '../refused/refused-changes.js';
import { FoundDocument } from './found-document.js';
import { PendingChanges, type PendingEntry } from './pending-changes.js';
import { changeOf, type Origin, type Replacement, type Task } from './replica-task.js';
import { StoreSupervisor, type StoreSupervisorOptions } from './store-supervisor.js';
import { EMPTY_STATE, pendingRow, seal, sealSnapshot, type Unsealed, unseal } from './stored-bytes.js';
import { StoredSize } from './stored-size.js';

export interface PersistenceOptions extends Omit<StoreSupervisorOptions, 'fill'> {
  /** What the document begins with, in the place of what is stored (P10). */
  readonly moved?: MovedInMemory | undefined;
  readonly doc: Y.Doc;
  /** Changes have become pending, or are so no longer. */
  readonly onPending: () => void;
  /** The number of pending or refused changes is another one. */
  readonly onChange: () => void;
  /** The document in memory is not the stored one. */
  readonly onBroken: () => void;
}

interface Row extends StoredChange {
  /** Null where it is damaged. */
  readonly stored: Unsealed | null;
}

/** The key of the row that put its document in the place of another; null where it does not tell. */
const replacedAtOf = ({ key, stored }: Row): number | null =>
  stored?.kind === 'replacement' ? key : (stored?.replacedAt ?? null);

export class Persistence {
  readonly pending = new PendingChanges();
  readonly refused: RefusedChanges;
  readonly heard = new HeardDocument();
  readonly supervisor: StoreSupervisor;
  readonly #options: PersistenceOptions;
  readonly #size = new StoredSize();
  /** Where the document is stored that took the place of everything; null where it was never replaced. */
  #replacedAt: number | null = null;
  /** What is stored where that is another document than this one, until it is opened anew. */
  #found: FoundDocument | null = null;
  /** All that was stored has been read once. */
  #wasRead = false;
  /** Until it has taken the place of what is stored. */
  #moved: MovedInMemory | null;

  constructor(options: PersistenceOptions) {
    this.#options = options;
    this.#moved = options.moved ?? null;
    this.refused = new RefusedChanges(options.onChange);
    this.supervisor = new StoreSupervisor({ ...options, fill: (store) => this.#fill(store) });
    if (this.#moved !== null) this.#takeMoved(this.#moved, []);
  }

  /** How many changes are pending, here or in what was found. */
  get count(): number {
    return this.pending.count + this.#waiting;
  }

  /** How many the server does not have: of some that it has, the store does not know yet. */
  get unsynced(): number {
    return this.pending.after(0).length + this.#waiting;
  }

  /** The document as it is stored, and what is pending of it. */
  get stored(): { readonly doc: Y.Doc; readonly pending: PendingChanges } {
    return this.#found ?? { doc: this.#options.doc, pending: this.pending };
  }

  get #waiting(): number {
    return this.#found?.pending.count ?? 0;
  }

  /** Nothing that the server lacks was ever stored: made otherwise, it comes to nobody twice. */
  get isInMemory(): boolean {
    const { store, filling } = this.supervisor;
    return store === null && filling === null && this.#waiting === 0 && !this.pending.wereStored;
  }

  /** What is stored could not be read, and is perhaps of a document before the one that the server has (P10). */
  get mayBeLate(): boolean {
    return !this.#wasRead && this.#moved === null && this.supervisor.error !== null;
  }

  /**
   * `run` carries the tasks out, in knowledge of what other tabs stored; what they did to the document is stored.
   * Where storage fails, they are carried out all the same, and what they did stays in memory.
   */
  async store(tasks: readonly Task[], run: (news: StoreNews | null) => void): Promise<void> {
    const { store } = this.supervisor;
    let own: readonly Task[] = [];
    let rows: readonly NewChange[] = [];
    let keys: readonly number[] | null = null;
    let isRun = false;
    const runOnce = (news: StoreNews | null): readonly NewChange[] => {
      // News of what was found are none of the document in memory, on which the tasks were made.
      run(this.#found === null ? news : null);
      isRun = true;
      own = tasks.filter((task) => this.#isToStore(task));
      // What is not stored is made on the other document once it is.
      rows = (news && this.#found?.rowsOf(own)) ?? own.flatMap(changeOf);
      return rows;
    };
    try {
      if (store !== null) keys = await store.append((news) => this.#apply(news, () => runOnce(news)));
    } catch (error) {
      this.#failed(store, error);
    }
    if (!isRun) runOnce(null);
    const entries = own.flatMap(({ pending }) => pending ?? []);
    if (keys !== null && this.#found !== null) this.#waitElsewhere(entries, rows, keys);
    else this.#settle(own, keys ?? []);
  }

  /** These rows take the place of all that is stored. Rejects where nothing can be stored now. */
  async replace(rows: Replacement['rows']): Promise<void> {
    const keys = await this.supervisor.inUse.append((news) => this.#apply(news, () => rows(news)), true);
    this.#replacedAt = keys[0] ?? null;
  }

  /** The count goes down once the mark is off in the store too, so that it is the same after a restart. */
  confirm(upTo: number): void {
    const confirmed = this.pending.confirm(upTo);
    if (confirmed.length > 0) this.#unmark(confirmed);
  }

  /** Another tab has replaced what was stored, and all that this one has made since is stored too: it opens that anew. */
  tellFound(): void {
    const found = this.#found;
    if (found === null || found.isTold || this.supervisor.store === null) return;
    found.isTold = true;
    if (found.kind === 'erased') this.#options.onCleared('erased');
    else this.#options.onBroken();
  }

  /** Not by who has found another document there: what it has itself would take that one's place. */
  async compactIfDue(): Promise<void> {
    const { store } = this.supervisor;
    if (store === null || this.#found !== null || !this.#isCompactionDue()) return;
    const snapshot = sealSnapshot(this.#state(), this.#replacedAt);
    try {
      this.#size.reset(await store.compact(this.#size.lastKey, snapshot));
    } catch (error) {
      // No room for a moment's two copies: nothing is lost, and there may be some the next time (C12).
      if (error instanceof StorageError && error.code === 'QUOTA') this.#size.reset(this.#size.lastKey);
      else this.#failed(store, error);
    }
  }

  #isCompactionDue(): boolean {
    for (const bytes of this.pending.takeConfirmed()) this.#size.confirmed(bytes);
    return this.#size.isCompactionDue(this.pending.count > 0);
  }

  /** Refused changes that are in memory only are stored. */
  async storeRefused(store = this.supervisor.inUse): Promise<void> {
    const changes = this.refused.unstored();
    if (changes.length === 0) return;
    const rows = await store.append((news) => this.#apply(news, () => changes.map(asideRow)));
    for (const [i, change] of changes.entries()) this.refused.add(change, rows[i] ?? null);
  }

  /** The tasks that were stored are told their keys, the others that they are in memory only. */
  #settle(tasks: readonly Task[], keys: readonly number[]): void {
    for (const [i, { update, pending }] of tasks.entries()) {
      const key = keys[i] ?? null;
      if (pending !== null) this.pending.settle(pending, key);
      if (key !== null) this.#size.add(key, update?.length ?? 0, pending !== null);
    }
  }

  /** They are stored with another document: they wait there, and here no more. */
  #waitElsewhere(
    entries: readonly PendingEntry[],
    rows: readonly NewChange[],
    keys: readonly number[],
  ): void {
    for (const entry of entries) this.pending.settle(entry, null);
    this.pending.remove(entries);
    for (const [i, key] of keys.entries()) {
      const stored = unseal((rows[i] as NewChange).bytes);
      if (stored !== null) this.#foundWaiting(stored, key);
    }
  }

  /** A write that was made while a store was opened anew is stored with it. */
  #isToStore({ update, pending }: Task): boolean {
    return update !== null && (pending === null || !this.pending.isStored(pending));
  }

  /** Brings what the store tells into memory: everything at first, then what other tabs did. */
  #apply<T>({ changes, pending }: StoreNews, then: (rows: readonly Row[]) => T): T {
    const before = this.count;
    let unreadable = 0;
    const rows = changes.map((change) => ({ ...change, stored: unseal(change.bytes) }));
    for (const row of rows) this.#lookForReplacement(row); // what waits stands before the snapshot
    this.#options.doc.transact(() => {
      for (const row of rows) if (!this.#applyChange(row)) unreadable++;
    }, 'stored' satisfies Origin);
    if (pending !== null)
      for (const each of [this.pending, this.refused, this.stored.pending]) each.keepOnly(pending);
    if (unreadable > 0) this.#options.onStorage(unreadableChanges(unreadable));
    // News may bring as many as it takes away.
    if (this.count !== before || changes.some(({ pending }) => pending)) this.#options.onPending();
    return then(rows);
  }

  /** Whether the stored bytes are whole. */
  #applyChange({ key, bytes, pending, stored }: Row): boolean {
    const isWhole = stored?.kind === 'snapshot' || stored?.kind === 'replacement';
    if (isWhole) this.#size.foundWhole(key);
    else this.#size.add(key, bytes.length, pending);
    if (stored === null) return false;
    try {
      if (stored.kind !== 'aside') Y.applyUpdate(this.stored.doc, stored.update);
    } catch {
      return false;
    }
    if (pending) this.#foundWaiting(stored, key);
    return true;
  }

  #foundWaiting({ kind, update, madeAt }: Unsealed, key: number): void {
    if (kind === 'aside') this.refused.found(update, key);
    else this.stored.pending.found(update, madeAt, key);
  }

  /**
   * Unless it was there when the store was first read, another tab has put it in the place of what was stored (C11):
   * or the app began in memory, on a document before this one. Where that row has been compacted away, its key is in
   * the snapshot.
   */
  #lookForReplacement(row: Row): void {
    const { stored } = row;
    const replacedAt = replacedAtOf(row);
    if (stored === null || replacedAt === null) return;
    const isOwn = !this.#wasRead && !this.heard.isBefore(stored.update);
    const isKnown = isOwn || replacedAt === this.#replacedAt;
    this.#replacedAt = replacedAt;
    if (isKnown) return;
    const isErased = stored.kind === 'replacement' && stored.update.length === EMPTY_STATE.length;
    this.#found = new FoundDocument(isErased ? 'erased' : 'new', this.#options);
  }

  /** Where the marks are is not known while a store is read and filled. */
  #unmark(confirmed: readonly PendingEntry[]): void {
    const { store, filling } = this.supervisor;
    const keys = this.pending.keysOf(confirmed);
    const forget = (): void => {
      this.pending.remove(confirmed);
      if (this.#isCompactionDue()) this.#options.onNews();
      this.#options.onChange();
    };
    if (filling !== null) void filling.then(() => this.#unmark(confirmed));
    else if (store === null || keys.length === 0) forget();
    else
      void store.confirm(keys).then(forget, (error: unknown) => {
        this.#failed(store, error);
        this.#unmark(confirmed);
      });
  }

  #failed(store: LocalStore | null, error: unknown): void {
    if (store === this.supervisor.store) this.supervisor.lose(error);
  }

  #state(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#options.doc);
  }

  /** `keys`: where its pending and refused changes are stored; none: in memory only. */
  #takeMoved({ state, pending, refused }: Moved, keys: readonly number[]): void {
    this.#options.doc.transact(() => {
      for (const update of [state, ...pending.map((change) => change.update)])
        Y.applyUpdate(this.#options.doc, update);
    }, 'stored' satisfies Origin);
    for (const [i, { update, madeAt = null }] of pending.entries())
      this.pending.settle(this.pending.begin(update, madeAt), keys[i] ?? null);
    for (const [i, change] of refused.entries()) this.refused.add(change, keys[pending.length + i] ?? null);
  }

  /** What is in the store is of a document before: what waits there is made once more on this one. */
  async #fillAnew(store: LocalStore, epoch: Uint8Array | null): Promise<void> {
    const { doc, clock, onStorage, onPending } = this.#options;
    const own = this.pending.unstored();
    let made!: Moved;
    const keys = await store.append((news) => {
      const moved = movedTo({ state: Y.encodeStateAsUpdate(doc), epoch }, rowsOf(news), clock.now());
      made = { ...moved, refused: [...asidesIn(news), ...moved.refused] };
      return rowsWith(made, own.map(pendingRow));
    }, true);
    this.#moved = null;
    this.#wasRead = true;
    this.#replacedAt = keys[0] ?? null;
    this.#size.add(keys[0] ?? 0, made.state.length, false);
    for (const [i, entry] of own.entries()) this.pending.settle(entry, keys[i + 1] ?? null);
    this.#takeMoved(made, keys.slice(1 + own.length));
    onPending();
    await this.storeRefused(store);
    if (this.supervisor.error === null) onStorage(null); // it had failed before this document was opened
  }

  /** Reads all of a store that was just opened; after a failure, writes to it what it lacks. */
  async #fill(store: LocalStore): Promise<void> {
    if (this.#moved !== null) return this.#fillAnew(store, this.#moved.epoch);
    let own: readonly PendingEntry[] = [];
    let rows: readonly NewChange[] = [];
    const fill = (told: readonly Row[]): readonly NewChange[] => {
      if (this.supervisor.error === null) return [];
      if (told.every((row) => replacedAtOf(row) === null)) this.#replacedAt = null; // it is another store
      own = this.pending.unstored();
      rows = [{ bytes: seal(this.#state()), pending: false }, ...own.map(pendingRow)];
      if (this.#found === null) return rows;
      this.pending.remove(own.filter(({ wasStored }) => wasStored)); // they wait there, or were done
      // What is being written in this moment is stored behind it.
      own = this.pending.unstored().filter(({ number }) => Number.isFinite(number));
      rows = this.#found.rowsAgain(own);
      return rows;
    };
    this.pending.forgetKeys();
    this.refused.forgetRows();
    this.#size.reset(0);
    let epoch = null as Uint8Array | null;
    const keys = await store.append((news) => {
      // All of it is read once more; one that has nothing any more is another store.
      if (!this.#wasRead) this.#replacedAt = null;
      const kind = this.#wasRead ? (this.#found?.kind ?? null) : null;
      const isGone = kind === 'new' && news.changes.length === 0;
      this.#found = kind === null || isGone ? null : new FoundDocument(kind, this.#options);
      epoch = this.#wasRead ? null : this.heard.epochAfter(rowsOf(news));
      if (epoch !== null && this.heard.isWhole) return [];
      if (epoch !== null) this.#found = new FoundDocument('former', this.#options);
      return this.#apply({ ...news, pending: null }, fill);
    });
    if (epoch !== null && this.#found === null) return this.#fillAnew(store, epoch);
    this.#wasRead = true;
    if (this.#found !== null) this.#waitElsewhere(own, rows, keys);
    else for (const [i, entry] of own.entries()) this.pending.settle(entry, keys[i + 1] ?? null);
    await this.storeRefused(store);
  }
}
