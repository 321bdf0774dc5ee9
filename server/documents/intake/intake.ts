/** How an update of a native device comes into its document: at once, or tried first and then in parts. */
import { SyncError } from '../../errors.js';
import type { Dependency } from '../../protocol/missing.js';
import type { StoredDocument } from '../../store/store.js';
import type { Origin, Written } from '../changes.js';
import type { DocumentOptions } from '../document-options.js';
import type { MadeAt } from '../later-wins/made-at.js';
import { type Authored, type Replica, UnionFailed } from '../replica.js';
import { type Admitted, partOf } from './admission.js';
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
interface Received extends Authored {
  readonly origin: Origin;
  readonly update: Uint8Array;
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
    const admission = this.#document.replica().check(received.update);
    if (admission.kind === 'missing') return { missing: admission.dependency };
    if (admission.kind === 'empty') return { missing: null };
    this.#document.mustTake(received.update);
    const { dryRuns } = this.#options;
    if (admission.kind === 'expensive' && dryRuns !== undefined) {
      return { missing: null, tried: this.#paused(() => this.#applyInParts(dryRuns, admission, received)) };
    }
    if (this.#needsHistory(admission, received)) {
      return { missing: null, tried: this.#paused(() => this.#applyRecalled(admission, received)) };
    }
    this.#apply(admission, received);
    return { missing: null };
  }

  /** What it may meet was written at an earlier time than the history in memory tells of. */
  #needsHistory({ isContested }: Admitted, { madeAt }: Received): boolean {
    return isContested && madeAt !== null && !this.#document.remembers(madeAt);
  }

  async #applyRecalled(admitted: Admitted, received: Received): Promise<void> {
    await this.#document.recall(received.madeAt ?? 0);
    await this.#applyPaused(admitted, received);
  }

  #apply(admitted: Admitted, received: Received): void {
    const document = this.#document;
    try {
      document.commit(received.origin, document.replica().apply(admitted, received), received.madeAt);
    } catch (error) {
      document.rebuild(error);
      if (!(error instanceof UnionFailed)) throw refusalOf(error);
      document.enter(() => {
        try {
          this.#applyPlain(admitted.update, received);
        } catch (cause) {
          document.rebuild(cause);
        }
      });
    }
  }

  /**
   * A union that fails is not the author's fault: its update is taken as plain Yjs takes it. The replica is another
   * one by now, which has not checked it yet.
   */
  #applyPlain(update: Uint8Array, { origin, madeAt }: Received): void {
    const replica = this.#document.replica();
    const admission = replica.check(update);
    if (admission.kind === 'empty' || admission.kind === 'missing') return;
    this.#document.commit(origin, replica.applyPlain(admission), madeAt);
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
  async #applyInParts(dryRuns: DryRuns, admitted: Admitted, received: Received): Promise<void> {
    const { updates, memory } = await this.#document.load();
    const { saw, update: whole } = received;
    if (this.#needsHistory(admitted, received)) await this.#document.recall(received.madeAt ?? 0);
    for (const part of await dryRuns.run({ updates, memory, admitted, saw }, this.#options)) {
      await this.#applyPaused(partOf(admitted, part), { ...received, whole });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The same as `#apply` while everything else waits. */
  async #applyPaused(admitted: Admitted, received: Received): Promise<void> {
    const document = this.#document;
    try {
      document.commit(received.origin, document.replica().apply(admitted, received), received.madeAt);
    } catch (error) {
      await document.rebuildNow(error);
      if (!(error instanceof UnionFailed)) throw error;
      this.#applyPlain(admitted.update, received);
    }
  }
}

/** What an error while an update was applied is to its author. */
const refusalOf = (error: unknown): SyncError =>
  error instanceof SyncError ? error : new SyncError('MALFORMED_UPDATE', undefined, { cause: error });
