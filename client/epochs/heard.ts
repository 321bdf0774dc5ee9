import * as Y from 'yjs';
import { FormerDocuments } from './former.js';
import type { StoredUpdate } from './rebase.js';

/** What a device that could not read yet what is stored has heard of the server's document: it may be a newer one (P10). */
export class HeardDocument {
  #epoch: Uint8Array | null = null;
  #former: FormerDocuments | null = null;
  #serverHas: ReadonlyMap<number, number> | null = null;
  /** All of it is in memory, as it was when the server told of it. */
  isWhole = false;

  hearEpoch(epoch: Uint8Array): void {
    this.#epoch = epoch;
    this.#former = new FormerDocuments(epoch);
  }

  /** The server has everything up to this state vector. */
  hearState(serverHas: Uint8Array): void {
    this.#serverHas = Y.decodeStateVector(serverHas);
  }

  /** Of a large one the parts come one after the other. */
  look(doc: Y.Doc): void {
    if (this.#epoch === null || this.#serverHas === null || this.isWhole) return;
    this.isWhole = [...this.#serverHas].every(([client, clock]) => Y.getState(doc.store, client) >= clock);
  }

  /** Its epoch, where these rows are of a document before it; null where they are not. */
  epochAfter(rows: readonly StoredUpdate[]): Uint8Array | null {
    return rows.some(({ update }) => this.#former?.isNamedIn(update)) ? this.#epoch : null;
  }

  /** What the server told of has nothing in common with this one, and is not a later one. */
  isBefore(state: Uint8Array): boolean {
    const heard = this.#serverHas;
    const clients = [...Y.parseUpdateMeta(state).from.keys()];
    if (heard === null || heard.size === 0 || clients.length === 0) return false;
    return !clients.some((client) => heard.has(client)) && this.#former?.hasAny(clients) !== true;
  }

  /** Storage came back with a document before it, while this one was on its way: nothing unites the two. */
  isAfter(doc: Y.Doc): boolean {
    return !this.isWhole && this.#former?.hasAny(doc.store.clients.keys()) === true;
  }
}
