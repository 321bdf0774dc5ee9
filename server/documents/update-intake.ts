/** How an update of a native device comes into its document: at once, or tried first and then in parts. */
import { SyncError } from '../../shared/errors.js';
import type { StoredDocument } from '../store/store.js';
import type { Origin } from './changes.js';
import type { DocumentOptions, ReceiveResult } from './document-options.js';
import { type Replica, UnionFailed, type Written } from './replica.js';
import type { Trials } from './trial.js';

/** What is needed of the document. */
export interface IntakeDocument {
  replica(): Replica;
  /** Throws where the document has no room for the update. */
  mustTake(update: Uint8Array): void;
  /** What is stored. */
  load(): Promise<StoredDocument>;
  /** Throws when the document has failed. */
  commit(origin: Origin, written: Written): void;
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
    const { trials } = this.#options;
    if (checked === 'dear' && trials !== undefined) {
      return { missing: null, tried: this.#try(trials, received) };
    }
    this.#apply(received);
    return { missing: null };
  }

  #apply({ origin, update, saw }: Received): void {
    const document = this.#document;
    try {
      document.commit(origin, document.replica().receive(update, saw));
    } catch (error) {
      document.rebuild(error);
      if (!(error instanceof UnionFailed)) throw refusalOf(error);
      document.enter(() => this.#applyAlone(origin, update));
    }
  }

  /** A union that fails is not the author's fault: its update is taken as plain Yjs takes it. */
  #applyAlone(origin: Origin, update: Uint8Array): void {
    try {
      this.#document.commit(origin, this.#document.replica().receive(update, null, 'no union'));
    } catch (error) {
      this.#document.rebuild(error);
    }
  }

  /** Lets everything wait while a copy of the document, in a worker, finds out what the update does. */
  #try(trials: Trials, received: Received): Promise<void> {
    return new Promise((resolve, reject) => {
      const run = () => this.#applyInParts(trials, received);
      this.#document.pause(() => run().then(resolve, (error: unknown) => reject(refusalOf(error))));
    });
  }

  /** Between two parts, others have their turn; each part is a commit of its own. */
  async #applyInParts(trials: Trials, received: Received): Promise<void> {
    const { updates, memory } = await this.#document.load();
    const { update, saw } = received;
    for (const part of await trials.run({ updates, memory, update, saw }, this.#options)) {
      await this.#applyPart(part, received);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async #applyPart(part: Uint8Array, { origin, update, saw }: Received): Promise<void> {
    const document = this.#document;
    try {
      document.commit(origin, document.replica().receive(part, saw, 'unite', update));
    } catch (error) {
      await document.rebuildNow(error);
      if (!(error instanceof UnionFailed)) throw error;
      document.commit(origin, document.replica().receive(part, null, 'no union'));
    }
  }
}

/** What an error while an update was applied is to its author. */
const refusalOf = (error: unknown): SyncError =>
  error instanceof SyncError ? error : new SyncError('MALFORMED_UPDATE', undefined, { cause: error });
