import type { Clock } from '../platform/platform.js';

/**
 * Rejects with what `onLate` returns when `work` takes longer than `ms`. The time is taken in halves, as a device
 * that slept finds both the timer and the work due when it wakes: the work then has half the time left to answer.
 */
export async function withDeadline<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  onLate: () => Error,
): Promise<T> {
  let cancel = (): void => {};
  const late = new Promise<never>((_, reject) => {
    cancel = clock.after(ms / 2, () => {
      cancel = clock.after(ms / 2, () => reject(onLate()));
    });
  });
  return Promise.race([work, late]).finally(() => cancel());
}
