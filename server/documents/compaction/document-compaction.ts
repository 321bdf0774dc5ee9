/** How the stored updates of a document become one: at once where it is small, else in a worker while it goes on. */
import type { Snapshot, StoredDocument } from '../../store/store.js';
import type { DocumentOptions } from '../document-options.js';
import { type Compactions, SMALL_DOCUMENT } from './compactions.js';
import { bytesOf, type CompactionSizes, type StoredSize } from './stored-size.js';

/** What is needed of the document. */
export interface CompactedDocument {
  /** It has not failed, and is not in work. */
  isInOrder(): boolean;
  /** The whole document as it is. */
  snapshot(): Snapshot;
  /** What is stored. */
  load(): Promise<StoredDocument>;
  /** Runs a task when the document is in order, or has failed. */
  enter(task: () => void): void;
  store(snapshot: Snapshot, sizes: CompactionSizes): void;
}

type CompactionOptions = Pick<DocumentOptions, 'compactions' | 'compactUpdates' | 'compactBytes'>;

export class DocumentCompaction {
  readonly #size: StoredSize;
  readonly #options: CompactionOptions;
  readonly #document: CompactedDocument;
  #isUnderWay = false;

  constructor(size: StoredSize, options: CompactionOptions, document: CompactedDocument) {
    this.#size = size;
    this.#options = options;
    this.#document = document;
  }

  /** Whether it goes on in a worker. */
  get isUnderWay(): boolean {
    return this.#isUnderWay;
  }

  /** When enough came since the last time; `share` of that is enough. */
  runIfDue(share = 1): void {
    if (this.#size.isDue(this.#options, share)) this.run();
  }

  /** At most one is under way. */
  run(): void {
    if (this.#size.updates < 2 || this.#isUnderWay || !this.#document.isInOrder()) return;
    const { compactions } = this.#options;
    if (compactions !== undefined && this.#size.bytes > SMALL_DOCUMENT) {
      void this.#runApart(compactions);
      return;
    }
    const snapshot = this.#document.snapshot();
    this.#document.store(snapshot, this.#size.replaceBy(snapshot.update));
  }

  /** What comes in meanwhile stays behind the snapshot. Where it fails, what is stored stays as it is. */
  async #runApart(compactions: Compactions): Promise<void> {
    const document = this.#document;
    this.#isUnderWay = true;
    const compacted = await compactions.run(() => document.load()).catch(() => null);
    this.#isUnderWay = false;
    if (compacted === null) this.#size.putOff();
    else document.enter(() => document.isInOrder() && this.#store(compacted.of.updates, compacted));
  }

  /** Whatever was written since, the oldest updates are still those that were loaded. */
  #store(
    old: readonly Uint8Array[],
    { update, stateVector }: Pick<Snapshot, 'update' | 'stateVector'>,
  ): void {
    const { length: replaces } = old;
    const sizes = this.#size.replaceBy(update, { updates: replaces, bytes: bytesOf(old) });
    this.#document.store({ update, stateVector, replaces, revision: 0 }, sizes);
  }
}
