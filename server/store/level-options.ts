import { setTimeout as sleep } from 'node:timers/promises';
import type { Database, Operation } from './level-database.js';
import type { Opening } from './level-opening.js';

export interface LevelStoreOptions extends Opening {
  /** An attempt to reopen failed; the next one comes after `delay` milliseconds. */
  readonly onRetry?: (cause: unknown, delay: number) => void;
  /** For tests: the pause between two attempts to reopen. */
  readonly wait?: (delay: number, signal: AbortSignal) => Promise<void>;
  /** For tests: how a batch is written. */
  readonly write?: (db: Database, operations: Operation[]) => Promise<void>;
}

/** Ends early, without an error, when the store closes. */
export const pause = (delay: number, signal: AbortSignal): Promise<void> =>
  sleep(delay, undefined, { signal }).catch(() => {});
