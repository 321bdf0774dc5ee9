import type { ClientError, StorageError } from './errors.js';
import type { RefusedChange } from './refused/refused-changes.js';

/** A value that changes, as `useSyncExternalStore` and hand-written screens like it. */
export interface Observable<Value> {
  /** The same object until something in it changes. */
  readonly current: Value;
  /** Calls at each change, not at once. Returns what ends it. */
  subscribe(listener: (value: Value) => void): () => void;
}

/**
 * - `offline`: not connected; `reason` says why, and whether and when it is tried again
 * - `connecting`: an attempt is under way, or the server's data is still coming in
 * - `online`: connected, and everything the server had has arrived
 * - `needs-token`: the server wants another token; it is tried again when there is one
 * - `refused`: the server does not let this device in; it is not tried again by itself
 * - `closed`: logged out, or the client was closed
 */
export type ConnectionState = 'offline' | 'connecting' | 'online' | 'needs-token' | 'refused' | 'closed';

export interface SyncStatus {
  readonly connection: ConnectionState;
  /** A sentence for people, or null. */
  readonly reason: string | null;
  /** Local changes that the server has not confirmed to be on its disk. Exact, also after a restart. */
  readonly pendingChanges: number;
  /** When everything was last known to be in step with the server, in ms since 1970; null before the first time. */
  readonly lastSyncedAt: number | null;
  /** Whether everything that the server had has come to this device once: what is empty then is empty. */
  readonly hasSynced: boolean;
  /** The first of these syncs is under way: until it has come, or has failed, what is missing may come. */
  readonly isFirstSync: boolean;
  /** Whether changes are stored on this device. `false`: they live in memory only, see `error`. */
  readonly durable: boolean;
  /** The last failure that is not mended yet. */
  readonly error: ClientError | StorageError | null;
  /**
   * Changes that the server refused, oldest first: kept on this device, and not in the data that screens show. The
   * same array until one comes or goes. See `retryRefused`, `discardRefused` and `exportRefused`.
   */
  readonly refused: readonly RefusedChange[];
}

/** Before anything is known of anybody; on a server that renders pages it stays so. */
export const NOT_INITIALIZED: SyncStatus = {
  connection: 'offline',
  reason: 'Not initialized yet.',
  pendingChanges: 0,
  lastSyncedAt: null,
  hasSynced: false,
  isFirstSync: false,
  durable: false,
  error: null,
  refused: [],
};
