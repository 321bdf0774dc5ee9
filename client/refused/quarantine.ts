/** What becomes of the changes that the server refuses, in one document on this device (C11). */
import * as Y from 'yjs';
import type { RefusedExport } from '../api/api.js';
import type { SyncSource } from '../connection/sync-source.js';
import { type Moved, movedTo, rowsOf } from '../epochs/moved.js';
import { ClientError } from '../errors.js';
import type { NewChange } from '../local-store/store.js';
import type { Clock } from '../platform/platform.js';
import { writeAgain, writesBetween } from '../records/record-write.js';
import type { Persistence } from '../replica/persistence.js';
import type { Replacement } from '../replica/replica-task.js';
import { EMPTY_STATE, pendingRow, sealAnew, sealReplacement } from '../replica/stored-bytes.js';
import type { Refusal } from './refusal.js';
import { asideOf, asideRow, type RefusedChanges, type SetAside } from './refused-changes.js';
import { lacksMore, without } from './set-aside.js';
import { placesOf } from './update-places.js';

export interface QuarantineOptions {
  readonly source: Pick<SyncSource, 'pendingAfter' | 'stateVector'> & {
    readonly doc: Y.Doc;
    write(change: (doc: Y.Doc) => void): Promise<void>;
  };
  readonly clock: Clock;
  readonly persistence: Persistence;
  /** Where nothing is stored: the document is to be opened anew with this in memory. Throws where that can't be now. */
  readonly goOnInMemory: (moved: Moved) => void;
  /** These rows take the place of all that is stored, and the document is to be opened anew from them. */
  readonly replaceStored: (rows: Replacement['rows'], isRefused: boolean) => Promise<void>;
}

export class Quarantine {
  readonly changes: RefusedChanges;
  readonly #options: QuarantineOptions;

  constructor(options: QuarantineOptions) {
    this.#options = options;
    this.changes = options.persistence.refused;
  }

  /**
   * One change is kept apart, and what is pending behind it goes on without it, on what the server has. Rejects
   * where that can't be stored: then it is pending as before.
   */
  async setAside(number: number, refusal: Refusal, serverHas: Uint8Array): Promise<void> {
    const { source, replaceStored } = this.#options;
    await replaceStored(() => {
      const all = source.pendingAfter(0);
      const isThere = all.some((change) => change.number === number); // another tab may have set it aside
      if (!isThere || lacksMore(serverHas, all, source.stateVector()))
        throw new ClientError('REFUSED', refusal.reason);
      const { pending, writes } = without(number, serverHas, all);
      const asides = writes === null ? [] : [asideOf(this.#options.clock.now(), number, refusal, writes)];
      return [...this.#rows(sealAnew(serverHas), asides), ...pending.map(pendingRow)];
    }, true);
  }

  /**
   * The server has written the document anew, and this is all of it (P10): what is pending is made once more on it,
   * and what can't be worked out is set aside. Rejects where that can't be stored: then all is as before. What is in
   * memory alone goes on in memory.
   */
  async moveTo(next: Pick<Moved, 'state' | 'epoch'>): Promise<void> {
    const { source, persistence, clock, replaceStored, goOnInMemory } = this.#options;
    if (persistence.isInMemory) {
      const own = persistence.pending.unstored().map((change) => ({ ...change, isPending: true }));
      const whole = { number: 0, update: Y.encodeStateAsUpdate(source.doc), isPending: false };
      const moved = movedTo(next, [whole, ...own], clock.now());
      return goOnInMemory({ ...moved, refused: [...this.changes.all, ...moved.refused] });
    }
    await replaceStored((news) => {
      const { state, pending, refused } = movedTo(next, rowsOf(news), clock.now());
      return [...this.#rows(sealAnew(state), refused), ...pending.map(pendingRow)];
    }, false);
  }

  /** The server has erased the document: each pending change is set aside, and the rest goes. */
  async setAllAside(refusal: Refusal): Promise<void> {
    const { persistence, replaceStored } = this.#options;
    await replaceStored(() => {
      const { doc, pending } = persistence.stored;
      const asides = pending.after(0).map(({ number, update }) => {
        const writes = writesBetween(null, doc, placesOf(doc, [update]));
        return asideOf(this.#options.clock.now(), number, refusal, writes);
      });
      return this.#rows(sealReplacement(EMPTY_STATE), asides);
    }, true);
  }

  /** Adds the refused changes of another document; a second call adds nothing more. */
  async add(asides: readonly SetAside[]): Promise<void> {
    for (const change of asides) if (this.changes.get(change.key) === null) this.changes.add(change, null);
    await this.#options.persistence.storeRefused();
  }

  exported(): RefusedExport[] {
    return this.changes.list.map((change) => {
      const writes = this.changes.get(change.key)?.change.writes ?? [];
      const records = writes.map(({ collection, id, record }) => ({ collection, id, record }));
      return { ...change, records };
    });
  }

  /** Writes the refused change once more, on what the records are now, and forgets it here. */
  async retry(key: string): Promise<void> {
    const writes = this.changes.get(key)?.change.writes ?? [];
    for (const write of writes) await this.#options.source.write((doc) => writeAgain(doc, write));
    await this.discard(key);
  }

  async discard(key: string): Promise<void> {
    const row = this.changes.get(key)?.row ?? null;
    if (row !== null) await this.#options.persistence.supervisor.inUse.confirm([row]);
    this.changes.remove(key);
  }

  #rows(bytes: Uint8Array, asides: readonly SetAside[]): NewChange[] {
    const all = [...this.changes.all, ...asides];
    return [{ bytes, pending: false }, ...all.map(asideRow)];
  }
}
