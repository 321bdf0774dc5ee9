/** What a user's document needs from outside, and what it reports. */
import type { UserId } from '../../shared/names.js';
import type { SyncError } from '../errors.js';
import type { Store } from '../store/store.js';
import type { DurableChange } from './changes.js';
import type { CompactionSizes } from './compaction/stored-size.js';
import type { RewritingWorkers } from './epochs/rewriting-workers.js';
import type { DryRuns } from './intake/dry-run.js';
import type { QuotaLimits } from './intake/quota.js';
import type { DeviceStates } from './json-devices/devices.js';
import type { Slices } from './loading/slices.js';
import type { ReplicaOptions } from './replica.js';
import type { Turns } from './turns/turns.js';

export interface DocumentOptions extends ReplicaOptions {
  readonly store: Store;
  /** The JSON devices that were connected while it slept; left out: none. */
  readonly devices?: DeviceStates | undefined;
  /** Where an update that may be expensive is tried first; without it, everything is applied at once. */
  readonly dryRuns?: DryRuns;
  /** When something is done for this user; without it, at once. */
  readonly turns?: Turns;
  /** Where large documents are loaded and compacted step by step; without it, all are at once. */
  readonly slices?: Slices;
  /** Where large documents are written anew; without it, all are at once. */
  readonly rewritingWorkers?: RewritingWorkers;
  /** Yjs client ids that a document may have before it is written anew; left out, `MANY_CLIENTS`. */
  readonly manyClients?: number;
  readonly compactUpdates: number;
  readonly compactBytes: number;
  readonly onFailed: (user: UserId, error: SyncError) => void;
  readonly onRebuilt: (user: UserId, cause: unknown) => void;
  /** A change is durable, and nobody was told of it yet; left out: nobody listens. */
  readonly onSaved?: ((user: UserId, change: DurableChange) => void) | undefined;
  readonly onCompacted: (user: UserId, sizes: CompactionSizes) => void;
  /** How long history is kept, in days; 0 keeps only what merges need (H7). */
  readonly historyDays: number;
  /** History before this revision can't be read. */
  readonly onHistoryDamaged: (user: UserId, revision: number) => void;
  /** What is too old of a history is gone; with an error, it could not be removed, and stays until another day. */
  readonly onPruned?: (user: UserId, error: unknown) => void;
  readonly onUnexpected: (error: unknown) => void;
  /** What a user may make the server keep; without it, anything. */
  readonly limits?: DocumentLimits;
}

/** The state vector of the author of an update before it, where that is known. */
export type Saw = ReadonlyMap<number, number> | null;

export interface DocumentLimits extends QuotaLimits {
  /** Devices of which something is remembered. */
  readonly maxDevices: number;
}

export const NO_LIMITS: DocumentLimits = {
  maxDocument: Number.POSITIVE_INFINITY,
  maxDocumentStructs: Number.POSITIVE_INFINITY,
  maxDevices: Number.POSITIVE_INFINITY,
};
