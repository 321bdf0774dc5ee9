import { malformed, quoted } from './bytes.js';
import { type ValueLimits, ValueReader } from './values.js';

/** Clocks `from` (included) to `to` (excluded) of one client. */
export interface ClockRange {
  readonly client: number;
  readonly from: number;
  readonly to: number;
}

export interface UpdateScan {
  /** All structs of the update, Skips included: each costs an object when it is applied. */
  readonly structs: number;
  readonly deleteRanges: number;
  /** What the update brings, without its Skips; ascending for each client. */
  readonly ranges: readonly ClockRange[];
  /** Per client that the update refers to or deletes from: the exclusive clock up to which it must be known. */
  readonly needs: ReadonlyMap<number, number>;
  /** The update neither brings a struct nor deletes one. */
  readonly empty: boolean;
}

const KIND_BITS = 0b00011111;
const HAS_PARENT_SUB = 0b00100000;
const HAS_RIGHT_ORIGIN = 0b01000000;
const HAS_ORIGIN = 0b10000000;

const GC = 0;
const SKIP = 10;
const LAST_TYPE_REF = 6;
const XML_ELEMENT = 3;
const XML_HOOK = 5;

/**
 * Number of bytes of the one complete update (encoding V1) at the start of `bytes`; what follows is not read.
 * Knows the format alone, not the rules for what a client may send: a stored update is measured by it too.
 */
export function updateLength(bytes: Uint8Array): number {
  const reader = new ValueReader(bytes, null);
  new Walk(reader).update();
  return reader.pos;
}

/**
 * Checks an update (encoding V1) of a client in one pass, before it may touch a document (S1, S2, S3), and says
 * what it brings and what it builds on.
 *
 * It looks at the update alone. What applying it would cost (splits, merges, deletions) and how deep its types
 * would lie in the live document depends on that document, and is not judged here.
 */
export function scanUpdate(bytes: Uint8Array, limits: ValueLimits): UpdateScan {
  const reader = new ValueReader(bytes, limits);
  const walk = new Walk(reader);
  walk.update();
  reader.end();
  const { structs, deleteRanges, ranges, needs } = walk;
  return { structs, deleteRanges, ranges, needs, empty: ranges.length === 0 && deleteRanges === 0 };
}

/** Something that an update builds on: this clock of this client. */
export interface Dependency {
  readonly client: number;
  readonly clock: number;
}

/** Whether the update builds on something that neither the document (its state vector) nor itself brings. */
export const missingFrom = (scan: UpdateScan, stateOf: (client: number) => number): boolean =>
  firstMissing(scan, stateOf) !== null;

/** The first thing that is missing; `null` when the update can be applied. */
export function firstMissing(scan: UpdateScan, stateOf: (client: number) => number): Dependency | null {
  const known = new Map<number, number>();
  const knownOf = (client: number): number => known.get(client) ?? stateOf(client);
  for (const { client, from, to } of scan.ranges) {
    const state = knownOf(client);
    if (from > state) return { client, clock: from - 1 };
    known.set(client, Math.max(state, to));
  }
  for (const [client, clock] of scan.needs) {
    if (clock > knownOf(client)) return { client, clock: clock - 1 };
  }
  return null;
}

/** One pass over an update; a reader without limits also passes roots and sub-documents of any kind. */
class Walk {
  structs = 0;
  deleteRanges = 0;
  readonly ranges: ClockRange[] = [];
  readonly needs = new Map<number, number>();
  private readonly clients = new Set<number>();
  private readonly reader: ValueReader;

  constructor(reader: ValueReader) {
    this.reader = reader;
  }

  update(): void {
    for (let left = this.reader.count(); left > 0; left--) this.section();
    for (let left = this.reader.count(); left > 0; left--) this.deletions();
  }

