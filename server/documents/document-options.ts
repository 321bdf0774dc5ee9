/** What a user's document needs from outside, and what it reports. */
import type { SyncError } from '../errors.js';
import type { Dependency } from '../protocol/scan.js';
import type { Store } from '../store/store.js';
import type { Compactions } from './compaction/compactions.js';
import type { Trials } from './intake/dry-run.js';
import type { RoomLimits } from './intake/quota.js';
import type { ReplicaOptions } from './replica.js';
import type { Turns } from './turns/turns.js';
import type { UserDocument } from './user-document.js';

export interface DocumentOptions extends ReplicaOptions {
  readonly store: Store;
  /** Where an update that may be dear is tried first; without it, everything is applied at once. */
  readonly trials?: Trials;
  /** When something is done for this user; without it, at once. */
  readonly turns?: Turns;
  /** Where large documents are compacted; without it, all are at once. */
  readonly compactions?: Compactions;
  readonly compactUpdates: number;
  readonly compactBytes: number;
  readonly onFailed: (document: UserDocument, error: SyncError) => void;
  readonly onRebuilt: (document: UserDocument, cause: unknown) => void;
  readonly onCompacted: (document: UserDocument, sizes: CompactionSizes) => void;
  /** How long history is kept, in days; 0 keeps only what merges need (H7). */
  readonly historyDays: number;
  /** History before this revision can't be read. */
  readonly onHistoryDamaged: (document: UserDocument, revision: number) => void;
  readonly onUnexpected: (error: unknown) => void;
  /** What a user may make the server keep; without it, anything. */
  readonly limits?: DocumentLimits;
}

/** The state vector of the author of an update before it, where that is known. */
export type Saw = ReadonlyMap<number, number> | null;

export interface DocumentLimits extends RoomLimits {
  /** Devices of which something is remembered. */
  readonly maxDevices: number;
}

export const NO_LIMITS: DocumentLimits = {
  maxDocument: Number.POSITIVE_INFINITY,
  maxDocumentStructs: Number.POSITIVE_INFINITY,
  maxDevices: Number.POSITIVE_INFINITY,
};

export interface CompactionSizes {
  readonly updates: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface ReceiveResult {
  /** What the update builds on that the document does not have: then nothing was applied. */
  readonly missing: Dependency | null;
  /**
   * Where the update is tried first: resolves when it was applied, rejects with a SyncError when it is refused.
   * Until then, whatever enters the document waits.
   */
  readonly tried?: Promise<void>;
}
