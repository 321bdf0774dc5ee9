/** The native messages: their numbers, and how they are written. A client can have this without the checks of a server. */
import * as encoding from 'lib0/encoding';

/** Message types of y-protocols; 100 and 102 to 104 are our own (N4, N9, C10, N10). */
export const SYNC = 0;
export const AWARENESS = 1;
export const AUTH = 2;
export const QUERY_AWARENESS = 3;
export const CHECKPOINT = 100;
export const TIMED = 102;
export const PROOF = 103;
export const COMING = 104;

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

/** Encoders of the messages that a client sends, and a server as well. */
export const messages = {
  syncStep1: (stateVector: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_1, stateVector),
  syncStep2: (update: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_2, update),
  update: (update: Uint8Array): Uint8Array => syncMessage(UPDATE, update),
  awareness: (entries: readonly AwarenessEntry[]): Uint8Array => awarenessMessage(entries),
  checkpoint: (n: number): Uint8Array => numbers(CHECKPOINT, n),
  /** The server that the client asked for, and no other, says this again (C10). */
  proof: (challenge: string): Uint8Array =>
    encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, PROOF);
      encoding.writeVarString(encoder, challenge);
    }),
  /** Changes, and the time of sending by the same clock. A time is one more than it is, 0 says that it is not known. */
  timed: (sentAt: number, changes: readonly TimedChange[]): Uint8Array =>
    encoding.encode((encoder) => {
      encoding.writeVarUint(encoder, TIMED);
      encoding.writeVarUint(encoder, whole(sentAt));
      for (const { madeAt, update } of changes) {
        encoding.writeVarUint(encoder, madeAt === null ? 0 : whole(madeAt) + 1);
        encoding.writeVarUint8Array(encoder, update);
      }
    }),
} as const;

/** These numbers, one after the other. */
export const numbers = (...all: readonly number[]): Uint8Array =>
  encoding.encode((encoder) => {
    for (const number of all) encoding.writeVarUint(encoder, number);
  });

/** Whatever a clock says, it can be written. */
const whole = (time: number): number => Math.max(0, Math.min(Math.floor(time) || 0, 2 ** 50));

function syncMessage(step: number, body: Uint8Array): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, step);
    encoding.writeVarUint8Array(encoder, body);
  });
}

function awarenessMessage(entries: readonly AwarenessEntry[]): Uint8Array {
  const body = encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, entries.length);
    for (const { id, clock, state } of entries) {
      encoding.writeVarUint(encoder, id);
      encoding.writeVarUint(encoder, clock);
      encoding.writeVarString(encoder, state);
    }
  });
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, AWARENESS);
    encoding.writeVarUint8Array(encoder, body);
  });
}
