import { malformed, quoted, tooCostly } from './bytes.js';
import {
  GC,
  HAS_ORIGIN,
  HAS_PARENT_SUB,
  HAS_RIGHT_ORIGIN,
  KIND_BITS,
  type StructTable,
} from './struct-table.js';
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
  /** The collections that structs of it name as their place. */
  readonly roots: ReadonlySet<string>;
  /** Names that no new record, field or collection may have, with what is wrong with each. */
  readonly oddNames: ReadonlyMap<string, string>;
  /** Plain values, those inside objects and arrays included. */
  readonly values: number;
}

export interface ScanLimits extends ValueLimits {
  /** Structs in one update. */
  readonly maxStructs?: number;
}

/** What may be noted of an update while it is scanned. */
export interface ScanNotes {
  /** Filled row by row; cleared at the beginning. */
  readonly table: StructTable;
  /** Told of each deletion. */
  deletion(client: number, clock: number, length: number): void;
}

/** Clients and collections of one update; every later change of the document passes by each of them. */
const MAX_CLIENTS = 20_000;
const MAX_ROOTS = 1_000;

/** Structs that are passed without a rest. */
const STEP = 512;
const SKIP = 10;
const [LAST_TYPE_REF, XML_ELEMENT, XML_HOOK] = [6, 3, 5];

/**
 * Number of bytes of the one complete update (encoding V1) at the start of `bytes`; what follows is not read.
 * Knows the format alone, not the rules for what a client may send: a stored update is measured by it too.
 */
export function updateLength(bytes: Uint8Array): number {
  const reader = new ValueReader(bytes, null);
  new Walk(reader, Number.POSITIVE_INFINITY, null).update();
  return reader.pos;
}

/**
 * Notes what is in an update that the server made itself, which may be of any kind; a step takes less than a ms.
 *
 * @returns whether there are Skips in it
 */
export function* noteSteps(bytes: Uint8Array, notes: ScanNotes): Generator<void, boolean> {
  notes.table.clear();
  const walk = new Walk(new ValueReader(bytes, null), Number.POSITIVE_INFINITY, notes);
  yield* walk.steps();
  return walk.structs > notes.table.length;
}

/**
 * Checks an update (encoding V1) of a client in one pass, before it may touch a document (S1, S2, S3), and says
 * what it brings and what it builds on.
 *
 * It looks at the update alone. What applying it would cost (splits, merges, deletions) and how deep its types
 * would lie in the live document depends on that document, and is judged by what is noted in `notes`.
 *
 * @throws SyncError `MALFORMED_UPDATE`, or `UPDATE_TOO_COSTLY` beyond `maxStructs`
 */
export function scanUpdate(
  bytes: Uint8Array,
  limits: ScanLimits,
  notes: ScanNotes | null = null,
): UpdateScan {
  const reader = new ValueReader(bytes, limits);
  notes?.table.clear();
  const walk = new Walk(reader, limits.maxStructs ?? Number.POSITIVE_INFINITY, notes);
  walk.update();
  reader.end();
  const { structs, deleteRanges, ranges, needs, roots } = walk;
  const { oddNames, values } = reader;
  const empty = ranges.length === 0 && deleteRanges === 0;
  return { structs, deleteRanges, ranges, needs, empty, roots, oddNames, values };
}

/** One pass over an update; a reader without limits also passes roots and sub-documents of any kind. */
class Walk {
  structs = 0;
  deleteRanges = 0;
  readonly ranges: ClockRange[] = [];
  readonly needs = new Map<number, number>();
  readonly roots = new Set<string>();
  private readonly clients = new Set<number>();
  private readonly reader: ValueReader;
  private readonly maxStructs: number;
  private readonly maxClients: number;
  private readonly notes: ScanNotes | null;
  private readonly table: StructTable | null;
  /** Where the name of the last root stands: nearly always the next one is the same. */
  private lastRoot: Uint8Array | null = null;

  constructor(reader: ValueReader, maxStructs: number, notes: ScanNotes | null) {
    this.reader = reader;
    this.maxStructs = maxStructs;
    this.maxClients = reader.strict ? MAX_CLIENTS : Number.POSITIVE_INFINITY;
    this.notes = notes;
    this.table = notes?.table ?? null;
  }

