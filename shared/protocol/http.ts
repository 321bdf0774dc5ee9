import * as encoding from 'lib0/encoding';
import { ByteReader } from './bytes.js';
import { decodeStateVector } from './yjs.js';

/** Body and answer of `POST /api/yjs/:userId` (H3). */
export interface Exchange {
  /** What the sender has; empty when it wants no diff. (A document without content has one byte, 0.) */
  readonly stateVector: Uint8Array;
  /** What the sender gives; empty when it has nothing to give. Not scanned yet. */
  readonly update: Uint8Array;
}

/** Reads a body; the two parts are views of it. The state vector is checked, the update is `scanUpdate`'s work. */
export function decodeExchange(bytes: Uint8Array): Exchange {
  const reader = new ByteReader(bytes);
  const stateVector = reader.block();
  const update = reader.block();
  reader.end();
  if (stateVector.length > 0) decodeStateVector(stateVector);
  return { stateVector, update };
}

export function encodeExchange({ stateVector, update }: Exchange): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint8Array(encoder, stateVector);
    encoding.writeVarUint8Array(encoder, update);
  });
}
