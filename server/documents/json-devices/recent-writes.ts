/** The last writes of a device, by record. */
import type { JsonObject } from '../../../shared/json.js';
import { BoundedMap } from '../../bounded-map.js';

interface Write {
  readonly sent: JsonObject | null;
}

/** In characters: what is kept for one connection of copies of what its device wrote. */
const MAX_WRITTEN = 8 * 2 ** 20;
/** So many records' last writes are remembered for a connection. */
const MAX_WRITES = 1_000;

/** A device's last writes by record. Of those that have gone, the history has what the record became. */
export const recentWrites = <Each extends Write>(): BoundedMap<string, Each> =>
  new BoundedMap<string, Each>({ most: MAX_WRITES, maxSize: MAX_WRITTEN, sizeOf });

/** Of one object the size is taken once, however often its entry changes. */
const sizes = new WeakMap<JsonObject, number>();

function sizeOf({ sent }: Write): number {
  if (sent === null) return 0;
  const known = sizes.get(sent) ?? JSON.stringify(sent).length;
  sizes.set(sent, known);
  return known;
}
