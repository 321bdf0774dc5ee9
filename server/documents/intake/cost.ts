/**
 * What applying an update would take, in time: an estimate, never much below the truth, made of what is cheap to
 * look up. The factors are measured by `npm run bench -- scan`.
 */
import * as Y from 'yjs';
import { tooCostly } from '../../protocol/bytes.js';
import type { ScanNotes, UpdateScan } from '../../protocol/scan.js';
import { GC, HAS_ORIGIN, KIND_BITS, NONE, type StructTable } from '../../protocol/struct-table.js';
import { type Row, type Struct, structAt } from './check.js';
import { Neighbours } from './neighbours.js';

/** Nanoseconds: of each struct, byte, plain value, item passed, element copied, struct moved, item deleted, … */
const NS = {
  struct: 6_000,
  byte: 4,
  value: 250,
  walk: 60,
  copy: 2,
  join: 6,
  move: 0.5,
  delete: 1_000,
  format: 20_000,
  union: 100_000,
};

const KIND_JSON = 2;
const KIND_FORMAT = 6;
const KIND_TYPE = 7;
const KIND_ANY = 8;

/** Bytes of memory for each of them. */
const BYTES = { struct: 300, byte: 3, value: 40 };

/** Up to here an update is applied at once; above, it is tried first. The promise is 50 ms and 64 MiB. */
const CHEAP_MS = 15;
const CHEAP_BYTES = 32 * 2 ** 20;

/**
 * Elements copied to join those of an update, beyond which it is not even tried: 10,000 structs that could have
 * been one. What Yjs sends is joined already.
 */
const MAX_COPIES = 50_000_000;

/** Items of the document that an estimate may look at; what is more is expensive in any case. */
const MAX_STEPS = 20_000;

export interface CostLimits {
  /** Deletions in one update, not counting what is deleted already. */
  readonly maxDeleteRanges?: number;
}

/** Estimates one update: first told of its deletions by the scan, then of its new structs, in causal order. */
export class UpdateCost implements ScanNotes {
  readonly table: StructTable;
  /** Deletions of what is not deleted yet. */
  deleteRanges = 0;
  #ns = 0;
  /** Elements that merging the update's own structs would copy. */
  #copies = 0;
  readonly #doc: Y.Doc;
  readonly #neighbours: Neighbours;
  readonly #maxDeleteRanges: number;
  #steps = MAX_STEPS;
  #structs: Struct[] | undefined;
  #client = NONE;
  #before: Row | null = null;
  #walkBefore = 0;
  #run = 0;

  constructor(doc: Y.Doc, table: StructTable, limits: CostLimits = {}) {
    this.#doc = doc;
    this.#maxDeleteRanges = limits.maxDeleteRanges ?? Number.POSITIVE_INFINITY;
    this.table = table;
    this.#neighbours = new Neighbours(doc, table);
  }

  get ms(): number {
    return this.#ns / 1e6;
  }

  /** @throws SyncError `UPDATE_TOO_COSTLY` as soon as there are too many: the others need not be looked at */
  deletion(client: number, clock: number, length: number): void {
    if (client !== this.#client) this.#structs = this.#doc.store.clients.get(client) as Struct[] | undefined;
    this.#client = client;
    const structs = this.#structs;
    const last = structs?.at(-1);
    const state = last === undefined ? 0 : last.id.clock + last.length;
    if (structs === undefined || clock >= state) {
      this.#countDeletion();
      this.#ns += NS.delete;
      return;
    }
    const from = Y.findIndexSS(structs, clock);
    const to = Y.findIndexSS(structs, Math.min(clock + length, state) - 1);
    this.#ns += (to - from + 1) * NS.move * 4;
    if (this.#allDeleted(structs, from, to)) return;
    this.#countDeletion();
    this.#ns += NS.delete + structs.length * NS.move;
    this.#split(structs[from], clock);
    if (clock + length < state) this.#split(structs[to], clock + length);
  }

  #countDeletion(): void {
    this.deleteRanges++;
    if (this.deleteRanges > this.#maxDeleteRanges) tooCostly(`more than ${this.#maxDeleteRanges} deletions`);
  }

  #allDeleted(structs: Struct[], from: number, to: number): boolean {
    for (let index = from; index <= to; index++) {
      const struct = structs[index];
      if (this.#steps-- < 0) return false;
      if (struct !== undefined && !struct.deleted) {
        this.#addDeletion(struct as Y.Item, Math.min(to - index, this.#steps));
        return false;
      }
    }
    return true;
  }

  /** What is below a deleted type is deleted with it; of that, one level is looked at. */
  #addDeletion(first: Y.Item, others: number): void {
    this.#ns += others * NS.delete;
    if (!(first.content instanceof Y.ContentType)) return;
    const { _length, _map } = first.content.type;
    this.#ns += (_length + _map.size) * NS.delete;
  }

  /** Where an item is cut in two, its elements are copied; where nothing comes between, they are joined again. */
  #split(struct: Struct | undefined, clock: number): void {
    if (!(struct instanceof Y.Item) || struct.deleted || clock === struct.id.clock) return;
    const { client } = struct.id;
    if (clock >= struct.id.clock + struct.length) return;
    this.#ns += 2 * struct.length * NS.copy + (this.#doc.store.clients.get(client)?.length ?? 0) * NS.move;
  }

