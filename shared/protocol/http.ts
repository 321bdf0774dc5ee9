import { ByteReader } from './bytes.js';
import type { Exchange } from './exchange.js';
import { decodeStateVector } from './yjs.js';

export { type Exchange, encodeExchange } from './exchange.js';

/** Reads a body; the two parts are views of it. The state vector is checked, the update is `scanUpdate`'s work. */
export function decodeExchange(bytes: Uint8Array): Exchange {
  const reader = new ByteReader(bytes);
  const stateVector = reader.block();
  const update = reader.block();
  reader.end();
  if (stateVector.length > 0) decodeStateVector(stateVector);
  return { stateVector, update };
}