  update(): void {
    const steps = this.steps();
    while (steps.next().done !== true);
  }

  /** The same, with a rest now and then. */
  *steps(): Generator<void, void> {
    for (let left = this.reader.count(); left > 0; left--) yield* this.section();
    for (let left = this.reader.count(); left > 0; left--) {
      this.deletions();
      yield;
    }
  }

  private *section(): Generator<void, void> {
    const structs = this.reader.count();
    const client = this.reader.uint();
    if (structs === 0) malformed('A client has a section without structs.');
    // Yjs keeps the last section of a client and forgets the others.
    if (this.clients.has(client)) malformed('A client has two sections.');
    this.clients.add(client);
    if (this.clients.size > this.maxClients) tooCostly(`changes of more than ${MAX_CLIENTS} clients`);
    this.structs += structs;
    if (this.structs > this.maxStructs) tooCostly(`more than ${this.maxStructs} structs`);
    this.table?.begin(client);
    let clock = this.reader.uint();
    let from = clock;
    for (let left = structs; left > 0; left--) {
      const info = this.reader.byte();
      const isSkip = info === SKIP;
      if (isSkip) this.addRange(client, from, clock);
      clock = advance(clock, isSkip ? this.reader.uint() : this.noted(info, client, clock));
      if (isSkip) from = clock;
      if (left % STEP === 0) yield;
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
      const length = this.reader.uint();
      this.need(client, advance(clock, length));
      this.notes?.deletion(client, clock, length);
    }
  }

  private need(client: number, clock: number): void {
    if (clock > (this.needs.get(client) ?? 0)) this.needs.set(client, clock);
  }

  private noted(info: number, client: number, clock: number): number {
    const { table } = this;
    if (table === null) return this.struct(info, client, clock);
    table.add(info, this.reader.pos - 1, clock);
    const length = this.struct(info, client, clock);
    table.end(length, this.reader.pos);
    return length;
  }

  /** Passes a struct and returns its length in clocks. */
  private struct(info: number, client: number, clock: number): number {
    // Only the exact byte: of a GC or Skip with further bits one reader of Yjs makes an item, the other does not.
    if (info === GC) return this.reader.uint();
    if ((info & HAS_ORIGIN) !== 0) this.reference(client, clock, 'first');
    if ((info & HAS_RIGHT_ORIGIN) !== 0) this.reference(client, clock, 'second');
    // An item with an origin takes parent and key from it, whatever its own bit for a key says.
    if ((info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) === 0) {
      this.parent(client, clock, (info & HAS_PARENT_SUB) !== 0);
    }
    this.table?.contentBegins(this.reader.pos);
    return this.content(info & KIND_BITS);
  }

  private reference(client: number, clock: number, which: 'first' | 'second'): void {
    const toClient = this.reader.uint();
    const toClock = this.reader.uint();
    if (toClient === client && toClock >= clock) malformed('A struct refers to itself or to a later one.');
    this.need(toClient, advance(toClock, 1));
    this.table?.refer(which, toClient, toClock);
  }

  private parent(client: number, clock: number, hasKey: boolean): void {
    const isRoot = this.reader.uint();
    if (isRoot > 1) malformed('A struct has an unknown kind of parent.');
    const start = this.reader.pos;
    if (isRoot === 1) this.root(start);
    else this.reference(client, clock, 'first');
    if (hasKey) this.reader.name('Key');
    else if (isRoot === 1 && this.reader.strict)
      malformed(`Root type ${quoted(this.reader.textAt(start))} is not a map.`);
  }

  private root(start: number): void {
    const { reader } = this;
    const last = this.lastRoot;
    if (last !== null && reader.repeats(last)) return;
    reader.name('Root type');
    if (!reader.strict) return;
    this.lastRoot = reader.bytes.subarray(start, reader.pos);
    this.roots.add(reader.textAt(start));
    if (this.roots.size > MAX_ROOTS) tooCostly(`more than ${MAX_ROOTS} collections`);
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
export const MAX_CLOCK = 2 ** 48;

function advance(clock: number, length: number): number {
  if (length === 0) malformed('A struct or deletion has no length.');
  const next = clock + length;
  return next <= MAX_CLOCK ? next : malformed('A clock is too large.');
}
