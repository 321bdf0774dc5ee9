/**
 * Cuts a large update into parts that a slow line can take, one after the other (N10). Others have their turn
 * meanwhile: reading the structs of 20 MB takes up to a second.
 */
import { StructTable } from '../protocol/struct-table.js';
import { cutInSteps } from './intake/cut.js';
import type { PartSize } from './intake/parts.js';

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
  const parts: Uint8Array[] = [];
  for (const part of cutInSteps(update, table, size)) {
    if (part !== null) parts.push(part);
    await new Promise(setImmediate);
  }
  return parts.length > 0 ? parts : [update];
}
