/** What becomes of the changes that the server refuses, in one document on this device (C11). */
import type * as Y from 'yjs';
import type { RefusedExport } from '../api/api.js';
import type { SyncSource } from '../connection/sync-source.js';
import { rebase, type StoredUpdate } from '../epochs/rebase.js';
import { ClientError } from '../errors.js';
import type { NewChange, StoreNews } from '../local-store/store.js';
import type { Clock } from '../platform/platform.js';
import { writeAgain, writesBetween } from '../records/record-write.js';
import type { Persistence } from '../replica/persistence.js';
import type { Replacement } from '../replica/replica-task.js';
import { EMPTY_ANEW, EMPTY_STATE, pendingRow, sealReplacement, unseal } from '../replica/stored-bytes.js';
import type { Refusal } from './refusal.js';
import { asideRow, type RefusedChanges, type SetAside } from './refused-changes.js';
import { lacksMore, without } from './set-aside.js';
import { placesOf } from './update-places.js';

export interface QuarantineOptions {
  readonly source: Pick<SyncSource, 'pendingAfter' | 'stateVector'> & {
    readonly doc: Y.Doc;
    write(change: (doc: Y.Doc) => void): Promise<void>;
  };
  readonly clock: Clock;
  readonly persistence: Persistence;
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
      const asides = writes === null ? [] : [this.#asideOf(number, refusal, writes)];
      return [...this.#rows(serverHas, asides), ...pending.map(pendingRow)];
    }, true);
  }

  /**
   * The server has written the document anew, and this is all of it (P10): what is pending is made once more on it,
   * and what can't be worked out is set aside. Rejects where that can't be stored: then all is as before.
   */
  async moveTo(next: Uint8Array, epoch: Uint8Array | null): Promise<void> {
    const reason = 'The document was written anew: compare the record, then retry or discard it.';
    await this.#options.replaceStored((news) => {
      const { state: whole, pending, unclear } = rebase(rowsOf(news), next, epoch);
      const asides = unclear.map(({ number, writes }) =>
        this.#asideOf(number, { code: 'REWRITTEN', reason }, writes),
      );
      const state = whole.length === EMPTY_STATE.length ? EMPTY_ANEW : whole;
      return [...this.#rows(state, asides), ...pending.map(pendingRow)];
    }, false);
  }

  /** The server has erased the document: each pending change is set aside, and the rest goes. */
  async setAllAside(refusal: Refusal): Promise<void> {
    const { source, replaceStored } = this.#options;
    const { doc } = source;
    await replaceStored(() => {
      const asides = source.pendingAfter(0).map(({ number, update }) => {
        const writes = writesBetween(null, doc, placesOf(doc, [update]));
        return this.#asideOf(number, refusal, writes);
      });
      return this.#rows(EMPTY_STATE, asides);
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

  #rows(state: Uint8Array, asides: readonly SetAside[]): NewChange[] {
    const all = [...this.changes.all, ...asides];
    return [{ bytes: sealReplacement(state), pending: false }, ...all.map(asideRow)];
  }

  #asideOf(number: number, refusal: Refusal, writes: SetAside['writes']): SetAside {
    const at = this.#options.clock.now();
    return { ...refusal, key: `${at.toString(36)}-${number}`, at, writes };
  }
}

/** All that is stored of the document. */
function rowsOf({ changes }: StoreNews): StoredUpdate[] {
  return changes.flatMap(({ key, bytes, pending }) => {
    const row = unseal(bytes);
    return row === null || row.kind === 'aside' ? [] : { ...row, number: key, isPending: pending };
  });
}
