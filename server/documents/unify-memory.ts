/** What the union has to remember beside the document, as bytes. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { Decision } from './decisions.js';

/** A map or array that lost its place to one created apart, by the Yjs id of its item. */
export interface KeptType {
  readonly client: number;
  readonly clock: number;
  /** When it lost, in ms since 1970. */
  readonly at: number;
}

/** What has to be remembered with the document, across restarts. */
export interface UnifyMemory {
  readonly kept: readonly KeptType[];
  /** The Yjs client ids that unions of this document were written with. */
  readonly unionClients: readonly number[];
}

export interface ReplicaMemory extends UnifyMemory {
  readonly decisions: readonly Decision[];
}

/** Counts, then varuints: small, and the same bytes for the same memory. Who does not know the last list passes over it. */
export function encodeMemory({ kept, unionClients, decisions }: ReplicaMemory): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, unionClients.length);
    for (const client of unionClients) encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, kept.length);
    for (const { client, clock, at } of kept) {
      for (const number of [client, clock, at]) encoding.writeVarUint(encoder, number);
    }
    if (decisions.length > 0) encoding.writeVarUint(encoder, decisions.length);
    for (const { client, clock, by, madeAt, at } of decisions) {
      const numbers = [client, clock, by.client, by.clock, madeAt === null ? 0 : madeAt + 1, at];
      for (const number of numbers) encoding.writeVarUint(encoder, number);
    }
  });
}

export function decodeMemory(bytes: Uint8Array | null): ReplicaMemory {
  if (bytes === null || bytes.length === 0) return { kept: [], unionClients: [], decisions: [] };
  const decoder = decoding.createDecoder(bytes);
  const list = <T>(read: () => T) => Array.from({ length: decoding.readVarUint(decoder) }, read);
  const number = () => decoding.readVarUint(decoder);
  const unionClients = list(number);
  const id = () => ({ client: number(), clock: number() });
  const time = () => {
    const next = number();
    return next === 0 ? null : next - 1;
  };
  const kept = list(() => ({ ...id(), at: number() }));
  const decisions = decoding.hasContent(decoder)
    ? list(() => ({ ...id(), by: id(), madeAt: time(), at: number() }))
    : [];
  return { unionClients, kept, decisions };
}
