/**
 * Judges an update by the document that it will join, after the scan and before it is applied: nothing in it waits
 * for itself, nothing lies too deep, ids in use are not used again, and what applying it would cost.
 */
import * as Y from 'yjs';
import { malformed } from '../../protocol/bytes.js';
import {
  GC,
  HAS_ORIGIN,
  HAS_RIGHT_ORIGIN,
  KIND_BITS,
  NONE,
  placeOf,
  type Section,
  StructTable,
} from '../../protocol/struct-table.js';
import type { SharedType } from '../union/lost-types.js';
import { inCausalOrder } from './causal-order.js';

const KIND_DELETED = 1;
const KIND_TYPE = 7;

/** A struct of the document; Yjs says that these are Items only. */
export type Struct = Y.Item | Y.GC;

export function structAt(doc: Y.Doc, client: number, clock: number): Struct | null {
  const structs = doc.store.clients.get(client);
  if (structs === undefined || Y.getState(doc.store, client) <= clock) return null;
  return structs[Y.findIndexSS(structs, clock)] ?? null;
}

/** What may be asked about one row of the table. */
export interface Row {
  readonly row: number;
  readonly client: number;
  /** The clock up to which the document has this client. */
  readonly state: number;
}

/** Memory that one check after the other uses, of whichever document: each is done in one go. */
export class CheckScratch {
  readonly table = new StructTable();
  #depths = new Uint16Array(1_024);

  /** How deep each row of the table lies. */
  depths(): Uint16Array {
    const { length } = this.table;
    if (this.#depths.length < length || this.#depths.length > 65_536)
      this.#depths = new Uint16Array(length + 1_024);
    return this.#depths;
  }
}

export class UpdateCheck {
  readonly #doc: Y.Doc;
  readonly #table: StructTable;
  readonly #bytes: Uint8Array;
  readonly #depths: Uint16Array;
  readonly #maxDepth: number;
  #sections: ReadonlyMap<number, Section> | null = null;

  constructor(doc: Y.Doc, scratch: CheckScratch, bytes: Uint8Array, maxDepth: number) {
    this.#doc = doc;
    this.#table = scratch.table;
    this.#depths = scratch.depths();
    this.#bytes = bytes;
    this.#maxDepth = maxDepth;
  }

  /** Yjs looks up the neighbours of what it has already, too, and cuts a text there, which no update tells. */
  static newPartOf(doc: Y.Doc, update: Uint8Array): Uint8Array {
    return Y.diffUpdate(update, Y.encodeStateVector(doc));
  }

  /** @throws SyncError `MALFORMED_UPDATE` */
  run(each: (row: Row) => void): void {
    const stateOf = (client: number) => Y.getState(this.#doc.store, client);
    let state = 0;
    let last = NONE;
    inCausalOrder(this.#table, stateOf, (row, client) => {
      if (client !== last) state = stateOf(client);
      last = client;
      this.#checkIds(row, client, state);
      if (this.#table.clock(row) + this.#table.lengthOf(row) <= state) return;
      this.#checkDepth(row);
      each({ row, client, state });
    });
  }

  #checkDepth(row: number): void {
    const depth = this.#depthOf(row);
    this.#depths[row] = depth;
    if (depth > this.#maxDepth && ((this.#table.info[row] ?? 0) & KIND_BITS) === KIND_TYPE) {
      malformed(`The update nests deeper than ${this.#maxDepth} levels.`);
    }
  }

  /** 1 for what stands in a collection itself. */
  #depthOf(row: number): number {
    const table = this.#table;
    const info = table.info[row] ?? 0;
    if (table.firstClock(row) !== NONE) {
      const depth = this.#depthAt(table.firstClient(row), table.firstClock(row));
      if ((info & HAS_ORIGIN) === 0) return depth + 1;
      this.#checkNeighbours(row, depth);
      return depth;
    }
    if (table.secondClock(row) === NONE) return 1;
    return this.#depthAt(table.secondClient(row), table.secondClock(row));
  }

