/** How an update of a native device comes into its document: at once, or tried first and then in parts. */
import { SyncError } from '../../errors.js';
import type { Dependency } from '../../protocol/missing.js';
import type { StoredDocument } from '../../store/store.js';
import type { Origin, Written } from '../changes.js';
import type { DocumentOptions } from '../document-options.js';
import type { MadeAt } from '../later-wins/made-at.js';
import { type Replica, UnionFailed } from '../replica.js';
import type { DryRuns } from './dry-run.js';

export interface ReceiveResult {
  /** What the update builds on that the document does not have: then nothing was applied. */
  readonly missing: Dependency | null;
  /**
   * Where the update is tried first: resolves when it was applied, rejects with a SyncError when it is refused.
   * Until then, whatever enters the document waits.
   */
  readonly tried?: Promise<void>;
}

/** What is needed of the document. */
export interface IntakeDocument {
  replica(): Replica;
  /** Throws where the document has no room for the update. */
  mustTake(update: Uint8Array): void;
  /** What is stored. */
  load(): Promise<StoredDocument>;
  /** Throws when the document has failed. */
  commit(origin: Origin, written: Written, madeAt: MadeAt): void;
  /** Whether what was made at `time` or later is in memory of the history. */
  remembers(time: number): boolean;
  /** Reads it, while it is paused. */
  recall(time: number): Promise<void>;
  /** Lets what comes in wait until everything so far is durable and `work` is done. */
  pause(work: () => Promise<void>): void;
  /** Runs a task when the document is in order. */
  enter(task: () => void): void;
  /** Has the document loaded anew, after a throw that may have left it halfway. */
  rebuild(cause: unknown): void;
  /** The same at once, while it is paused. */
  rebuildNow(cause: unknown): Promise<void>;
}

/** An update as it came in. */
interface Received {
  readonly origin: Origin;
  readonly update: Uint8Array;
  readonly saw: ReadonlyMap<number, number> | null;
  readonly madeAt: MadeAt;
}

export class UpdateIntake {
  readonly #document: IntakeDocument;
  readonly #options: DocumentOptions;

  constructor(document: IntakeDocument, options: DocumentOptions) {
    this.#document = document;
    this.#options = options;
  }

  receive(received: Received): ReceiveResult {
    const checked = this.#document.replica().check(received.update);
    if (typeof checked === 'object') return { missing: checked };
    if (checked === 'empty') return { missing: null };
    this.#document.mustTake(received.update);
    const { dryRuns } = this.#options;
    if (checked === 'dear' && dryRuns !== undefined) {
      return { missing: null, tried: this.#paused(() => this.#applyInParts(dryRuns, received)) };
    }
    if (this.#needsHistory(received)) {
      return { missing: null, tried: this.#paused(() => this.#applyRecalled(received)) };
    }
    this.#apply(received);
    return { missing: null };
  }

  /** What it may meet was written at an earlier time than the history in memory tells of. */
  #needsHistory({ update, madeAt }: Received): boolean {
    if (madeAt === null || !this.#document.replica().isContested(update)) return false;
    return !this.#document.remembers(madeAt);
  }

  async #applyRecalled(received: Received): Promise<void> {
    await this.#document.recall(received.madeAt ?? 0);
    await this.#applyPart(received.update, received);
  }

  #apply({ origin, update, saw, madeAt }: Received): void {
    const document = this.#document;
    try {
      document.commit(origin, document.replica().receive(update, saw, 'unite', update, madeAt), madeAt);
    } catch (error) {
      document.rebuild(error);
      if (!(error instanceof UnionFailed)) throw refusalOf(error);
      document.enter(() => this.#applyAlone(origin, update, madeAt));
    }
  }

  /** A union that fails is not the author's fault: its update is taken as plain Yjs takes it. */
  #applyAlone(origin: Origin, update: Uint8Array, madeAt: MadeAt): void {
    try {
      this.#document.commit(origin, this.#document.replica().receive(update, null, 'no union'), madeAt);
    } catch (error) {
      this.#document.rebuild(error);
    }
  }

  /** Lets everything wait until `run` is done. */
  #paused(run: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#document.pause(() => run().then(resolve, (error: unknown) => reject(refusalOf(error))));
    });
  }

  /**
   * A copy of the document, in a worker, finds out what the update does. Between two parts, others have their turn;
   * each part is a commit of its own.
   */
  async #applyInParts(dryRuns: DryRuns, received: Received): Promise<void> {
    const { updates, memory } = await this.#document.load();
    const { update, saw } = received;
    if (this.#needsHistory(received)) await this.#document.recall(received.madeAt ?? 0);
    for (const part of await dryRuns.run({ updates, memory, update, saw }, this.#options)) {
      await this.#applyPart(part, received);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #applyPart(part: Uint8Array, { origin, update, saw, madeAt }: Received): Promise<void> {
    const document = this.#document;
    try {
      document.commit(origin, document.replica().receive(part, saw, 'unite', update, madeAt), madeAt);
    } catch (error) {
      await document.rebuildNow(error);
      if (!(error instanceof UnionFailed)) throw error;
      document.commit(origin, document.replica().receive(part, null, 'no union'), madeAt);
    }
  }
}

/** What an error while an update was applied is to its author. */
const refusalOf = (error: unknown): SyncError =>
  error instanceof SyncError ? error : new SyncError('MALFORMED_UPDATE', undefined, { cause: error });
