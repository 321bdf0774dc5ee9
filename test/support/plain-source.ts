import * as Y from 'yjs';
import type { PendingChange, SyncSource } from '../../client/connection/sync-source.js';

/** A document in memory that keeps what is pending, without a store. */
export class PlainSource implements SyncSource {
  readonly doc = new Y.Doc();
  /** What was confirmed, call by call. */
  readonly confirmed: number[] = [];
  /** While set, `applyRemote` waits for it. */
  storing: Promise<void> | null = null;
  /** The clock by which changes are made; without it they have no times. */
  now: (() => number) | null = null;
  pending: PendingChange[] = [];
  isReplaced = false;
  readonly #listeners = new Set<() => void>();
  #last = 0;

  constructor(clientId: number) {
    this.doc.clientID = clientId;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** One local change. */
  write(change: (doc: Y.Doc) => void): void {
    const before = this.#last;
    const note = (update: Uint8Array): void => {
      const madeAt = this.now?.() ?? null;
      this.pending.push({ number: ++this.#last, update, ...(madeAt !== null && { madeAt }) });
    };
    this.doc.on('update', note);
    this.doc.transact(() => change(this.doc));
    this.doc.off('update', note);
    if (this.#last > before) for (const listener of [...this.#listeners]) listener();
  }

  /** Creates a record, as the records of a collection are. */
  create(collection: string, id: string, fields: Record<string, unknown>): void {
    this.write((doc) => void doc.getMap(collection).set(id, new Y.Map(Object.entries(fields))));
  }

  pendingAfter(number: number): PendingChange[] {
    return this.pending.filter((change) => change.number > number);
  }

  /** Another tab has put another document in the store, in which all that was pending waits. */
  replace(): void {
    this.pending = [];
    this.isReplaced = true;
    for (const listener of [...this.#listeners]) listener();
  }

  confirm(upTo: number): void {
    this.confirmed.push(upTo);
    this.pending = this.pendingAfter(upTo);
  }

  stateVector = (): Uint8Array => Y.encodeStateVector(this.doc);

  diff(stateVector: Uint8Array): Uint8Array {
    return Y.encodeStateAsUpdate(this.doc, stateVector);
  }

  async applyRemote(update: Uint8Array): Promise<void> {
    await this.storing;
    Y.applyUpdate(this.doc, update);
  }

  async settled(): Promise<void> {}

  /** It has no place to keep it. */
  async setAside(): Promise<void> {
    throw new Error('Nothing is set aside here.');
  }

  async closeGaps(): Promise<void> {}

  onPending(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
