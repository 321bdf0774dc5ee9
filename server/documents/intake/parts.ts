/** Cuts an update into parts that can be applied one after the other, each a valid update. */
import * as encoding from 'lib0/encoding';
import { scanUpdate } from '../../protocol/scan.js';
import { type Section, StructTable } from '../../protocol/struct-table.js';
import { causalSteps } from './causal-order.js';

/** What a part holds at most, but for a single struct that is larger. */
export interface PartSize {
  readonly structs: number;
  readonly bytes: number;
  readonly deletions: number;
}

export interface Deletion {
  readonly client: number;
  readonly clock: number;
  readonly length: number;
}

/** What stands between two cuts: rows `from` (included) to `to` (excluded) of a client. */
interface Rows {
  readonly client: number;
  readonly from: number;
  to: number;
}

/**
 * First the structs, in causal order, then the deletions.
 *
 * @param update as Yjs writes it: nothing is missing in the middle
 */
export function partsOf(
  update: Uint8Array,
  stateOf: (client: number) => number,
  size: PartSize,
): Uint8Array[] {
  const table = new StructTable();
  const deletions: Deletion[] = [];
  const deletion = (client: number, clock: number, length: number) =>
    void deletions.push({ client, clock, length });
  scanUpdate(update, { maxDepth: 0 }, { table, deletion });
  return [...structParts(update, table, stateOf, size), ...deletionParts(deletions, size.deletions)];
}

/** Each part when it is asked for. */
export function* structParts(
  update: Uint8Array,
  table: StructTable,
  stateOf: (client: number) => number,
  size: PartSize,
): Generator<Uint8Array> {
  const parts: Uint8Array[] = [];
  const sections = new Map(table.sections.map((section) => [section.client, section]));
  let rows = new Map<number, Rows>();
  let [structs, bytes] = [0, 0];
  const cut = () => {
    if (rows.size > 0) parts.push(encodeRows(update, table, sections, [...rows.values()]));
    rows = new Map();
    [structs, bytes] = [0, 0];
  };
  const add = (row: number, client: number) => {
    const isLast = row + 1 === sections.get(client)?.to;
    const end = isLast ? sections.get(client)?.endsAt : table.at[row + 1];
    const length = (end ?? 0) - (table.at[row] ?? 0);
    if (bytes + length > size.bytes) cut();
    const known = rows.get(client);
    if (known === undefined) rows.set(client, { client, from: row, to: row + 1 });
    else known.to = row + 1;
    bytes += length;
    if (++structs >= size.structs) cut();
  };
  for (const _rest of causalSteps(table, stateOf, add)) yield* parts.splice(0);
  cut();
  yield* parts;
}

function encodeRows(
  update: Uint8Array,
  table: StructTable,
  sections: ReadonlyMap<number, Section>,
  parts: readonly Rows[],
): Uint8Array {
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, parts.length);
    for (const { client, from, to } of parts) {
      const section = sections.get(client);
      const end = to === section?.to ? section.endsAt : table.at[to];
      for (const number of [to - from, client, table.clock(from)]) encoding.writeVarUint(encoder, number);
      encoding.writeUint8Array(encoder, update.subarray(table.at[from], end));
    }
    encoding.writeVarUint(encoder, 0);
  });
}

export function deletionParts(deletions: readonly Deletion[], size: number): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let from = 0; from < deletions.length; from += size) {
    parts.push(encodeDeletions(deletions.slice(from, from + size)));
  }
  return parts;
}

function encodeDeletions(deletions: readonly Deletion[]): Uint8Array {
  const clients = new Map<number, Deletion[]>();
  for (const each of deletions) {
    const known = clients.get(each.client);
    if (known === undefined) clients.set(each.client, [each]);
    else known.push(each);
  }
  return encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, 0);
    encoding.writeVarUint(encoder, clients.size);
    for (const [client, ranges] of clients) {
      encoding.writeVarUint(encoder, client);
      encoding.writeVarUint(encoder, ranges.length);
      for (const { clock, length } of ranges) {
        encoding.writeVarUint(encoder, clock);
        encoding.writeVarUint(encoder, length);
      }
    }
  });
}
