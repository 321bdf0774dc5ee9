/**
 * Tries an update on a copy of its document in a worker, which has a limit of memory and of time, before the server
 * itself takes it.
 */
import { type ErrorCode, SyncError } from '../../errors.js';
import type { StoredDocument } from '../../store/store.js';
import { bytesOf } from '../compaction/stored-size.js';
import type { ReplicaOptions } from '../replica.js';
import { WorkerTask } from '../worker-task.js';
import type { Admitted } from './admission.js';

export interface DryRun extends Pick<StoredDocument, 'updates' | 'memory'> {
  /** By the document of `updates`. */
  readonly admitted: Admitted;
  readonly saw: ReadonlyMap<number, number> | null;
}

/** What the worker is told. */
export interface DryRunTask extends DryRun {
  readonly ids: { readonly writes: number; readonly unions: number };
  readonly now: number;
  readonly maxDepth: number;
  readonly keepFor: number;
}

/** What it answers. */
export type DryRunOutcome =
  | { readonly parts: readonly Uint8Array[] }
  | { readonly code: ErrorCode; readonly message: string };

export interface DryRunLimits {
  /** How long one may take, in ms. */
  readonly timeout: number;
  /** Memory of a worker, in bytes: this, and some for each byte of document and update. */
  readonly baseMemory: number;
  readonly memoryPerByte: number;
}

export const DRY_RUN_LIMITS: DryRunLimits = { timeout: 20_000, baseMemory: 96 * 2 ** 20, memoryPerByte: 24 };

/** One dry run at a time; the others wait in the order in which they came. */
export class DryRuns {
  readonly #limits: DryRunLimits;
  #last: Promise<unknown> = Promise.resolve();
  #worker: WorkerTask<DryRunOutcome> | null = null;
  #closed = false;

  constructor(limits: DryRunLimits = DRY_RUN_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Resolves with updates that do the same together, each cheap to apply.
   *
   * @throws SyncError `UPDATE_TOO_COSTLY`, or `MALFORMED_UPDATE` where Yjs throws
   */
  run(
    dryRun: DryRun,
    { ids, now, times, maxDepth, keepFor }: ReplicaOptions,
  ): Promise<readonly Uint8Array[]> {
    const task: DryRunTask = {
      ...dryRun,
      ids: ids(null),
      now: times?.retention() ?? now(),
      maxDepth,
      keepFor,
    };
    const done = this.#last.then(() => this.#run(task));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Ends the dry run that is under way; later ones are refused. */
  close(): void {
    this.#closed = true;
    this.#worker?.end();
  }

  async #run(task: DryRunTask): Promise<readonly Uint8Array[]> {
    if (this.#closed) throw new SyncError('RESTARTING');
    const worker = new WorkerTask<DryRunOutcome>('intake/dry-run-worker', task, this.#memory(task));
    this.#worker = worker;
    // Out of memory, out of time, or a fault of the worker: either way it is not known what the update would do.
    const outcome = (await worker.outcome(this.#limits.timeout)) ?? TOO_COSTLY;
    this.#worker = null;
    if (this.#closed) throw new SyncError('RESTARTING');
    if ('parts' in outcome) return outcome.parts;
    throw new SyncError(outcome.code, outcome.message);
  }

  #memory({ updates, admitted }: DryRunTask): number {
    const bytes = bytesOf(updates) + admitted.update.length;
    return this.#limits.baseMemory + bytes * this.#limits.memoryPerByte;
  }
}

const TOO_COSTLY: DryRunOutcome = {
  code: 'UPDATE_TOO_COSTLY',
  message: 'Applying the update takes too much time or memory.',
};
