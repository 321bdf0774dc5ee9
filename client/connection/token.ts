import type { Clock } from '../platform/platform.js';

/** Rejects with this sentence when the promise takes longer. */
export function withLimit<T>(clock: Clock, ms: number, sentence: string, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(ms, () => reject(new Error(sentence)));
    promise.then(resolve, reject).finally(stop);
  });
}

const TOKEN_TIMEOUT = 10_000;

/** Asks the app for a token, null where there is none; rejects where that fails or takes too long. */
export async function askToken(
  getToken: (() => string | null | Promise<string | null>) | undefined,
  clock: Clock,
): Promise<string | null> {
  if (getToken === undefined) return null;
  const asked = Promise.resolve().then(getToken);
  return withLimit(clock, TOKEN_TIMEOUT, 'getToken() did not answer in time.', asked);
}

/** How soon another fresh token may be tried at once, in ms: one that works for a moment only must not make a loop. */
const RENEWAL_PAUSE = 10_000;

/** A refused token is replaced at once, or soon, where the one before it has worked (A7). */
export class Renewals {
  readonly #clock: Clock;
  #hasWorked = true;
  #last = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When a fresh token is tried: `later` is after it was told that one is needed. */
  next(): 'now' | 'soon' | 'later' {
    if (!this.#hasWorked) return 'later';
    this.#hasWorked = false;
    const now = this.#clock.now();
    if (Math.abs(now - this.#last) < RENEWAL_PAUSE) return 'soon';
    this.#last = now;
    return 'now';
  }

  worked(): void {
    this.#hasWorked = true;
  }

  reset(): void {
    this.#hasWorked = true;
    this.#last = Number.NEGATIVE_INFINITY;
  }
}
