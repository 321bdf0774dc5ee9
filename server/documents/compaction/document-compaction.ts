/** How the stored updates of a document become one: at once where it is small, else in a worker while it goes on. */
import type { UserId } from '../../../shared/names.js';
import type { Snapshot, StoredDocument } from '../../store/store.js';
import type { Committer } from '../committer.js';
import type { DocumentOptions } from '../document-options.js';
import type { Gate } from '../gate.js';
import type { HistoryWindow } from '../history/history-window.js';
import type { ReplicaHolder } from '../replica-holder.js';
import { type CompactedOf, type Compactions, SMALL_DOCUMENT } from './compactions.js';
import { bytesOf, type CompactionSizes, type StoredSize } from './stored-size.js';

/** A document that nobody changes is compacted when a tenth of what makes it due otherwise has come. */
export const REST_SHARE = 0.1;
/** Up to this size, in bytes, it is when it was changed at all. */
const CHEAP = 64 * 1_024;

export interface CompactionParts {
  readonly user: UserId;
  readonly committer: Committer;
  readonly gate: Gate;
  readonly replicas: ReplicaHolder;
  readonly size: StoredSize;
  readonly history: HistoryWindow;
}

export class DocumentCompaction {
  readonly #parts: CompactionParts;
  readonly #options: DocumentOptions;
  #isUnderWay = false;

  constructor(parts: CompactionParts, options: DocumentOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Whether it goes on in a worker. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** When enough came since the last time; `share` of that is enough. */
  runIfDue(share = 1): void {
    if (this.#parts.size.isDue(this.#options, share)) this.run();
  }

  /**
   * Before the document rests: what was deleted must not be in what a device gets that has nothing. One that is large
   * is not written anew for that alone.
   */
  runForRest(): void {
    const { size } = this.#parts;
    if (size.bytes > CHEAP) this.runIfDue(REST_SHARE);
    else if (!size.isWhole) this.run(1);
  }

  /** At most one is under way, and none while the document is in work or has failed. */
  run(least = 2): void {
    const { size, gate, replicas, history } = this.#parts;
    if (size.updates < least || this.#isUnderWay || !gate.isInOrder) return;
    const { compactions } = this.#options;
    if (compactions !== undefined && size.bytes > SMALL_DOCUMENT) {
      void this.#runApart(compactions);
      return;
    }
    const snapshot = { ...replicas.current.snapshot(), revision: history.revision };
    this.#store(snapshot, size.replaceBy(snapshot.update));
  }

  /** What comes in meanwhile stays behind the snapshot. Where it fails, what is stored stays as it is. */
  async #runApart(compactions: Compactions): Promise<void> {
    const { size, gate, replicas } = this.#parts;
    this.#isUnderWay = true;
    const compacted = await compactions.run(replicas.load).catch(() => null);
    this.#isUnderWay = false;
    if (compacted === null) size.putOff();
    else gate.whenReady(() => gate.isInOrder && this.#storeCompacted(compacted));
  }

  /** Whatever was written since, the oldest updates are still those that were loaded. */
  #storeCompacted({ of: { updates: old }, update, stateVector }: CompactedOf<StoredDocument>): void {
    const { length: replaces } = old;
    const sizes = this.#parts.size.replaceBy(update, { updates: replaces, bytes: bytesOf(old) });
    this.#store({ update, stateVector, replaces, revision: 0 }, sizes);
  }

  #store(snapshot: Snapshot, sizes: CompactionSizes): void {
    const { user, committer } = this.#parts;
    const stored = this.#options.store.compact(user, snapshot);
    committer.follow(stored, () => this.#options.onCompacted(user, sizes));
  }
}
