/** The native messages: their numbers. A client can have this without the checks of a server. */

/** Message types of y-protocols; 100 and 102 to 105 are our own (N4, N9, C10, N10, P10). */
export const SYNC = 0;
export const AWARENESS = 1;
export const AUTH = 2;
export const QUERY_AWARENESS = 3;
export const CHECKPOINT = 100;
export const TIMED = 102;
export const PROOF = 103;
export const COMING = 104;
export const EPOCH = 105;

/** In the server's word that it takes times: a checkpoint may tell what waits, too. */
export const TELLS = 1;

/** Changes in one message with times: each is applied alone. */
export const MAX_TIMED = 200;

/** Kinds of sync messages. */
export const SYNC_STEP_1 = 0;
export const SYNC_STEP_2 = 1;
export const UPDATE = 2;

/** The only kind of auth message. */
export const PERMISSION_DENIED = 0;

export interface AwarenessEntry {
  /** Yjs client id that the state belongs to. */
  readonly id: number;
  readonly clock: number;
  /** JSON text as it came, `null` for a client that left. It parses, nothing else is known of it. */
  readonly state: string;
}

/** A change with the time at which it was made, in ms since 1970 by the device's clock; `null` where that is not known. */
export interface TimedChange {
  readonly madeAt: number | null;
  readonly update: Uint8Array;
}