  /** A struct that is new to the document. */
  add(bytes: Uint8Array, row: Row): void {
    const { table } = this;
    const info = table.info[row.row] ?? 0;
    const kind = info & KIND_BITS;
    this.#ns += NS.struct;
    if (kind === KIND_FORMAT) this.#ns += NS.format;
    if (info !== GC) {
      const isNext = this.#follows(row, info);
      this.#merge(row, kind, isNext);
      if (!isNext) this.#walkBefore = this.#walk(bytes, row.row, kind);
      this.#ns += this.#walkBefore * NS.walk;
      this.#cut(row);
    }
    this.#before = row;
  }

  /**
   * What to do with the update, once every struct was added.
   *
   * @throws SyncError `UPDATE_TOO_COSTLY`
   */
  judge(bytes: number, { values }: UpdateScan): 'cheap' | 'expensive' {
    if (this.#copies > MAX_COPIES) tooCostly('elements that would have to be joined one by one');
    this.#ns += bytes * NS.byte + values * NS.value;
    const memory = this.table.length * BYTES.struct + bytes * BYTES.byte + values * BYTES.value;
    return this.ms > CHEAP_MS || memory > CHEAP_BYTES ? 'expensive' : 'cheap';
  }

  /** Whether it was written directly after, or before, the struct before it, at the same place: typing. */
  #follows({ row, client }: Row, info: number): boolean {
    const { table } = this;
    const before = this.#before;
    if (before === null || before.client !== client || before.row !== row - 1) return false;
    const clock = table.clock(row);
    const previous = table.info[row - 1] ?? 0;
    const sameRight =
      table.secondClient(row) === table.secondClient(row - 1) &&
      table.secondClock(row) === table.secondClock(row - 1);
    if (
      (info & HAS_ORIGIN) !== 0 &&
      table.firstClient(row) === client &&
      table.firstClock(row) === clock - 1
    ) {
      return sameRight;
    }
    const sameLeft =
      table.firstClient(row) === table.firstClient(row - 1) &&
      table.firstClock(row) === table.firstClock(row - 1);
    const isBefore = table.secondClient(row) === client && table.secondClock(row) === table.clock(row - 1);
    return sameLeft && isBefore && ((info ^ previous) & HAS_ORIGIN) === 0;
  }

  /** Yjs joins the contents of neighbours one by one, from the right, and copies all that it has each time. */
  #merge({ row, client, state }: Row, kind: number, isNext: boolean): void {
    const { table } = this;
    if (kind !== KIND_ANY && kind !== KIND_JSON) {
      this.#run = 0;
      return;
    }
    const clock = table.clock(row);
    if (isNext) this.#copies += this.#run;
    else {
      this.#run = 0;
      const known = clock === state && clock > 0 ? structAt(this.#doc, client, clock - 1) : null;
      if (known instanceof Y.Item && !known.deleted) this.#ns += known.length * NS.copy;
    }
    if (isNext) this.#ns += this.#run * NS.join;
    this.#run += table.lengthOf(row);
  }

  /** Neighbours that stand inside an item of the document cut it. */
  #cut({ row }: Row): void {
    const { table } = this;
    const left = table.firstClock(row);
    const right = table.secondClock(row);
    const hasOrigin = ((table.info[row] ?? 0) & HAS_ORIGIN) !== 0;
    if (left !== NONE && hasOrigin) this.#cutAt(table.firstClient(row), left + 1);
    if (right > 0) this.#cutAt(table.secondClient(row), right);
  }

  #cutAt(client: number, clock: number): void {
    this.#split(structAt(this.#doc, client, clock - 1) ?? undefined, clock);
  }

  #walk(bytes: Uint8Array, row: number, kind: number): number {
    const isContested = this.#neighbours.isTaken(bytes, row);
    if (isContested && kind === KIND_TYPE) this.#ns += NS.union;
    return (isContested ? this.table.length : 0) + this.#neighbours.between(bytes, row);
  }
}