  /** Yjs would join the lists of two types, and look different after a reload. */
  #checkNeighbours(row: number, depth: number): void {
    const table = this.#table;
    const [client, clock] = [table.secondClient(row), table.secondClock(row)];
    if (clock === NONE || depth === 0) return;
    const rightDepth = this.#depthAt(client, clock);
    const left = structAt(this.#doc, table.firstClient(row), table.firstClock(row));
    const right = structAt(this.#doc, client, clock);
    const areKnown = left instanceof Y.Item && right instanceof Y.Item && left.parent && right.parent;
    const areApart = areKnown && (left.parent !== right.parent || left.parentSub !== right.parentSub);
    if (areApart || (rightDepth !== 0 && rightDepth !== depth)) {
      malformed('A struct has neighbours in different places.');
    }
  }

  #depthAt(client: number, clock: number): number {
    const struct = structAt(this.#doc, client, clock);
    if (struct !== null) return struct instanceof Y.Item ? depthOf(struct) : 0;
    this.#sections ??= new Map(this.#table.sections.map((each) => [each.client, each]));
    const section = this.#sections.get(client);
    return section === undefined ? 0 : (this.#depths[this.#table.rowAt(section, clock)] ?? 0);
  }

  /**
   * An id that the document has stands for one change only. What was collected can't be compared, and values are
   * not: two devices with one id that did the same to different values are not told apart.
   */
  #checkIds(row: number, client: number, state: number): void {
    const clock = this.#table.clock(row);
    if (clock >= state || this.#table.info[row] === GC) return;
    const known = structAt(this.#doc, client, clock);
    const end = clock + this.#table.lengthOf(row);
    const differs = known instanceof Y.Item && this.#differs(row, known);
    if (differs || (end > state && !this.#canGrow(row, structAt(this.#doc, client, state - 1)))) {
      malformed('The update has other changes under ids that are in use.');
    }
  }

  /**
   * Whether the last of what is known of a struct is a part of it, so that the rest can be put behind it. Yjs
   * throws where that was collected, and puts the rest at two places where it is something else.
   */
  #canGrow(row: number, last: Struct | null): boolean {
    if (!(last instanceof Y.Item)) return false;
    const { client, clock } = last.id;
    if (clock <= this.#table.clock(row)) return true;
    return (
      last.origin !== null && isId(last.origin, client, clock - 1) && this.#hasRight(row, last.rightOrigin)
    );
  }

  #hasRight(row: number, right: Y.ID | null): boolean {
    const hasRight = ((this.#table.info[row] ?? 0) & HAS_RIGHT_ORIGIN) !== 0;
    const [client, clock] = [this.#table.secondClient(row), this.#table.secondClock(row)];
    return hasRight ? isId(right, client, clock) : right === null;
  }

  #differs(row: number, known: Y.Item): boolean {
    const table = this.#table;
    const info = table.info[row] ?? 0;
    const clock = table.clock(row);
    const { client } = known.id;
    const origin = clock === known.id.clock ? known.origin : Y.createID(client, clock - 1);
    const hasOrigin = (info & HAS_ORIGIN) !== 0;
    if (hasOrigin ? !isId(origin, table.firstClient(row), table.firstClock(row)) : origin !== null)
      return true;
    if (!this.#hasRight(row, known.rightOrigin)) return true;
    if (cutsPair(known, clock)) return true;
    const kind = info & KIND_BITS;
    if (!known.deleted && kind !== KIND_DELETED && known.content.getRef() !== kind) return true;
    return (
      (info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) === 0 &&
      known.parent !== null &&
      placeOf(this.#bytes, table, row).key !== known.parentSub
    );
  }
}

const isId = (id: Y.ID | null, client: number, clock: number): boolean =>
  id !== null && id.client === client && id.clock === clock;

/** Whether a struct that begins here would cut a character: Yjs then replaces both halves, in this document alone. */
function cutsPair({ id, content }: Y.Item, clock: number): boolean {
  if (!(content instanceof Y.ContentString) || clock <= id.clock) return false;
  const before = content.str.charCodeAt(clock - id.clock - 1);
  return before >= 0xd800 && before <= 0xdbff;
}

export function depthOf(item: Y.Item): number {
  let depth = 0;
  // Its parent is null where Yjs is about to collect it.
  for (let at: Y.Item | null = item; at !== null; at = (at.parent as SharedType | null)?._item ?? null)
    depth++;
  return depth;
}
