/** A map of the newest entries: the oldest ones go where they are too many, or too large together. */
import type { JsonObject } from '../../../shared/json.js';

export interface Bounds<Value> {
  readonly most: number;
  /** In the same unit as `sizeOf`. */
  readonly maxSize?: number;
  readonly sizeOf?: (value: Value) => number;
}

export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #bounds: Bounds<Value>;
  #size = 0;

  constructor(bounds: Bounds<Value>) {
    super();
    this.#bounds = bounds;
  }

  /** Sets it as the newest entry. */
  add(key: Key, value: Value): void {
    this.delete(key);
    this.set(key, value);
  }

  /** Sets it; one that is there keeps its place. */
  override set(key: Key, value: Value): this {
    this.#size += this.#sizeOf(value) - this.#sizeAt(key);
    super.set(key, value);
    for (const [oldest] of this) {
      if (this.#fits() || oldest === key) break;
      this.delete(oldest);
    }
    return this;
  }

  override delete(key: Key): boolean {
    this.#size -= this.#sizeAt(key);
    return super.delete(key);
  }

  #fits(): boolean {
    const { most, maxSize = Number.POSITIVE_INFINITY } = this.#bounds;
    return this.size <= most && this.#size <= maxSize;
  }

  #sizeAt(key: Key): number {
    const value = this.get(key);
    return value === undefined ? 0 : this.#sizeOf(value);
  }

  #sizeOf(value: Value): number {
    return this.#bounds.sizeOf?.(value) ?? 0;
  }
}

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
