/** The last writes of a device, by record. */
import type { Json, JsonObject } from '../../../shared/json.js';
import { BoundedMap } from '../../bounded-map.js';

interface Write {
  readonly sent: JsonObject | null;
}

/** About so many characters of JSON: what is kept for one connection of copies of what its device wrote. */
const MAX_WRITTEN = 8 * 2 ** 20;
/** So many records' last writes are remembered for a connection. */
const MAX_WRITES = 1_000;

/** A device's last writes by record. Of those that have gone, the history has what the record became. */
export const recentWrites = <Each extends Write>(): BoundedMap<string, Each> =>
  new BoundedMap<string, Each>({ most: MAX_WRITES, maxSize: MAX_WRITTEN, sizeOf });

/** The same of one connection: most of them write nothing, and take nothing for it. */
export class WritesOfConnection<Each extends Write> {
  #writes: BoundedMap<string, Each> | null = null;

  get(record: string): Each | undefined {
    return this.#writes?.get(record);
  }

  /** As the newest one. */
  add(record: string, write: Each): void {
    this.#writes ??= recentWrites();
    this.#writes.add(record, write);
  }

  /** One that is there keeps its place. */
  set(record: string, write: Each): void {
    this.#writes?.set(record, write);
  }

  delete(record: string): void {
    this.#writes?.delete(record);
  }

  get records(): string[] {
    return [...(this.#writes?.keys() ?? [])];
  }

  [Symbol.iterator](): Iterator<readonly [string, Each]> {
    return (this.#writes ?? new Map<string, Each>())[Symbol.iterator]();
  }
}

/** Of one object the size is taken once, however often its entry changes. */
const sizes = new WeakMap<JsonObject, number>();

function sizeOf({ sent }: Write): number {
  if (sent === null) return 0;
  const known = sizes.get(sent);
  if (known !== undefined) return known;
  const size = sizeOfJson(sent);
  sizes.set(sent, size);
  return size;
}

/** Of numbers and the like, and of what stands around each value, in characters. */
const PLAIN = 8;
const AROUND = 4;

/** It is not written for that: this runs for each write. */
function sizeOfJson(value: Json): number {
  if (typeof value === 'string') return value.length + AROUND;
  if (typeof value !== 'object' || value === null) return PLAIN + AROUND;
  let size = AROUND;
  if (Array.isArray(value)) for (const each of value) size += sizeOfJson(each);
  else for (const key of Object.keys(value)) size += key.length + sizeOfJson(value[key] as Json);
  return size;
}
