import { ClientError } from './errors.js';
import type { Observable, SyncStatus } from './status.js';

/** Waits for a status; rejects where it can no longer come, or with the signal. */
export function untilStatus(
  status: Observable<SyncStatus>,
  isReached: (status: SyncStatus) => boolean,
  signal?: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      unsubscribe();
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const fail = (error: ClientError): void => end(() => reject(error));
    const abort = (): void => fail(new ClientError('ABORTED', undefined, { cause: signal?.reason }));
    const check = (): void => {
      const { connection, reason } = status.current;
      if (isReached(status.current)) end(resolve);
      else if (connection === 'closed') fail(new ClientError('CLOSED', reason ?? undefined));
      else if (connection === 'refused') fail(new ClientError('REFUSED', reason ?? undefined));
    };
    const unsubscribe = status.subscribe(check);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    else check();
  });
}
