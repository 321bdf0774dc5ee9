/** The messages of y-websocket that a benchmark sends itself. */
import * as encoding from 'lib0/encoding';

export const SYNC = 0;
export const SYNC_STEP_1 = 0;
export const SYNC_STEP_2 = 1;
export const UPDATE = 2;
/** By which Hocuspocus confirms an update. */
export const SYNC_STATUS = 8;
/** Comes back once everything before it is durable. */
export const CHECKPOINT = Uint8Array.of(100, 1);

export function syncFrame(step: number, body: Uint8Array): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, SYNC);
    encoding.writeVarUint(encoder, step);
    encoding.writeVarUint8Array(encoder, body);
  });
}

export const updateFrame = (update: Uint8Array): Uint8Array => syncFrame(UPDATE, update);
