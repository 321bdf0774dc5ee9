import { ByteReader } from './bytes.js';

/** The first byte of a struct: its kind, and what is written behind it. */
export const KIND_BITS = 0b00011111;
export const HAS_PARENT_SUB = 0b00100000;
export const HAS_RIGHT_ORIGIN = 0b01000000;
export const HAS_ORIGIN = 0b10000000;

/** The whole first byte of a struct that was collected. */
export const GC = 0;

/** The structs of one client in an update: rows `from` (included) to `to` (excluded) of the table. */
export interface Section {
  readonly client: number;
  readonly from: number;
  to: number;
  /** Where the encoding of its last struct ends. */
  endsAt: number;
}

/** No such reference. */
export const NONE = -1;

const FIRST_CAPACITY = 1_024;
const KEPT_CAPACITY = 65_536;
const COLUMNS = 6;

/**
 * What a scan notes of each struct (Skips left out), as numbers in columns: no object is made per struct, and the
 * same memory serves one update after the other. Valid until the next update is scanned into it.
 */
export class StructTable {
  readonly sections: Section[] = [];
  length = 0;
  /** The first byte of the encoding, which holds kind and flags. */
  info = new Uint8Array(FIRST_CAPACITY);
  /** Where the encoding of the struct, and of its content, begins. */
  at = new Uint32Array(FIRST_CAPACITY);
  contentAt = new Uint32Array(FIRST_CAPACITY);
  #numbers = new Float64Array(FIRST_CAPACITY * COLUMNS);

  clear(): void {
    this.sections.length = 0;
    this.length = 0;
    if (this.info.length > KEPT_CAPACITY) this.#resize(FIRST_CAPACITY);
  }

  begin(client: number): void {
    this.sections.push({ client, from: this.length, to: this.length, endsAt: 0 });
  }

  /** Adds a row to the last section; `refer` and `end` complete it. */
  add(info: number, at: number, clock: number): void {
    if (this.length === this.info.length) this.#resize(2 * this.length);
    const row = this.length++;
    this.info[row] = info;
    this.at[row] = at;
    this.contentAt[row] = at;
    this.#numbers.fill(NONE, row * COLUMNS, (row + 1) * COLUMNS);
    this.#numbers[row * COLUMNS] = clock;
  }

  /** The left neighbour at creation or the parent (`first`), or the right neighbour (`second`), of the last row. */
  refer(which: 'first' | 'second', client: number, clock: number): void {
    const column = (this.length - 1) * COLUMNS + (which === 'first' ? 2 : 4);
    this.#numbers[column] = client;
    this.#numbers[column + 1] = clock;
  }

  contentBegins(at: number): void {
    this.contentAt[this.length - 1] = at;
  }

  end(length: number, at: number): void {
    this.#numbers[(this.length - 1) * COLUMNS + 1] = length;
    const section = this.sections.at(-1);
    if (section === undefined) return;
    section.to = this.length;
    section.endsAt = at;
  }

  clock(row: number): number {
    return this.#number(row, 0);
  }

  lengthOf(row: number): number {
    return this.#number(row, 1);
  }

  firstClient(row: number): number {
    return this.#number(row, 2);
  }

  firstClock(row: number): number {
    return this.#number(row, 3);
  }

  secondClient(row: number): number {
    return this.#number(row, 4);
  }

  secondClock(row: number): number {
    return this.#number(row, 5);
  }

  /** The row of a section that holds this clock, or `NONE`. */
  rowAt({ from, to }: Section, clock: number): number {
    let low = from;
    let high = to - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const start = this.clock(middle);
      if (clock < start) high = middle - 1;
      else if (clock >= start + this.lengthOf(middle)) low = middle + 1;
      else return middle;
    }
    return NONE;
  }

  #number(row: number, column: number): number {
    return this.#numbers[row * COLUMNS + column] ?? NONE;
  }

  #resize(capacity: number): void {
    const rows = Math.min(this.length, capacity);
    this.info = grown(this.info.subarray(0, rows), new Uint8Array(capacity));
    this.at = grown(this.at.subarray(0, rows), new Uint32Array(capacity));
    this.contentAt = grown(this.contentAt.subarray(0, rows), new Uint32Array(capacity));
    this.#numbers = grown(this.#numbers.subarray(0, rows * COLUMNS), new Float64Array(capacity * COLUMNS));
  }
}

function grown<Column extends Uint8Array | Uint32Array | Float64Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}

export interface Place {
  /** The collection, `null` where the place is named by an id. */
  readonly root: string | null;
  readonly key: string | null;
}

/** Reads once more where a struct without neighbours stands; the scan has found it in order. */
export function placeOf(bytes: Uint8Array, table: StructTable, row: number): Place {
  const reader = new ByteReader(bytes);
  reader.pos = (table.at[row] ?? 0) + 1;
  const isRoot = reader.uint() === 1;
  const root = isRoot ? reader.text() : null;
  if (!isRoot) for (let left = 2; left > 0; left--) reader.uint();
  return { root, key: reader.pos < (table.contentAt[row] ?? 0) ? reader.text() : null };
}
