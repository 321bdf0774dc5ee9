/** The native messages that a client sends, and a server as well, written; `import * as messages`. */
import * as encoding from 'lib0/encoding';
import {
  AWARENESS,
  type AwarenessEntry,
  CHECKPOINT,
  PROOF,
  SYNC,
  SYNC_STEP_1,
  SYNC_STEP_2,
  TIMED,
  type TimedChange,
  UPDATE,
} from './yjs-messages.js';

export const syncStep1 = (stateVector: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_1, stateVector);

export const syncStep2 = (body: Uint8Array): Uint8Array => syncMessage(SYNC_STEP_2, body);

export const update = (body: Uint8Array): Uint8Array => syncMessage(UPDATE, body);

export function awareness(entries: readonly AwarenessEntry[]): Uint8Array {
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

/** @param waiting changes that are not confirmed now, and when it is answered, and the age of the oldest in ms */
export const checkpoint = (n: number, ...waiting: readonly number[]): Uint8Array =>
  numbers(CHECKPOINT, n, ...waiting);

/** The server that the client asked for, and no other, says this again (C10). */
export const proof = (challenge: string): Uint8Array =>
  encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, PROOF);
    encoding.writeVarString(encoder, challenge);
  });

/** Changes, and the time of sending by the same clock. A time is one more than it is, 0 says that it is not known. */
export const timed = (sentAt: number, changes: readonly TimedChange[]): Uint8Array =>
  encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, TIMED);
    encoding.writeVarUint(encoder, whole(sentAt));
    for (const { madeAt, update } of changes) {
      encoding.writeVarUint(encoder, madeAt === null ? 0 : whole(madeAt) + 1);
      encoding.writeVarUint8Array(encoder, update);
    }
  });

/** These numbers, one after the other. */
export const numbers = (...all: readonly number[]): Uint8Array =>
  encoding.encode((encoder) => {
    for (const number of all) encoding.writeVarUint(encoder, number);
  });

/** Whatever a clock says, it can be written. */
const whole = (time: number): number => Math.max(0, Math.min(Math.floor(time) || 0, 2 ** 50));

const syncMessage = (step: number, body: Uint8Array): Uint8Array =>
  encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, step);
    encoding.writeVarUint8Array(encoder, body);
  });
