import type { JsonObject } from '../../../shared/json.js';

/** In characters: what is kept for one connection of copies of what its device wrote. */
const MAX_SIZE = 8 * 2 ** 20;

interface Write {
  readonly sent: JsonObject | null;
}

/** Of one object the size is taken once, however often its entry changes. */
const sizes = new WeakMap<JsonObject, number>();

function sizeOf({ sent }: Write): number {
  if (sent === null) return 0;
  const known = sizes.get(sent) ?? JSON.stringify(sent).length;
  sizes.set(sent, known);
  return known;
}

/**
 * A device's last writes by record. The oldest ones go when all together become too large; of those, the history
 * has what the record became.
 */
export class RecentWrites<Each extends Write> extends Map<string, Each> {
  #size = 0;

  override set(name: string, write: Each): this {
    this.#size += sizeOf(write) - this.#sizeAt(name);
    super.set(name, write);
    for (const [oldest] of this) {
      if (this.#size <= MAX_SIZE || oldest === name) break;
      this.delete(oldest);
    }
    return this;
  }

  override delete(name: string): boolean {
    this.#size -= this.#sizeAt(name);
    return super.delete(name);
  }

  #sizeAt(name: string): number {
    const write = this.get(name);
    return write === undefined ? 0 : sizeOf(write);
  }
}
