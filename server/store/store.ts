import type { UserId } from '../../shared/names.js';

/** What the store holds of one user. */
export interface StoredDocument {
  /** Yjs V1 updates in the order of their commits; empty for a user never met. Apply them one by one. */
  readonly updates: readonly Uint8Array[];
  /** The user's change counter at the last commit; 0 for a user never met. */
  readonly revision: number;
  /** What the document has to remember beside its content (opaque to the store); `null` if nothing yet. */
  readonly memory: Uint8Array | null;
}

/** One change of a document; its parts become durable together or not at all. */
export interface Commit {
  /** One Yjs V1 update. */
  readonly update: Uint8Array;
  readonly revision: number;
  /** Replaces the document's memory; `undefined` leaves it as it is. */
  readonly memory?: Uint8Array | undefined;
}

/** The whole document as one update, taken after all commits that were handed over before. */
export interface Snapshot extends Commit {
  /** The Yjs state vector of `update`. */
  readonly stateVector: Uint8Array;
}

export type StoreState = 'ready' | 'reopening' | 'closed';

/**
 * Where documents are kept. What an implementation promises (the contract suite in
 * test/contract/store-contract.ts holds each of them to it):
 *
 * - `commit` and `compact` take effect in the order of the calls, and resolve in that order per user. A promise
 *   resolves only once its change is durable, and rejects with `NOT_SAVED` otherwise; nothing is retried.
 * - Commits of all users that arrive while one batch is written go into the next batch together.
 * - After a rejection the user must be loaded again before its next commit (a commit before that rejects too):
 *   the failed change may or may not be in the store, and a load tells which.
 * - A store that failed reopens by itself; meanwhile `state` is `reopening`, loads and commits reject with
 *   `STORE_UNAVAILABLE` / `NOT_SAVED`, and users without a change in flight need no reload afterwards.
 * - `load` rejects with `DOCUMENT_CORRUPT` if any stored byte of this user is damaged or missing, and never
 *   returns a part. Other users are not affected, and the damaged bytes are left as they are.
 */
export interface Store {
  readonly state: StoreState;
  /** Counts up at each (re)open: server-made Yjs client ids must be fresh for each value (P6). */
  readonly generation: number;
  load(user: UserId): Promise<StoredDocument>;
  commit(user: UserId, commit: Commit): Promise<void>;
  /** Replaces all earlier updates of the user by one, in one atomic step. */
  compact(user: UserId, snapshot: Snapshot): Promise<void>;
  /** The user's document is no longer in use; drops what the store holds for it in memory. */
  forget(user: UserId): void;
  /** Calls back at each change of `state`; returns the unsubscribe function. */
  onState(listener: (state: StoreState, cause?: unknown) => void): () => void;
  /** Writes what was handed over, then closes. Later calls reject with `STORE_UNAVAILABLE`. */
  close(): Promise<void>;
}
