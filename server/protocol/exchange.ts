import { type Exchange, MAX_TIMED_GIVEN } from '../../shared/exchange.js';
import { TIMED } from '../../shared/yjs-messages.js';
import { ByteReader } from './bytes.js';
import { decodeStateVector, readTimed } from './yjs.js';

export { type Exchange, encodeExchange } from '../../shared/exchange.js';

/** Reads a body; its parts are views of it. The state vector is checked, the update is `scanUpdate`'s work. */
export function decodeExchange(bytes: Uint8Array): Exchange {
  const reader = new ByteReader(bytes);
  const stateVector = reader.block();
  const update = reader.block();
  const hasTimes = bytes[reader.pos] === TIMED;
  if (hasTimes) reader.pos++;
  const timed = hasTimes ? readTimed(reader, MAX_TIMED_GIVEN) : undefined;
  reader.end();
  if (stateVector.length > 0) decodeStateVector(stateVector);
  return { stateVector, update, ...(timed !== undefined && { timed }) };
}
