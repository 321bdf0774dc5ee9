/** Holds the replica of a document, and replaces it by what is stored where it can't be trusted any more (S1). */
import type { UserId } from '../../shared/names.js';
import { notSaved } from '../errors.js';
import type { StoredDocument } from '../store/store.js';
import type { Committer } from './committer.js';
import { bytesOf } from './compaction/stored-size.js';
import type { DocumentOptions } from './document-options.js';
import type { Gate } from './gate.js';
import type { HistoryWindow } from './history/history-window.js';
import type { LastChangeOf } from './later-wins/later-wins.js';
import { Replica } from './replica.js';

/** Up to this size, in bytes, a document is loaded at once: that takes no longer than a few steps of a larger one. */
const SMALL_LOAD = 64 * 1_024;

export interface ReplicaHolderParts {
  readonly user: UserId;
  readonly committer: Committer;
  readonly gate: Gate;
  readonly history: HistoryWindow;
}

export class ReplicaHolder {
  readonly #parts: ReplicaHolderParts;
  readonly #options: DocumentOptions;
  #current: Replica | null = null;
  /** The first one is there: at once where the document is small. */
  readonly loaded: Promise<void>;

  constructor(stored: StoredDocument, parts: ReplicaHolderParts, options: DocumentOptions) {
    this.#parts = parts;
    this.#options = options;
    const made = this.#replicaOf(stored);
    if (made instanceof Replica) this.#current = made;
    this.loaded = this.#take(made);
  }

  get current(): Replica {
    if (this.#current === null) throw new Error('The document is still being loaded.');
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

  /**
   * The same in exclusive work, which has the document to itself. Where it can't be loaded, the document has failed; of
   * one that had failed before, as where another server has taken over, nothing is loaded.
   */
  async rebuildNow(cause: unknown): Promise<void> {
    const { user, committer } = this.#parts;
    if (committer.failure !== null) return;
    this.#options.onRebuilt(user, cause);
    await committer.allDurable();
    try {
      await this.#reload();
    } catch (error) {
      committer.fail(notSaved(error));
      throw error;
    }
  }

  /** What is stored is another document by now; in exclusive work. */
  loadAnew = (): Promise<void> => this.#reload();

  async #reload(): Promise<void> {
    const stored = await this.load();
    await this.#take(this.#replicaOf(stored));
    this.#parts.history.backTo(stored.revision);
  }

  async #take(made: Replica | Promise<Replica>): Promise<void> {
    this.#current = await made;
  }

  #replicaOf(stored: StoredDocument): Replica | Promise<Replica> {
    const { user, history } = this.#parts;
    const { slices } = this.#options;
    const lastChangeOf: LastChangeOf = (key, path) => history.lastChange(key, path);
    return slices === undefined || bytesOf(stored.updates) <= SMALL_LOAD
      ? new Replica(stored, this.#options, lastChangeOf)
      : slices.run(user, Replica.inSteps(stored, this.#options, lastChangeOf));
  }
}
