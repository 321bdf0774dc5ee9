/** What the union has to remember beside the document, as bytes. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { UnifyMemory } from './unify.js';

/** Counts, then pairs and triples of varuints: small, and the same bytes for the same memory. */
export function encodeMemory({ kept, unionClients }: UnifyMemory): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, unionClients.length);
    for (const client of unionClients) encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, kept.length);
    for (const { client, clock, at } of kept) {
      for (const number of [client, clock, at]) encoding.writeVarUint(encoder, number);
    }
  });
}

export function decodeMemory(bytes: Uint8Array | null): UnifyMemory {
  if (bytes === null || bytes.length === 0) return { kept: [], unionClients: [] };
  const decoder = decoding.createDecoder(bytes);
  const list = <T>(read: () => T) => Array.from({ length: decoding.readVarUint(decoder) }, read);
  const number = () => decoding.readVarUint(decoder);
  const unionClients = list(number);
  return { unionClients, kept: list(() => ({ client: number(), clock: number(), at: number() })) };
}
