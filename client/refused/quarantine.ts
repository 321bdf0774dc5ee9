/** What becomes of the changes that the server refuses, in one document on this device (C11). */
import type * as Y from 'yjs';
import type { RefusedExport } from '../api/api.js';
import type { SyncSource } from '../connection/sync-source.js';
import { ClientError } from '../errors.js';
import type { LocalStore, NewChange, StoreNews } from '../local-store/store.js';
import type { Clock } from '../platform/platform.js';
import { writeAgain, writesBetween } from '../records/record-write.js';
import type { StoreSupervisor } from '../replica/store-supervisor.js';
import { pendingRow, sealAnew } from '../replica/stored-bytes.js';
import type { Refusal } from './refusal.js';
import { asideRow, RefusedChanges, type SetAside } from './refused-changes.js';
import { lacksMore, without } from './set-aside.js';
import { placesOf } from './update-places.js';

export interface QuarantineOptions {
  readonly source: Pick<SyncSource, 'pendingAfter' | 'stateVector'> & {
    readonly doc: Y.Doc;
    write(change: (doc: Y.Doc) => void): Promise<void>;
  };
  readonly clock: Clock;
  readonly supervisor: StoreSupervisor;
  /** Takes in what a store tells. */
  readonly learn: <T>(news: StoreNews, then: () => T) => T;
  /** These rows take the place of all that is stored, and the document is to be opened anew from them. */
  readonly storeAnew: (rows: () => readonly NewChange[]) => Promise<void>;
  readonly onChange: () => void;
  readonly onCleared: (reason: 'erased') => void;
  readonly onBroken: () => void;
}

/** A document without content. */
const EMPTY = Uint8Array.of(0, 0);

export class Quarantine {
  readonly changes: RefusedChanges;
  readonly #options: QuarantineOptions;

  constructor(options: QuarantineOptions) {
    this.#options = options;
    this.changes = new RefusedChanges(options.onChange);
  }

  /**
   * One change is kept apart, and what is pending behind it goes on without it, on what the server has. Rejects
   * where that can't be stored: then it is pending as before.
   */
  async setAside(number: number, refusal: Refusal, serverHas: Uint8Array): Promise<void> {
    const { source, storeAnew } = this.#options;
    await storeAnew(() => {
      const all = source.pendingAfter(0);
      const isThere = all.some((change) => change.number === number); // another tab may have set it aside
      if (!isThere || lacksMore(serverHas, all, source.stateVector()))
        throw new ClientError('REFUSED', refusal.reason);
      const { pending, writes } = without(number, serverHas, all);
      const asides = writes === null ? [] : [this.#asideOf(number, refusal, writes)];
      return [...this.#rows(serverHas, asides), ...pending.map(pendingRow)];
    });
  }

  /** The document is gone on the server: what was pending is kept apart from it. */
  async setAllAside(refusal: Refusal): Promise<void> {
    const { source, storeAnew } = this.#options;
    const { doc } = source;
    await storeAnew(() => {
      const asides = source.pendingAfter(0).map(({ number, update }) => {
        const writes = writesBetween(null, doc, placesOf(doc, [update]));
        return this.#asideOf(number, refusal, writes);
      });
      return this.#rows(EMPTY, asides);
    });
  }

  /** Takes those of another document over; twice does no more than once. */
  async add(asides: readonly SetAside[]): Promise<void> {
    for (const change of asides) if (this.changes.get(change.key) === null) this.changes.add(change, null);
    await this.storeIn(this.#options.supervisor.inUse);
  }

  /** Those that are in memory only. */
  async storeIn(store: LocalStore): Promise<void> {
    const changes = this.changes.unstored();
    if (changes.length === 0) return;
    const rows = await store.append((news) => this.#options.learn(news, () => changes.map(asideRow)));
    for (const [i, change] of changes.entries()) this.changes.add(change, rows[i] ?? null);
  }

  /** Another tab has put this document in the place of what was stored. */
  renewed(state: Uint8Array): void {
    if (state.length === EMPTY.length) this.#options.onCleared('erased');
    else this.#options.onBroken();
  }

  exported(): RefusedExport[] {
    return this.changes.list.map((change) => {
      const writes = this.changes.get(change.key)?.change.writes ?? [];
      const records = writes.map(({ collection, id, record }) => ({ collection, id, record }));
      return { ...change, records };
    });
  }

  /** It is written once more, on what the records are now. */
  async retry(key: string): Promise<void> {
    const writes = this.changes.get(key)?.change.writes ?? [];
    for (const write of writes) await this.#options.source.write((doc) => writeAgain(doc, write));
    await this.discard(key);
  }

  async discard(key: string): Promise<void> {
    const row = this.changes.get(key)?.row ?? null;
    if (row !== null) await this.#options.supervisor.inUse.confirm([row]);
    this.changes.remove(key);
  }

  #rows(state: Uint8Array, asides: readonly SetAside[]): NewChange[] {
    const all = [...this.changes.all, ...asides];
    return [{ bytes: sealAnew(state), pending: false }, ...all.map(asideRow)];
  }

  #asideOf(number: number, refusal: Refusal, writes: SetAside['writes']): SetAside {
    const at = this.#options.clock.now();
    return { ...refusal, key: `${at.toString(36)}-${number}`, at, writes };
  }
}
