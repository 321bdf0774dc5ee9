/** Stored changes, and their bytes, that make a compaction due. */
const COMPACT_CHANGES = 500;
const COMPACT_BYTES = 1_000_000;

/** What has come to the store since the last compaction. */
export class StoredSize {
  #changes = 0;
  #bytes = 0;
  #lastKey = 0;

  /** The highest key that was told or stored. */
  get lastKey(): number {
    return this.#lastKey;
  }

  get isCompactionDue(): boolean {
    return this.#changes >= COMPACT_CHANGES || this.#bytes >= COMPACT_BYTES;
  }

  add(key: number, bytes: number): void {
    this.#lastKey = Math.max(this.#lastKey, key);
    this.#changes++;
    this.#bytes += bytes;
  }

  /** Begins anew, after a compaction or for another store. */
  reset(lastKey: number): void {
    this.#lastKey = lastKey;
    this.#changes = 0;
    this.#bytes = 0;
  }
}
