/**
 * Encodes what a client lacks of a large document in short steps, as `Y.encodeStateAsUpdate` does at once. The
 * document may change between two of them: what was there at the first is in the answer, and more may be.
 */
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import type { ClockRange } from '../../protocol/scan.js';
import type { Struct } from '../intake/check.js';

/** Structs of a step; it takes some ms, and several times that before the code is compiled. */
const STEP = 4_096;
/** Fewer are encoded at once. */
const MANY = 8_192;

type StateVector = ReadonlyMap<number, number>;

/** Whether a client with this state vector lacks so much that encoding it would keep others waiting. */
export function lacksMuch(doc: Y.Doc, has: StateVector): boolean {
  let many = 0;
  for (const { client, from } of sectionsOf(doc, has)) {
    const structs = structsOf(doc, client);
    many += structs.length - Y.findIndexSS(structs, from);
  }
  return many > MANY;
}

export interface Encoded {
  readonly update: Uint8Array;
  /** Up to which clock each client's structs are in it: past that of the first step where structs were joined since. */
  readonly clocks: StateVector;
}

/** @param step structs of a step, at most */
export function* encodeInSteps(doc: Y.Doc, has: StateVector, step = STEP): Generator<void, Encoded> {
  const sections = sectionsOf(doc, has).sort((a, b) => b.client - a.client);
  const update = encoding.createEncoder();
  const clocks = new Map<number, number>();
  // Of a client that has every struct, Yjs writes what was deleted alone, behind a zero.
  const deletions = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc)).subarray(1);
  yield;
  encoding.writeVarUint(update, sections.length);
  const budget = { step, left: step };
  for (const section of sections) {
    const { count, clock, parts } = yield* encodeSection(doc, section, budget);
    clocks.set(section.client, clock);
    for (const number of [count, section.client, section.from]) encoding.writeVarUint(update, number);
    for (const part of parts) encoding.writeUint8Array(update, part);
  }
  encoding.writeUint8Array(update, deletions);
  return { update: encoding.toUint8Array(update), clocks };
}

const structsOf = (doc: Y.Doc, client: number): Struct[] => (doc.store.clients.get(client) ?? []) as Struct[];

function sectionsOf(doc: Y.Doc, has: StateVector): ClockRange[] {
  const sections: ClockRange[] = [];
  for (const [client, to] of Y.decodeStateVector(Y.encodeStateVector(doc))) {
    const from = has.get(client) ?? 0;
    if (to > from) sections.push({ client, from, to });
  }
  return sections;
}

interface Section {
  readonly count: number;
  readonly clock: number;
  readonly parts: readonly Uint8Array[];
}

/**
 * Up to the clock that the client had at the first step.
 *
 * @param budget structs of a step, and what is left of the one under way: many clients may have few each
 */
function* encodeSection(
  doc: Y.Doc,
  { client, from, to }: ClockRange,
  budget: { readonly step: number; left: number },
): Generator<void, Section> {
  const parts: Uint8Array[] = [];
  let [clock, count] = [from, 0];
  while (clock < to) {
    if (budget.left === 0) {
      budget.left = budget.step;
      yield;
    }
    const encoder = new Y.UpdateEncoderV1();
    // Looked up in each step, since structs are joined, cut and collected meanwhile.
    const structs = structsOf(doc, client);
    const first = Y.findIndexSS(structs, clock);
    const end = Math.min(structs.length, first + budget.left);
    let index = first;
    for (; index < end && clock < to; index++) {
      const struct = structs[index] as Struct;
      struct.write(encoder, clock - struct.id.clock);
      clock = struct.id.clock + struct.length;
    }
    budget.left -= index - first;
    count += index - first;
    parts.push(encoder.toUint8Array());
  }
  return { count, clock, parts };
}
