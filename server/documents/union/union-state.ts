/** What the union has to remember beside the document, as bytes. */
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import type { Decision } from '../later-wins/decisions.js';

/** A map or array that lost its place to one created apart, by the Yjs id of its item. */
export interface KeptType {
  readonly client: number;
  readonly clock: number;
  /** When it lost, in ms since 1970. */
  readonly at: number;
}

/** What has to be remembered with the document, across restarts. */
export interface UnionState {
  readonly kept: readonly KeptType[];
  /** The Yjs client ids that unions of this document were written with. */
  readonly unionClients: readonly number[];
  /** Elements that were moved, by what was deleted then. */
  readonly moved: readonly KeptType[];
}

export interface ReplicaMemory extends UnionState {
  readonly decisions: readonly Decision[];
}

/**
 * Counts, then varuints: small, and the same bytes for the same memory. Later lists are left out where they are
 * empty.
 */
export function encodeMemory({ kept, unionClients, moved, decisions }: ReplicaMemory): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, unionClients.length);
    for (const client of unionClients) encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, kept.length);
    for (const { client, clock, at } of kept) {
      for (const number of [client, clock, at]) encoding.writeVarUint(encoder, number);
    }
    if (moved.length + decisions.length > 0) writeMoved(encoder, moved);
    if (decisions.length > 0) writeDecisions(encoder, decisions);
  });
}

/** A list that is sorted anew moves many elements of one author at once: client and time once, then clocks. */
function writeMoved(encoder: encoding.Encoder, moved: readonly KeptType[]): void {
  const runs: { client: number; at: number; clocks: number[] }[] = [];
  for (const { client, clock, at } of moved) {
    const last = runs.at(-1);
    if (last?.client === client && last.at === at) last.clocks.push(clock);
    else runs.push({ client, at, clocks: [clock] });
  }
  encoding.writeVarUint(encoder, runs.length);
  for (const { client, at, clocks } of runs) {
    for (const number of [client, at, clocks.length]) encoding.writeVarUint(encoder, number);
    let before = 0;
    for (const clock of clocks) {
      encoding.writeVarInt(encoder, clock - before);
      before = clock;
    }
  }
}

function readMoved(decoder: decoding.Decoder): KeptType[] {
  const moved: KeptType[] = [];
  for (let runs = decoding.readVarUint(decoder); runs > 0; runs--) {
    const [client, at] = [decoding.readVarUint(decoder), decoding.readVarUint(decoder)];
    let clock = 0;
    for (let left = decoding.readVarUint(decoder); left > 0; left--) {
      clock += decoding.readVarInt(decoder);
      moved.push({ client, clock, at });
    }
  }
  return moved;
}

function writeDecisions(encoder: encoding.Encoder, decisions: readonly Decision[]): void {
  encoding.writeVarUint(encoder, decisions.length);
  for (const { client, clock, by, madeAt, at } of decisions) {
    const numbers = [client, clock, by.client, by.clock, madeAt === null ? 0 : madeAt + 1, at];
    for (const number of numbers) encoding.writeVarUint(encoder, number);
  }
}

function readDecisions(decoder: decoding.Decoder): Decision[] {
  const number = () => decoding.readVarUint(decoder);
  const id = () => ({ client: number(), clock: number() });
  const time = () => {
    const next = number();
    return next === 0 ? null : next - 1;
  };
  return Array.from({ length: number() }, () => ({ ...id(), by: id(), madeAt: time(), at: number() }));
}

/** That of a document in which nothing has happened yet. */
export const NO_MEMORY: Uint8Array = encodeMemory({ kept: [], unionClients: [], moved: [], decisions: [] });

export function decodeMemory(bytes: Uint8Array | null): ReplicaMemory {
  if (bytes === null || bytes.length === 0) return { kept: [], unionClients: [], moved: [], decisions: [] };
  const decoder = decoding.createDecoder(bytes);
  const list = <T>(read: () => T) => Array.from({ length: decoding.readVarUint(decoder) }, read);
  const number = () => decoding.readVarUint(decoder);
  const unionClients = list(number);
  const kept = list(() => ({ client: number(), clock: number(), at: number() }));
  // Memories of before there was more end here.
  const moved = decoding.hasContent(decoder) ? readMoved(decoder) : [];
  return { unionClients, kept, moved, decisions: decoding.hasContent(decoder) ? readDecisions(decoder) : [] };
}
