/** Finds, before an update is applied, whether something of it may meet a write that its author had not seen. */
import * as Y from 'yjs';
import { ByteReader } from '../../protocol/bytes.js';
import type { ScanNotes } from '../../protocol/scan.js';
import {
  GC,
  HAS_ORIGIN,
  HAS_PARENT_SUB,
  HAS_RIGHT_ORIGIN,
  NONE,
  placeOf,
  type StructTable,
} from '../../protocol/struct-table.js';
import { type Row, structAt } from '../intake/check.js';
import type { UpdateCost } from '../intake/cost.js';
import { typeOf } from '../union/lost-types.js';

/** May find too much, which costs a look into the history, and never too little. */
export class Contests implements ScanNotes {
  readonly table: StructTable;
  readonly #doc: Y.Doc;
  /** Is told the same. */
  readonly #cost: UpdateCost;
  found = false;

  constructor(doc: Y.Doc, table: StructTable, cost: UpdateCost) {
    this.#doc = doc;
    this.table = table;
    this.#cost = cost;
  }

  /** A deletion: of what another client has overwritten or deleted already. */
  deletion(client: number, clock: number, length: number): void {
    this.#cost.deletion(client, clock, length);
    if (this.found) return;
    const structs = this.#doc.store.clients.get(client);
    const end = Math.min(clock + length, Y.getState(this.#doc.store, client));
    if (structs === undefined || clock >= end) return;
    for (let index = Y.findIndexSS(structs, clock); index < structs.length; index++) {
      const struct = structs[index];
      if (struct === undefined || struct.id.clock >= end) return;
      if (struct instanceof Y.Item && struct.deleted && struct.parentSub !== null) {
        this.found = true;
        return;
      }
    }
  }

  /** A struct that is new to the document. */
  add(bytes: Uint8Array, place: Row): void {
    this.#cost.add(bytes, place);
    const { row } = place;
    const info = this.table.info[row] ?? 0;
    if (this.found || info === GC) return;
    if ((info & HAS_ORIGIN) !== 0) this.found = this.#isBeside(row);
    else if ((info & HAS_RIGHT_ORIGIN) === 0) this.found = this.#isTaken(bytes, row, info);
  }

  /** In a list, what is put beside others may be an element that they put there too. */
  #isBeside(row: number): boolean {
    const left = structAt(this.#doc, this.table.firstClient(row), this.table.firstClock(row));
    return left instanceof Y.Item && (left.parentSub === null || left.right !== null || left.deleted);
  }

  #isTaken(bytes: Uint8Array, row: number, info: number): boolean {
    const table = this.table;
    let type: Y.ContentType['type'] | undefined;
    if (table.firstClock(row) === NONE) {
      const reader = new ByteReader(bytes);
      reader.pos = (table.at[row] ?? 0) + 2;
      type = this.#doc.share.get(reader.text());
    } else {
      const parent = structAt(this.#doc, table.firstClient(row), table.firstClock(row));
      if (!(parent instanceof Y.Item)) return false;
      if (parent.deleted) return true;
      type = typeOf(parent) ?? undefined;
    }
    if (type === undefined) return false;
    if ((info & HAS_PARENT_SUB) === 0) return type._start !== null;
    const { key } = placeOf(bytes, table, row);
    return key !== null && type._map.has(key);
  }
}
