/** Holds the replica of a document, and replaces it by what is stored where it can't be trusted any more (S1). */
import type { UserId } from '../../shared/names.js';
import type { StoredDocument } from '../store/store.js';
import type { Committer } from './committer.js';
import type { DocumentOptions } from './document-options.js';
import type { Gate } from './gate.js';
import type { HistoryWindow } from './history/history-window.js';
import { Replica } from './replica.js';

export interface ReplicaHolderParts {
  readonly user: UserId;
  readonly committer: Committer;
  readonly gate: Gate;
  readonly history: HistoryWindow;
}

export class ReplicaHolder {
  readonly #parts: ReplicaHolderParts;
  readonly #options: DocumentOptions;
  #current: Replica;

  constructor(stored: StoredDocument, parts: ReplicaHolderParts, options: DocumentOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#current = this.#replicaOf(stored);
  }

  get current(): Replica {
    return this.#current;
  }

  /** What is stored of the document. */
  load = (): Promise<StoredDocument> => this.#options.store.load(this.#parts.user);

  /**
   * Yjs may have been left halfway: the replica is thrown away and loaded again, when everything that was accepted
   * is durable. What arrives meanwhile waits; other connections notice nothing.
   */
  rebuild(cause: unknown): void {
    if (!this.#parts.gate.isInOrder) return;
    this.#options.onRebuilt(this.#parts.user, cause);
    void this.#parts.gate.exclusive(() => this.#reload());
  }

  /** The same in exclusive work, which has the document to itself. */
  async rebuildNow(cause: unknown): Promise<void> {
    this.#options.onRebuilt(this.#parts.user, cause);
    await this.#parts.committer.allDurable();
    await this.#reload();
  }

  async #reload(): Promise<void> {
    const stored = await this.load();
    this.#current = this.#replicaOf(stored);
    this.#parts.history.backTo(stored.revision);
  }

  #replicaOf(stored: StoredDocument): Replica {
    const { history } = this.#parts;
    return new Replica(stored, this.#options, (key, path) => history.lastChange(key, path));
  }
}
