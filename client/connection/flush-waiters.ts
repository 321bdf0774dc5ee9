import { ClientError } from '../errors.js';
import type { Clock } from '../platform/platform.js';
import type { ConnectionReport } from './types.js';

/** Longer than a socket attempt or an HTTP exchange may take. */
const LIMIT = 45_000;

/** A call of `flush` that waits until the server has everything. */
export interface FlushWaiter {
  /** The state of the HTTP exchange that was begun for this call. */
  exchange: 'none' | 'under way' | 'failed';
  readonly resolve: () => void;
  readonly reject: (error: ClientError) => void;
}

export class FlushWaiters {
  readonly #clock: Clock;
  readonly #all = new Set<FlushWaiter>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get all(): readonly FlushWaiter[] {
    return [...this.#all];
  }

  /** Resolves or rejects when `begin`'s waiter does, and rejects after `LIMIT`. */
  add(begin: (waiter: FlushWaiter) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        stop();
        this.#all.delete(waiter);
        settle();
      };
      const waiter: FlushWaiter = {
        exchange: 'none',
        resolve: () => end(resolve),
        reject: (error) => end(() => reject(error)),
      };
      const tooLate = (): void =>
        waiter.reject(new ClientError('OFFLINE', 'The server did not answer in time.'));
      const stop = this.#clock.after(LIMIT, tooLate);
      this.#all.add(waiter);
      begin(waiter);
    });
  }

  rejectAll(error: ClientError): void {
    for (const waiter of this.all) waiter.reject(error);
  }
}

/** The error with which `flush` rejects while the server can't be reached. */
export function failureOf({ connection, reason, error }: ConnectionReport): ClientError {
  if (connection === 'needs-token') return new ClientError('NEEDS_TOKEN', reason ?? undefined);
  if (connection === 'refused') return new ClientError('REFUSED', reason ?? undefined);
  return error ?? new ClientError('OFFLINE', reason ?? undefined);
}
