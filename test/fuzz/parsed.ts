/** An update taken apart into what a mutation can change, and put together again. */
import * as encoding from 'lib0/encoding';
import { scanUpdate } from '../../server/protocol/scan.js';
import { HAS_ORIGIN, HAS_RIGHT_ORIGIN, NONE, StructTable } from '../../server/protocol/struct-table.js';

export interface Id {
  client: number;
  clock: number;
}

export interface ParsedStruct {
  info: number;
  /** Neighbours, or the parent, where they are ids. */
  first: Id | null;
  second: Id | null;
  length: number;
  /** What stands between the first byte and the content, where it is no id. */
  place: Uint8Array;
  content: Uint8Array;
}

export interface ParsedSection {
  client: number;
  clock: number;
  structs: ParsedStruct[];
}

export interface ParsedDeletion extends Id {
  length: number;
}

export interface ParsedUpdate {
  sections: ParsedSection[];
  deletions: ParsedDeletion[];
}

export function parse(update: Uint8Array): ParsedUpdate {
  const table = new StructTable();
  const deletions: ParsedDeletion[] = [];
  const deletion = (client: number, clock: number, length: number) =>
    void deletions.push({ client, clock, length });
  scanUpdate(update, { maxDepth: 0 }, { table, deletion });
  const sections = table.sections.map(({ client, from, to, endsAt }) => ({
    client,
    clock: table.clock(from),
    structs: Array.from({ length: to - from }, (_, index) =>
      structAt(
        update,
        table,
        from + index,
        from + index + 1 === to ? endsAt : (table.at[from + index + 1] ?? 0),
      ),
    ),
  }));
  return { sections, deletions };
}

function structAt(update: Uint8Array, table: StructTable, row: number, end: number): ParsedStruct {
  const info = table.info[row] ?? 0;
  const id = (client: number, clock: number): Id | null => (clock === NONE ? null : { client, clock });
  const first = id(table.firstClient(row), table.firstClock(row));
  const second = id(table.secondClient(row), table.secondClock(row));
  const at = (table.at[row] ?? 0) + 1;
  const contentAt = Math.max(at, table.contentAt[row] ?? 0);
  const byNeighbour = (info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) !== 0;
  const place = byNeighbour ? new Uint8Array(0) : update.slice(at, contentAt);
  return { info, first, second, length: table.lengthOf(row), place, content: update.slice(contentAt, end) };
}

export function assemble({ sections, deletions }: ParsedUpdate): Uint8Array {
  return encoding.encode((encoder) => {
    const uint = (value: number) => encoding.writeVarUint(encoder, Math.max(0, Math.floor(value)));
    uint(sections.length);
    for (const { client, clock, structs } of sections) {
      [structs.length, client, clock].forEach(uint);
      for (const struct of structs) writeStruct(encoder, uint, struct);
    }
    const clients = [...new Set(deletions.map(({ client }) => client))];
    uint(clients.length);
    for (const client of clients) {
      const ranges = deletions.filter((each) => each.client === client);
      [client, ranges.length, ...ranges.flatMap(({ clock, length }) => [clock, length])].forEach(uint);
    }
  });
}

function writeStruct(
  encoder: encoding.Encoder,
  uint: (value: number) => void,
  { info, first, second, place, content }: ParsedStruct,
): void {
  encoding.writeUint8(encoder, info);
  const byNeighbour = (info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) !== 0;
  if ((info & HAS_ORIGIN) !== 0 && first !== null) [first.client, first.clock].forEach(uint);
  if ((info & HAS_RIGHT_ORIGIN) !== 0 && second !== null) [second.client, second.clock].forEach(uint);
  if (!byNeighbour) encoding.writeUint8Array(encoder, place);
  encoding.writeUint8Array(encoder, content);
}
