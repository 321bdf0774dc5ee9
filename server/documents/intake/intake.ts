/** How an update of a native device comes into its document: at once, or tried first and then in parts. */
import { SyncError } from '../../errors.js';
import type { Dependency } from '../../protocol/missing.js';
import type { Origin, Written } from '../changes.js';
import type { Committer } from '../committer.js';
import type { DocumentOptions } from '../document-options.js';
import type { Gate } from '../gate.js';
import type { HistoryReader } from '../history/history-reader.js';
import { timesOf } from '../history/history-window.js';
import type { MadeAt } from '../later-wins/made-at.js';
import { UnionFailed, type UpdateContext } from '../replica.js';
import type { ReplicaHolder } from '../replica-holder.js';
import { type Admitted, partOf } from './admission.js';
import type { DryRuns } from './dry-run.js';
import type { DocumentQuota } from './quota.js';

export interface ReceiveResult {
  /** What the update builds on that the document does not have: then nothing was applied. */
  readonly missing: Dependency | null;
  /**
   * Where the update is tried first: resolves when it was applied, rejects with a SyncError when it is refused.
   * Until then, whatever enters the document waits.
   */
  readonly tried?: Promise<void>;
}

/** An update as it came in. */
interface Received extends UpdateContext {
  readonly origin: Origin;
  readonly update: Uint8Array;
  readonly madeAt: MadeAt;
}

export interface IntakeParts {
  readonly gate: Gate;
  readonly committer: Committer;
  readonly replicas: ReplicaHolder;
  readonly quota: DocumentQuota;
  readonly reader: HistoryReader;
}

export class UpdateIntake {
  readonly #parts: IntakeParts;
  readonly #options: DocumentOptions;

  constructor(parts: IntakeParts, options: DocumentOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  receive(received: Received): ReceiveResult {
    const { gate, replicas, quota } = this.#parts;
    gate.mustBeInOrder();
    const admission = replicas.current.check(received.update);
    if (admission.kind === 'missing') return { missing: admission.dependency };
    if (admission.kind === 'empty') return { missing: null };
    quota.mustTakeUpdate(received.update);
    const { dryRuns } = this.#options;
    if (admission.kind === 'expensive' && dryRuns !== undefined) {
      return {
        missing: null,
        tried: this.#exclusive(() => this.#applyInParts(dryRuns, admission, received)),
      };
    }
    if (this.#needsHistory(admission, received)) {
      return { missing: null, tried: this.#exclusive(() => this.#applyRecalled(admission, received)) };
    }
    this.#apply(admission, received);
    return { missing: null };
  }

  /** What it may meet was written at an earlier time than the history in memory tells of. */
  #needsHistory({ isContested }: Admitted, { madeAt }: Received): boolean {
    return isContested && madeAt !== null && !this.#parts.reader.reaches(madeAt);
  }

  #apply(admitted: Admitted, received: Received): void {
    const { gate, replicas } = this.#parts;
    try {
      this.#commit(replicas.current.apply(admitted, received), received);
    } catch (error) {
      replicas.rebuild(error);
      if (!(error instanceof UnionFailed)) throw refusalOf(error);
      gate.whenReady(() => {
        try {
          this.#applyPlain(admitted.update, received);
        } catch (cause) {
          replicas.rebuild(cause);
        }
      });
    }
  }

  /**
   * A union that fails is not the author's fault: its update is taken as plain Yjs takes it. The replica is another
   * one by now, which has not checked it yet.
   */
  #applyPlain(update: Uint8Array, received: Received): void {
    const replica = this.#parts.replicas.current;
    const admission = replica.check(update);
    if (admission.kind === 'empty' || admission.kind === 'missing') return;
    this.#commit(replica.applyPlain(admission), received);
  }

  #commit(written: Written, { origin, madeAt }: Received): void {
    this.#parts.committer.commit(origin, written, timesOf(madeAt));
  }

  /** Lets everything wait until `run` is done; what it throws is for the author alone. */
  #exclusive(run: () => Promise<void>): Promise<void> {
    return this.#parts.gate.alone(() =>
      run().catch((error: unknown) => {
        throw refusalOf(error);
      }),
    );
  }

  async #applyRecalled(admitted: Admitted, received: Received): Promise<void> {
    await this.#parts.reader.backToTime(received.madeAt ?? 0);
    await this.#applyExclusive(admitted, received);
  }

  /**
   * A copy of the document, in a worker, finds out what the update does. Between two parts, others have their turn;
   * each part is a commit of its own.
   */
  async #applyInParts(dryRuns: DryRuns, admitted: Admitted, received: Received): Promise<void> {
    const { replicas, reader } = this.#parts;
    const { updates, memory } = await replicas.load();
    const { saw, update: whole } = received;
    if (this.#needsHistory(admitted, received)) await reader.backToTime(received.madeAt ?? 0);
    for (const part of await dryRuns.run({ updates, memory, admitted, saw }, this.#options)) {
      await this.#applyExclusive(partOf(admitted, part), { ...received, whole });
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The same as `#apply` while everything else waits. */
  async #applyExclusive(admitted: Admitted, received: Received): Promise<void> {
    const { replicas } = this.#parts;
    try {
      this.#commit(replicas.current.apply(admitted, received), received);
    } catch (error) {
      await replicas.rebuildNow(error);
      if (!(error instanceof UnionFailed)) throw error;
      this.#applyPlain(admitted.update, received);
    }
  }
}

/** What an error while an update was applied is to its author. */
const refusalOf = (error: unknown): SyncError =>
  error instanceof SyncError ? error : new SyncError('MALFORMED_UPDATE', undefined, { cause: error });
