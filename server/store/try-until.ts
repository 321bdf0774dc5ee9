import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_DELAY = 100;
const LONGEST_DELAY = 5_000;

export interface Retrying {
  /** An attempt failed; the next one comes after `delay` milliseconds. */
  readonly onRetry?: (cause: unknown, delay: number) => void;
  /** The pauses grow up to so long, in ms. */
  readonly longest?: number;
  /** For tests: the pause between two attempts. */
  readonly wait?: (delay: number, signal: AbortSignal) => Promise<void>;
}

/** Tries, with growing pauses, until it works or is not wanted any more. */
export async function tryUntil(
  attempt: () => Promise<void>,
  isWanted: () => boolean,
  signal: AbortSignal,
  { onRetry, longest = LONGEST_DELAY, wait = pause }: Retrying,
): Promise<void> {
  for (let delay = FIRST_DELAY; isWanted(); delay = Math.min(delay * 2, longest)) {
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
