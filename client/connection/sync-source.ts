import type { Refusal } from '../refused/refusal.js';

/** A local change that the server has not confirmed yet. */
export interface PendingChange {
  /** Grows from change to change; valid until the app ends. */
  readonly number: number;
  /** As it was made: what it created can be read from it whatever happened to it since (D4). */
  readonly update: Uint8Array;
  /** By the clock of this device; left out for what a version of the app stored that knew no times. */
  readonly madeAt?: number | null;
}

/** What a connection needs of a replica: what to send, and where to put what arrives. */
export interface SyncSource {
  /** The pending changes with a higher number, oldest first. */
  pendingAfter(number: number): readonly PendingChange[];
  /** How many changes are on this device alone that this connection does not send. */
  kept?(): number;
  /** Another document is stored than this one: a change that is pending here no longer may wait there, and not have been sent. */
  readonly isReplaced?: boolean;
  /** Resolves when each write that was made before is pending. */
  settled(): Promise<void>;
  /** The server has everything up to this number on disk (N4, H3). */
  confirm(upTo: number): void;
  stateVector(): Uint8Array;
  /** The update that a peer with this state vector lacks, deletions included. */
  diff(stateVector: Uint8Array): Uint8Array;
  /** Takes an update of the server; resolves once it is applied and stored. Rejects if it can't be applied. */
  applyRemote(update: Uint8Array): Promise<void>;
  /**
   * The server refuses the change of this number, and has `serverHas`, all of it: the change is kept apart, and the
   * others go on without it. Rejects where that is impossible; where it resolves, this source is of no further use.
   */
  setAside(number: number, refusal: Refusal, serverHas: Uint8Array): Promise<void>;
  /** It wants to know what had arrived before the document was written anew. */
  readonly asksForEpoch?: boolean;
  /** What had arrived before the document was written anew, told before it comes (P10). */
  hearEpoch?(epoch: Uint8Array): void;
  /** Goes on without damaged changes that a server with this state vector lacks as well. */
  closeGaps(serverHas: Uint8Array): Promise<void>;
  /** Calls when there is a new pending change. Returns what ends it. */
  onPending(listener: () => void): () => void;
}
