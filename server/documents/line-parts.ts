/**
 * Cuts a large update into parts that a slow line can take, one after the other (N10). Others have their turn
 * meanwhile: reading the structs of 20 MB takes up to a second.
 */
import type { UserId } from '../../shared/names.js';
import { StructTable } from '../protocol/struct-table.js';
import { cutInSteps } from './intake/cut.js';
import type { PartSize } from './intake/parts.js';
import { Slices } from './loading/slices.js';

/** Up to so many bytes an update is sent as it is: 10 s at 40 KB/s. */
export const MAX_UNCUT = 384 * 1_024;
/** A range of deletions takes at most 14 bytes. */
const SIZE: PartSize = { structs: Number.POSITIVE_INFINITY, bytes: 256 * 1_024, deletions: 18_000 };

/** One update is cut at a time, so one table is enough, of 57 bytes for each struct; users take turns. */
const table = new StructTable();
const cuts = new Slices({ atOnce: 1, turn: 2 }); // beside the turns of loads

/**
 * Each part is an update that builds only on those before it, and on what the whole one builds on.
 *
 * @param user whose document it comes from
 * @param isWanted whether it is still to be sent to somebody
 */
export const cutForLine = (
  user: UserId,
  update: Uint8Array,
  size = SIZE,
  isWanted?: () => boolean,
): Promise<Uint8Array[]> => cuts.run(user, partsOf(update, size), 'awaited', isWanted);

function* partsOf(update: Uint8Array, size: PartSize): Generator<void, Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for (const part of cutInSteps(update, table, size)) {
    if (part !== null) parts.push(part);
    yield;
  }
  return parts.length > 0 ? parts : [update];
}
