/** Finds what stands between the neighbours that a new struct names: what others put there meanwhile. */
import * as Y from 'yjs';
import { ByteReader } from '../../protocol/bytes.js';
import {
  HAS_ORIGIN,
  HAS_PARENT_SUB,
  HAS_RIGHT_ORIGIN,
  NONE,
  placeOf,
  type StructTable,
} from '../../protocol/struct-table.js';
import type { SharedType } from '../union/lost-types.js';
import { holds } from '../union/step.js';
import { structAt } from './check.js';
import { PlaceSet } from './place-set.js';

/** Items of the document that may be looked at for one update; what is more is expensive in any case. */
const MAX_STEPS = 20_000;

export class Neighbours {
  readonly #doc: Y.Doc;
  readonly #table: StructTable;
  #steps = MAX_STEPS;
  #places: PlaceSet | null = null;
  /** The collection that was looked up last. */
  #root: { readonly name: Uint8Array; readonly type: SharedType | undefined } | null = null;

  constructor(doc: Y.Doc, table: StructTable) {
    this.#doc = doc;
    this.#table = table;
  }

  /** Whether another struct of the update stands at its place already. */
  isTaken(bytes: Uint8Array, row: number): boolean {
    const table = this.#table;
    if (table.length < 2) return false;
    this.#places ??= new PlaceSet(table.length);
    const hasOrigin = ((table.info[row] ?? 0) & HAS_ORIGIN) !== 0;
    return hasOrigin
      ? this.#places.hasId(table.firstClient(row), table.firstClock(row))
      : this.#places.hasBytes(bytes, (table.at[row] ?? 0) + 1, table.contentAt[row] ?? 0);
  }

  /** How many items of the document stand between its neighbours: Yjs may compare it with each of them. */
  between(bytes: Uint8Array, row: number): number {
    const table = this.#table;
    const right = table.secondClock(row);
    const rightId = right === NONE ? null : { client: table.secondClient(row), clock: right };
    let walked = 0;
    for (let item = this.#firstBetween(bytes, row); item !== null; item = item.right) {
      if (rightId !== null && holds(item, rightId)) break;
      walked++;
      if (this.#steps-- < 0) return 100 * MAX_STEPS;
    }
    return walked;
  }

  /** The item that stands behind its left neighbour now, or first at its place. */
  #firstBetween(bytes: Uint8Array, row: number): Y.Item | null {
    const table = this.#table;
    const info = table.info[row] ?? 0;
    if ((info & HAS_ORIGIN) === 0) {
      return (info & HAS_RIGHT_ORIGIN) === 0 ? this.#firstAt(bytes, row) : this.#firstBeside(row);
    }
    const [client, clock] = [table.firstClient(row), table.firstClock(row)];
    const left = structAt(this.#doc, client, clock);
    if (!(left instanceof Y.Item) || clock < left.id.clock + left.length - 1) return null;
    const next = left.right;
    // Yjs stops at the first item that was not put behind the same neighbour.
    return next !== null && next.origin?.client === client && next.origin.clock === clock ? next : null;
  }

  /** The first item where its right neighbour stands, unless that is the first one itself. */
  #firstBeside(row: number): Y.Item | null {
    const right = structAt(this.#doc, this.#table.secondClient(row), this.#table.secondClock(row));
    if (!(right instanceof Y.Item) || right.left === null || right.parent === null) return null;
    const parent = right.parent as SharedType;
    return right.parentSub === null ? parent._start : this.#leftmost(parent._map.get(right.parentSub));
  }

  #leftmost(last: Y.Item | undefined): Y.Item | null {
    let item = last ?? null;
    while (item !== null && item.left !== null && this.#steps-- > 0) item = item.left;
    return item;
  }

  #firstAt(bytes: Uint8Array, row: number): Y.Item | null {
    const table = this.#table;
    const type = this.#typeAt(bytes, row);
    if (type === undefined) return null;
    const hasKey = ((table.info[row] ?? 0) & HAS_PARENT_SUB) !== 0;
    if (hasKey && type._map.size === 0) return null;
    const key = hasKey ? placeOf(bytes, table, row).key : null;
    return key === null ? type._start : this.#leftmost(type._map.get(key));
  }

  /** The type that a struct without neighbours stands in, if the document has it. */
  #typeAt(bytes: Uint8Array, row: number): SharedType | undefined {
    const table = this.#table;
    if (table.firstClock(row) !== NONE) {
      const parent = structAt(this.#doc, table.firstClient(row), table.firstClock(row));
      if (!(parent instanceof Y.Item && parent.content instanceof Y.ContentType)) return undefined;
      return parent.content.type;
    }
    const reader = new ByteReader(bytes);
    const start = (table.at[row] ?? 0) + 2;
    reader.pos = start;
    if (this.#root === null || !reader.repeats(this.#root.name)) {
      const name = reader.text();
      this.#root = { name: bytes.subarray(start, reader.pos), type: this.#doc.share.get(name) };
    }
    return this.#root.type;
  }
}
