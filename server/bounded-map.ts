/** A map of the newest entries: the oldest ones go where they are too many, or too large together. */

export interface Bounds<Value> {
  readonly most: number;
  /** In the same unit as `sizeOf`. */
  readonly maxSize?: number;
  readonly sizeOf?: (value: Value) => number;
}

/** So many changes are worth no new iterator. */
const FEW = 16;

export class BoundedMap<Key, Value> extends Map<Key, Value> {
  readonly #bounds: Bounds<Value>;
  #size = 0;
  /** All before it are gone: each time anew, it would have to pass over the places of all who were removed. */
  #oldest = this.keys();
  /** Since it was begun. */
  #changes = 0;

  constructor(bounds: Bounds<Value>) {
    super();
    this.#bounds = bounds;
  }

  /** Sets it as the newest entry. */
  add(key: Key, value: Value): void {
    this.delete(key);
    this.set(key, value);
  }

  /** The value, which becomes the newest entry. */
  renewed(key: Key): Value | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    super.delete(key);
    super.set(key, value);
    this.#noteChange();
    return value;
  }

  /** Sets it; one that is there keeps its place. */
  override set(key: Key, value: Value): this {
    this.#size += this.#sizeOf(value) - this.#sizeAt(key);
    super.set(key, value);
    this.#noteChange();
    while (!this.#fits()) {
      const { value: oldest } = this.#oldest.next();
      if (oldest === undefined || oldest === key) {
        this.#begin();
        break;
      }
      this.delete(oldest);
    }
    return this;
  }

  override delete(key: Key): boolean {
    this.#size -= this.#sizeAt(key);
    return super.delete(key);
  }

  /** In the unit of `sizeOf`. */
  get taken(): number {
    return this.#size;
  }

  override clear(): void {
    super.clear();
    this.#size = 0;
    this.#begin();
  }

  /** An iterator that stands still keeps all that the map has held since: it is begun anew in time. */
  #noteChange(): void {
    this.#changes += 1;
    if (this.#changes > Math.max(FEW, this.size)) this.#begin();
  }

  #begin(): void {
    this.#oldest = this.keys();
    this.#changes = 0;
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
