/** By how much an update would make what is alive in a document larger: what it brings, less what it deletes. */
import * as Y from 'yjs';
import { scanUpdate } from '../../protocol/scan.js';
import { GC, KIND_BITS, type Section, StructTable } from '../../protocol/struct-table.js';
import { firstIndex } from '../first-index.js';
import { freedBy, headerSize, isWhole, type Size } from './living-size.js';

const NO_LIMITS = { maxDepth: Number.POSITIVE_INFINITY };
const KIND_DELETED = 1;

/** Clocks of a client, from the first (included) to the last (excluded). */
interface Range {
  readonly from: number;
  readonly to: number;
}

type Deletions = Map<number, Range[]>;

/** One for all: an update is judged in one go. */
const table = new StructTable();

export interface UpdateGrowth extends Size {
  /** Whether it does more than delete. */
  readonly doesWrite: boolean;
  /** Into how many pieces more what it deletes from is cut, at most. */
  readonly cuts: number;
}

export function growthBy(update: Uint8Array, doc: Y.Doc): UpdateGrowth {
  const fresh = Y.diffUpdate(update, Y.encodeStateVector(doc));
  const deletions: Deletions = new Map();
  const deletion = (client: number, from: number, length: number): void => {
    const ranges = deletions.get(client) ?? [];
    ranges.push({ from, to: from + length });
    deletions.set(client, ranges);
  };
  const { ranges } = scanUpdate(fresh, NO_LIMITS, { table, deletion });
  for (const [client, each] of deletions) deletions.set(client, merged(each));
  const { cuts, ...freed } = freedIn(doc, deletions);
  if (ranges.length === 0) return { bytes: 0, structs: 0, doesWrite: false, cuts };
  const brought = broughtBy(deletions);
  const bytes = Math.ceil(brought.bytes - freed.bytes);
  return { bytes, structs: brought.structs - freed.structs, doesWrite: true, cuts };
}

/** What of the update in the table is not deleted by itself. */
function broughtBy(deletions: Deletions): Size {
  let [bytes, structs] = [0, 0];
  for (const section of table.sections) {
    const before = structs;
    const ranges = deletions.get(section.client) ?? [];
    for (let row = section.from; row < section.to; row++) {
      const alive = isDead(row) ? 0 : 1 - coveredShare(ranges, table.clock(row), table.lengthOf(row));
      bytes += alive * bytesOf(section, row);
      if (alive > 0) structs++;
    }
    if (structs > before) bytes += headerSize(section.client, structs - before, table.clock(section.from));
  }
  return { bytes, structs };
}

function isDead(row: number): boolean {
  const info = table.info[row] ?? GC;
  return info === GC || (info & KIND_BITS) === KIND_DELETED;
}

function bytesOf({ to, endsAt }: Section, row: number): number {
  const end = row + 1 < to ? table.at[row + 1] : endsAt;
  return (end ?? 0) - (table.at[row] ?? 0);
}

/** What is there, and is deleted by the update. */
function freedIn(doc: Y.Doc, deletions: Deletions): Size & { readonly cuts: number } {
  let [bytes, structs, cuts] = [0, 0, 0];
  for (const [client, ranges] of deletions) {
    const items = doc.store.clients.get(client) ?? [];
    for (const range of ranges) {
      for (const [item, share] of itemsIn(items, range)) {
        bytes += share * freedBy(item);
        if (isWhole(item)) structs++;
        else cuts += cutsIn(item, range);
      }
    }
  }
  return { bytes, structs, cuts };
}

const cutsIn = ({ id, length }: Y.Item, { from, to }: Range): number =>
  (from > id.clock ? 1 : 0) + (to < id.clock + length ? 1 : 0);

/** Items that are alive, with the part of each that lies in the range. */
function* itemsIn(structs: readonly (Y.Item | Y.GC)[], range: Range): Iterable<[Y.Item, number]> {
  const last = structs.at(-1);
  if (last === undefined || range.from >= last.id.clock + last.length) return;
  for (let index = Y.findIndexSS(structs as Y.Item[], range.from); index < structs.length; index++) {
    const struct = structs[index];
    if (struct === undefined || struct.id.clock >= range.to) return;
    if (!(struct instanceof Y.Item) || struct.deleted) continue;
    yield [struct, coveredShare([range], struct.id.clock, struct.length)];
  }
}

/** Which part of so many clocks lies in the ranges, which are in order. */
function coveredShare(ranges: readonly Range[], clock: number, length: number): number {
  let covered = 0;
  for (let index = firstIndex(ranges, ({ to }) => to > clock); index < ranges.length; index++) {
    const { from, to } = ranges[index] as Range;
    if (from >= clock + length) break;
    covered += Math.min(to, clock + length) - Math.max(from, clock);
  }
  return covered / length;
}

/** In order, without overlaps: an update may name a deletion more than once. */
function merged(ranges: readonly Range[]): Range[] {
  const all: Range[] = [];
  for (const { from, to } of [...ranges].sort((a, b) => a.from - b.from)) {
    const end = all.at(-1)?.to ?? 0;
    if (to > end) all.push({ from: Math.max(from, end), to });
  }
  return all;
}
