import { ClientError } from '../errors.js';
import type { Observable, SyncStatus } from '../status.js';

/** Waits for a status, looked at again where something else changes, too; rejects where it can no longer come, or with the signal. */
export function untilStatus(
  status: Observable<SyncStatus>,
  isReached: (status: SyncStatus) => boolean,
  { signal, besides }: { readonly signal?: AbortSignal | undefined; readonly besides: Observable<object> },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void): void => {
      unsubscribe();
      endBesides();
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
    const endBesides = besides.subscribe(check);
    signal?.addEventListener('abort', abort);
    if (signal?.aborted) abort();
    else check();
  });
}
