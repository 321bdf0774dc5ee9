import { setTimeout as sleep } from 'node:timers/promises';
import type { DiskPatience } from '../disk-watch.js';
import type { Database, Operation } from './database.js';
import type { Opening } from './opening.js';

export interface LevelStoreOptions extends Opening {
  /** How long the disk may take. */
  readonly patience?: DiskPatience;
  /** How much of what is noted of documents at rest is kept at hand, in bytes; left out, nothing. */
  readonly restBudget?: number | undefined;
  /** An attempt to reopen failed; the next one comes after `delay` milliseconds. */
  readonly onRetry?: (cause: unknown, delay: number) => void;
  /** For tests: the pause between two attempts to reopen. */
  readonly wait?: (delay: number, signal: AbortSignal) => Promise<void>;
  /** For tests: how a batch is written. */
  readonly write?: (db: Database, operations: Operation[]) => Promise<void>;
}

const FIRST_DELAY = 100;
const LONGEST_DELAY = 5_000;

/** Tries, with growing pauses, until it works or is not wanted any more. */
export async function tryUntil(
  attempt: () => Promise<void>,
  isWanted: () => boolean,
  signal: AbortSignal,
  { onRetry, wait = pause }: Pick<LevelStoreOptions, 'onRetry' | 'wait'>,
): Promise<void> {
  for (let delay = FIRST_DELAY; isWanted(); delay = Math.min(delay * 2, LONGEST_DELAY)) {
    try {
      await attempt();
    } catch (cause) {
      if (!isWanted()) return;
      onRetry?.(cause, delay);
      await wait(delay, signal);
    }
  }
}

/** Ends early, without an error, when the store closes. */
const pause = (delay: number, signal: AbortSignal): Promise<void> =>
  sleep(delay, undefined, { signal }).catch(() => {});