  private section(): void {
    const structs = this.reader.count();
    const client = this.reader.uint();
    if (structs === 0) malformed('A client has a section without structs.');
    // Yjs keeps the last section of a client and forgets the others.
    if (this.clients.has(client)) malformed('A client has two sections.');
    this.clients.add(client);
    this.structs += structs;
    let clock = this.reader.uint();
    let from = clock;
    for (let left = structs; left > 0; left--) {
      const info = this.reader.byte();
      const isSkip = info === SKIP;
      if (isSkip) this.addRange(client, from, clock);
      clock = advance(clock, isSkip ? this.reader.uint() : this.struct(info, client, clock));
      if (isSkip) from = clock;
    }
    this.addRange(client, from, clock);
  }

  private addRange(client: number, from: number, to: number): void {
    if (to > from) this.ranges.push({ client, from, to });
  }

  private deletions(): void {
    const client = this.reader.uint();
    const ranges = this.reader.count();
    if (ranges === 0) malformed('A client has a section without deletions.');
    this.deleteRanges += ranges;
    for (let left = ranges; left > 0; left--) {
      const clock = this.reader.uint();
      this.need(client, advance(clock, this.reader.uint()));
    }
  }

  private need(client: number, clock: number): void {
    if (clock > (this.needs.get(client) ?? 0)) this.needs.set(client, clock);
  }

  /** Passes a struct and returns its length in clocks. */
  private struct(info: number, client: number, clock: number): number {
    // Only the exact byte: of a GC or Skip with further bits one reader of Yjs makes an item, the other does not.
    if (info === GC) return this.reader.uint();
    if ((info & HAS_ORIGIN) !== 0) this.reference(client, clock);
    if ((info & HAS_RIGHT_ORIGIN) !== 0) this.reference(client, clock);
    // An item with an origin takes parent and key from it, whatever its own bit for a key says.
    if ((info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) === 0) {
      this.parent(client, clock, (info & HAS_PARENT_SUB) !== 0);
    }
    return this.content(info & KIND_BITS);
  }

  private reference(client: number, clock: number): void {
    const toClient = this.reader.uint();
    const toClock = this.reader.uint();
    if (toClient === client && toClock >= clock) malformed('A struct refers to itself or to a later one.');
    this.need(toClient, advance(toClock, 1));
  }

  private parent(client: number, clock: number, hasKey: boolean): void {
    const isRoot = this.reader.uint();
    if (isRoot > 1) malformed('A struct has an unknown kind of parent.');
    const start = this.reader.pos;
    if (isRoot === 1) this.reader.name('Root type');
    else this.reference(client, clock);
    if (hasKey) this.reader.name('Key');
    else if (isRoot === 1 && this.reader.strict)
      malformed(`Root type ${quoted(this.reader.textAt(start))} is not a map.`);
  }

  private content(kind: number): number {
    switch (kind) {
      case 1:
        return this.reader.uint();
      case 2:
        return this.each(() => this.reader.jsonElement());
      case 3:
        this.reader.skip(this.reader.uint());
        return 1;
      case 4:
        return this.reader.skipText();
      case 5:
        this.reader.json();
        return 1;
      case 6:
        this.reader.key();
        this.reader.json();
        return 1;
      case 7:
        return this.type();
      case 8:
        return this.each(() => this.reader.any());
      case 9:
        return this.subdocument();
      default:
        return malformed(`A struct is of the unknown kind ${kind}.`);
    }
  }

  private type(): number {
    const ref = this.reader.uint();
    if (ref > LAST_TYPE_REF) malformed(`A type is of the unknown kind ${ref}.`);
    if (ref === XML_ELEMENT || ref === XML_HOOK) this.reader.skipText();
    return 1;
  }

  private subdocument(): number {
    if (this.reader.strict) malformed('Sub-documents are not allowed.');
    this.reader.skipText();
    this.reader.any();
    return 1;
  }

  private each(pass: () => void): number {
    const count = this.reader.count();
    for (let left = count; left > 0; left--) pass();
    return count;
  }
}

/** Far beyond any honest client, and far enough below 2^53 that what is written behind it stays exact. */
const MAX_CLOCK = 2 ** 48;

function advance(clock: number, length: number): number {
  if (length === 0) malformed('A struct or deletion has no length.');
  const next = clock + length;
  return next <= MAX_CLOCK ? next : malformed('A clock is too large.');
}
