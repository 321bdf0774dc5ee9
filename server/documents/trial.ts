/**
 * Tries an update on a copy of its document in a worker, which has a limit of memory and of time, before the server
 * itself takes it.
 */
import { Worker } from 'node:worker_threads';
import { type ErrorCode, SyncError } from '../../shared/errors.js';
import type { StoredDocument } from '../store/store.js';
import type { ReplicaOptions } from './replica.js';

export interface Trial extends Pick<StoredDocument, 'updates' | 'memory'> {
  readonly update: Uint8Array;
  readonly saw: ReadonlyMap<number, number> | null;
}

/** What the worker is told. */
export interface TrialTask extends Trial {
  readonly ids: { readonly writes: number; readonly unions: number };
  readonly now: number;
  readonly maxDepth: number;
  readonly keepFor: number;
}

/** What it answers. */
export type TrialOutcome =
  | { readonly parts: readonly Uint8Array[] }
  | { readonly code: ErrorCode; readonly message: string };

export interface TrialLimits {
  /** How long one may take, in ms. */
  readonly timeout: number;
  /** Memory of a worker, in bytes: this, and some for each byte of document and update. */
  readonly baseMemory: number;
  readonly memoryPerByte: number;
}

export const TRIAL_LIMITS: TrialLimits = { timeout: 20_000, baseMemory: 96 * 2 ** 20, memoryPerByte: 24 };

/** One trial at a time; the others wait in the order in which they came. */
export class Trials {
  readonly #limits: TrialLimits;
  #last: Promise<unknown> = Promise.resolve();
  #worker: Worker | null = null;
  #closed = false;

  constructor(limits: TrialLimits = TRIAL_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Resolves with updates that do the same together, each cheap to apply.
   *
   * @throws SyncError `UPDATE_TOO_COSTLY`, or `MALFORMED_UPDATE` where Yjs throws
   */
  run(trial: Trial, { ids, now, times, maxDepth, keepFor }: ReplicaOptions): Promise<readonly Uint8Array[]> {
    const task: TrialTask = { ...trial, ids: ids(), now: times?.retention() ?? now(), maxDepth, keepFor };
    const done = this.#last.then(() => this.#run(task));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Ends the trial that is under way; later ones are refused. */
  close(): void {
    this.#closed = true;
    void this.#worker?.terminate();
  }

  async #run(task: TrialTask): Promise<readonly Uint8Array[]> {
    if (this.#closed) throw new SyncError('RESTARTING');
    const worker = startWorker(task, this.#memory(task));
    this.#worker = worker;
    const outcome = await outcomeOf(worker, this.#limits.timeout);
    this.#worker = null;
    await worker.terminate();
    if (this.#closed) throw new SyncError('RESTARTING');
    if ('parts' in outcome) return outcome.parts;
    throw new SyncError(outcome.code, outcome.message);
  }

  #memory({ updates, update }: TrialTask): number {
    const bytes = updates.reduce((sum, { length }) => sum + length, update.length);
    return this.#limits.baseMemory + bytes * this.#limits.memoryPerByte;
  }
}

const TOO_COSTLY: TrialOutcome = {
  code: 'UPDATE_TOO_COSTLY',
  message: 'Applying the update takes too much time or memory.',
};

function outcomeOf(worker: Worker, timeout: number): Promise<TrialOutcome> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(TOO_COSTLY), timeout);
    const end = (outcome: TrialOutcome) => {
      clearTimeout(timer);
      resolve(outcome);
    };
    worker.once('message', end);
    // Out of memory, or a fault of the worker: either way nobody knows what the update would do.
    worker.once('error', () => end(TOO_COSTLY));
    worker.once('exit', () => end(TOO_COSTLY));
  });
}

function startWorker(task: TrialTask, memory: number): Worker {
  const resourceLimits = {
    maxOldGenerationSizeMb: Math.ceil(memory / 2 ** 20),
    maxYoungGenerationSizeMb: 16,
  };
  const options = { workerData: task, resourceLimits, env: {}, stdout: true, stderr: true };
  const isBuilt = import.meta.url.endsWith('.js');
  const url = new URL(`./trial-worker.${isBuilt ? 'js' : 'ts'}`, import.meta.url);
  if (isBuilt) return new Worker(url, options);
  // From the sources, which Node can't load by itself.
  const load = `import('tsx/esm/api').then(({ register }) => (register(), import(${JSON.stringify(url.href)})))`;
  return new Worker(load, { ...options, eval: true });
}
