/**
 * Cuts a large update into parts that a slow line can take, one after the other (N10). Others have their turn
 * meanwhile: reading the structs of 20 MB takes up to a second.
 */
import { noteSteps } from '../protocol/scan.js';
import { StructTable } from '../protocol/struct-table.js';
import { type Deletion, deletionParts, type PartSize, structParts } from './intake/parts.js';

/** Up to so many bytes an update is sent as it is: 10 s at 40 KB/s. */
export const MAX_UNCUT = 384 * 1_024;
/** A range of deletions takes at most 14 bytes. */
const SIZE: PartSize = { structs: Number.POSITIVE_INFINITY, bytes: 256 * 1_024, deletions: 18_000 };

/** One update is cut at a time, so one table is enough, of 57 bytes for each struct. */
const table = new StructTable();
let last: Promise<unknown> = Promise.resolve();

/** Each part is an update that builds only on those before it, and on what the whole one builds on. */
export function cutForLine(update: Uint8Array, size = SIZE): Promise<Uint8Array[]> {
  const cut = last.then(() => cutNow(update, size));
  last = cut.catch(() => {});
  return cut;
}

async function cutNow(update: Uint8Array, size: PartSize): Promise<Uint8Array[]> {
  const deletions: Deletion[] = [];
  const deletion = (client: number, clock: number, length: number) =>
    void deletions.push({ client, clock, length });
  const steps = noteSteps(update, { table, deletion });
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) await new Promise(setImmediate);
  if (step.value) return [update]; // with Skips, which a document in order does not have
  const firstClocks = new Map(table.sections.map(({ client, from }) => [client, table.clock(from)]));
  const stateOf = (client: number) => firstClocks.get(client) ?? 0;
  const parts = [...structParts(update, table, stateOf, size), ...deletionParts(deletions, size.deletions)];
  table.clear();
  return parts.length > 0 ? parts : [update];
}
