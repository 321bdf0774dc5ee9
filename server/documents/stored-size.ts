import type { CompactionSizes } from './document-options.js';

/** How much of a document is stored in single updates, to know when a compaction is due. */
export class StoredSize {
  updates: number;
  /** Bytes that were ever added since the document was loaded. */
  added = 0;
  #bytes: number;
  #last = 0;

  constructor(updates: readonly Uint8Array[]) {
    this.updates = updates.length;
    this.#bytes = updates.reduce((sum, { length }) => sum + length, 0);
  }

  /** At least what the document takes, encoded as one update. */
  get bytes(): number {
    return this.#bytes;
  }

  add({ length }: Uint8Array): void {
    this.updates += 1;
    this.added += length;
    this.#bytes += length;
    this.#last = length;
  }

  replaceBy({ length }: Uint8Array): CompactionSizes {
    const sizes = { updates: this.updates, bytesBefore: this.#bytes, bytesAfter: length };
    this.updates = 1;
    this.#bytes = length;
    return sizes;
  }

  /** Many updates, or many bytes in several; one large update alone gains nothing from compaction. */
  isDue({ compactUpdates, compactBytes }: { compactUpdates: number; compactBytes: number }): boolean {
    const isLarge = this.updates > 8 && this.#bytes - this.#last > compactBytes;
    return this.updates >= compactUpdates || isLarge;
  }
}
