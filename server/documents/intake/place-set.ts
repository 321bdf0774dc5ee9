/**
 * The places at which structs of one update stand, by a hash of 32 bits: a place may be taken for another, once in
 * billions, but never missed.
 */
export class PlaceSet {
  /** Tags, 0 where there is none; at most half of them are in use. */
  readonly #tags: Uint32Array;

  constructor(most: number) {
    this.#tags = new Uint32Array(2 ** Math.ceil(Math.log2(2 * most + 2)));
  }

  /** Whether a struct stands behind this id already; from now on one does. */
  hasId(client: number, clock: number): boolean {
    const high = Math.floor(client / 2 ** 32) ^ Math.floor(clock / 2 ** 32);
    return this.#has(mixed(mixed(mixed(client >>> 0) ^ (clock >>> 0)) ^ high));
  }

  /** The same for a place that is described by these bytes. */
  hasBytes(bytes: Uint8Array, from: number, to: number): boolean {
    let hash = 0x811c9dc5;
    for (let pos = from; pos < to; pos++) hash = Math.imul(hash ^ (bytes[pos] ?? 0), 0x01000193);
    return this.#has(mixed(hash));
  }

  #has(hash: number): boolean {
    const tags = this.#tags;
    const mask = tags.length - 1;
    const tag = hash === 0 ? 1 : hash;
    let slot = Math.imul(tag, 0x9e3779b1) & mask;
    for (; tags[slot] !== 0; slot = (slot + 1) & mask) if (tags[slot] === tag) return true;
    tags[slot] = tag;
    return false;
  }
}

function mixed(value: number): number {
  const once = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return (twice ^ (twice >>> 16)) >>> 0;
}
