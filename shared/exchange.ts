import * as encoding from 'lib0/encoding';
import * as messages from './message-encoders.js';
import type { TimedChange } from './yjs-messages.js';

/** Changes with times in one body: each is applied alone, and made durable with the others. */
export const MAX_TIMED_GIVEN = 1_000;

/** Body and answer of `POST /api/yjs/:userId` (H3). */
export interface Exchange {
  /** What the sender has; empty when it wants no diff. (A document without content has one byte, 0.) */
  readonly stateVector: Uint8Array;
  /** What the sender gives; empty when it has nothing to give. Not scanned yet. */
  readonly update: Uint8Array;
  /** Changes that the sender gives with their times, before the update. A server from before refuses such a body. */
  readonly timed?: { readonly sentAt: number; readonly changes: readonly TimedChange[] } | undefined;
  /** Of an answer to who asked for it: what had arrived before the document was written anew (P10). */
  readonly epoch?: Uint8Array | undefined;
}

export function encodeExchange({ stateVector, update, timed, epoch }: Exchange): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint8Array(encoder, stateVector);
    encoding.writeVarUint8Array(encoder, update);
    if (timed !== undefined) encoding.writeUint8Array(encoder, messages.timed(timed.sentAt, timed.changes));
    if (epoch !== undefined) encoding.writeVarUint8Array(encoder, epoch);
  });
}
