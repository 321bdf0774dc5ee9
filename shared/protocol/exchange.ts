import * as encoding from 'lib0/encoding';

/** Body and answer of `POST /api/yjs/:userId` (H3). */
export interface Exchange {
  /** What the sender has; empty when it wants no diff. (A document without content has one byte, 0.) */
  readonly stateVector: Uint8Array;
  /** What the sender gives; empty when it has nothing to give. Not scanned yet. */
  readonly update: Uint8Array;
}

export function encodeExchange({ stateVector, update }: Exchange): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint8Array(encoder, stateVector);
    encoding.writeVarUint8Array(encoder, update);
  });
}
