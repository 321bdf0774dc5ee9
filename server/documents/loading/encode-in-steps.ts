/**
 * Encodes what a client lacks of a large document in short steps, as `Y.encodeStateAsUpdate` does at once. The
 * document may change between two of them: what was there at the first is in the answer, and more may be. What was
 * deleted meanwhile is not: where it was encoded before, it is encoded once more.
 */
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import type { ClockRange } from '../../protocol/scan.js';
import type { Struct } from '../intake/check.js';

/** Structs of a step; it takes less than a ms, and several times that before the code is compiled. */
const STEP = 512;
/** Structs that are encoded once more where one of them is deleted. */
const PART = 256;
/** Fewer are encoded at once. */
const MANY = 8_192;
/** What is deleted while this was done so often is encoded once more without a rest, or it would go on for ever. */
const ROUNDS = 8;

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
  const deleted: Deleted[] = [];
  const note = ({ deleteSet: { clients } }: Y.Transaction): void => {
    if (clients.size > 0) deleted.push(clients);
  };
  // Of a client that has every struct, Yjs writes what was deleted alone, behind a zero.
  const deletions = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(doc)).subarray(1);
  const ranges = sectionsOf(doc, has).sort((a, b) => b.client - a.client);
  doc.on('afterTransaction', note);
  try {
    yield;
    const steps = { step, left: step };
    const sections: Section[] = [];
    for (const range of ranges) sections.push({ ...range, parts: yield* encodeRange(doc, range, steps) });
    yield* withoutDeleted(doc, sections, deleted, steps);
    return assembled(sections, deletions);
  } finally {
    doc.off('afterTransaction', note);
  }
}

/** Encodes once more what is left of parts of which something was deleted. */
function* withoutDeleted(
  doc: Y.Doc,
  sections: readonly Section[],
  deleted: Deleted[],
  steps: Steps,
): Generator<void, void> {
  for (let round = 1; deleted.length > 0; round++) {
    if (round > ROUNDS) steps.left = Number.POSITIVE_INFINITY;
    const since = deleted.splice(0);
    for (const section of sections) {
      const outdated = outdatedOf(section, since);
      if (outdated.size > 0) section.parts = yield* renewed(doc, section, outdated, steps);
    }
  }
}

function assembled(sections: readonly Section[], deletions: Uint8Array): Encoded {
  const update = encoding.createEncoder();
  const clocks = new Map<number, number>();
  encoding.writeVarUint(update, sections.length);
  for (const { client, from, parts } of sections) {
    clocks.set(client, parts.at(-1)?.to ?? from);
    const count = parts.reduce((sum, part) => sum + part.count, 0);
    for (const number of [count, client, from]) encoding.writeVarUint(update, number);
    for (const { bytes } of parts) encoding.writeUint8Array(update, bytes);
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

/** What a transaction has deleted, by the clients that wrote it. */
type Deleted = ReadonlyMap<number, readonly { readonly clock: number; readonly len: number }[]>;

/** Structs of a step, and what is left of the one under way: many clients may have few each. */
interface Steps {
  readonly step: number;
  left: number;
}

/** Some structs of a client, one behind the other, from one clock up to another. */
interface Part {
  readonly from: number;
  readonly to: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

interface Section extends ClockRange {
  parts: Part[];
}

/** At least up to the end of the range: structs may have been joined since it was taken. */
function* encodeRange(doc: Y.Doc, { client, from, to }: ClockRange, steps: Steps): Generator<void, Part[]> {
  const parts: Part[] = [];
  for (let clock = from; clock < to; ) {
    if (steps.left === 0) {
      steps.left = steps.step;
      yield;
    }
    const part = encodePart(structsOf(doc, client), clock, to, Math.min(PART, steps.left));
    steps.left -= part.count;
    clock = part.to;
    parts.push(part);
  }
  return parts;
}

/** @param structs as they are now, since they are joined, cut and collected between two steps */
function encodePart(structs: readonly Struct[], from: number, to: number, most: number): Part {
  const encoder = new Y.UpdateEncoderV1();
  const first = Y.findIndexSS(structs as Struct[], from);
  const end = Math.min(structs.length, first + most);
  let [index, clock] = [first, from];
  for (; index < end && clock < to; index++) {
    const struct = structs[index] as Struct;
    struct.write(encoder, clock - struct.id.clock);
    clock = struct.id.clock + struct.length;
  }
  return { from, to: clock, count: index - first, bytes: encoder.toUint8Array() };
}

/** The parts in which something of this is. */
function outdatedOf({ client, parts }: Section, deleted: readonly Deleted[]): Set<Part> {
  const outdated = new Set<Part>();
  for (const clients of deleted) {
    for (const { clock, len } of clients.get(client) ?? []) {
      let [low, high] = [0, parts.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((parts[middle] as Part).to <= clock) low = middle + 1;
        else high = middle;
      }
      for (let part = parts[low]; part !== undefined && part.from < clock + len; part = parts[++low])
        outdated.add(part);
    }
  }
  return outdated;
}

/** The parts of a section, these encoded once more, as is what was joined with something of them since. */
function* renewed(
  doc: Y.Doc,
  { client, from, parts }: Section,
  outdated: ReadonlySet<Part>,
  steps: Steps,
): Generator<void, Part[]> {
  const all: Part[] = [];
  let clock = from;
  for (const part of parts) {
    if (part.from === clock && !outdated.has(part)) all.push(part);
    else
      for (const each of yield* encodeRange(doc, { client, from: clock, to: part.to }, steps)) all.push(each);
    clock = all.at(-1)?.to ?? clock;
  }
  return all;
}
