/** Stored changes, and their bytes, that make a compaction due. */
const COMPACT_CHANGES = 500;
const COMPACT_BYTES = 1_000_000;
/** By how much more it waits while something is pending. */
const PATIENCE = 4;

/**
 * What has come to the store since the last compaction and would go with the next one: what is pending stays in its
 * row, so that it does not count before it is confirmed.
 */
export class StoredSize {
  #changes = 0;
  #bytes = 0;
  #lastKey = 0;
  /** The oldest change is the last snapshot, or as good as one. */
  #isFirst = true;

  /** The highest key that was told or stored. */
  get lastKey(): number {
    return this.#lastKey;
  }

  /** It waits while something is `pending`, which would be in the snapshot, and could not be told from the rest (P10). */
  isCompactionDue(pending: boolean): boolean {
    const most = pending ? PATIENCE : 1;
    return this.#changes >= COMPACT_CHANGES * most || this.#bytes >= COMPACT_BYTES * most;
  }

  /** A change that was stored; `pending` ones count once they are confirmed. */
  add(key: number, bytes: number, pending: boolean): void {
    this.#lastKey = Math.max(this.#lastKey, key);
    if (!pending && !this.#isFirst) this.confirmed(bytes);
    if (!pending) this.#isFirst = false;
  }

  /** A row that another tab has put in the place of all before it: the next compaction would gain nothing by it. */
  foundWhole(key: number): void {
    this.reset(Math.max(this.#lastKey, key));
  }

  /** A change is no longer pending. */
  confirmed(bytes: number): void {
    this.#changes++;
    this.#bytes += bytes;
  }

  /** Begins anew, after a compaction or for another store. */
  reset(lastKey: number): void {
    this.#lastKey = lastKey;
    this.#changes = 0;
    this.#bytes = 0;
    this.#isFirst = lastKey === 0;
  }
}
