export interface CompactionSizes {
  readonly updates: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** A compaction writes at most this many bytes of the snapshot for each update that came since, once it is large. */
const REWRITTEN_PER_UPDATE = 2_048;
/** For each so many bytes of the snapshot, as many updates again make one due: a load takes that much longer at most. */
const SCALE = 32 * 1_024;
/** So many times as many at most. */
const MOST_SCALED = 40;
/** Fewer updates than these gain nothing from compaction, however large they are. */
const WORTH_MERGING = 8;

interface CompactionLimits {
  readonly compactUpdates: number;
  readonly compactBytes: number;
}

/** Some stored updates. */
export interface Amount {
  readonly updates: number;
  readonly bytes: number;
}

/** How much of a document is stored in single updates, to know when a compaction is due. */
export class StoredSize {
  updates: number;
  /** Bytes that were ever added since the document was loaded. */
  added = 0;
  /** It is one update, in which nothing is that was deleted. */
  isWhole: boolean;
  /** Something was added or replaced since the document was loaded, or noted as it is. */
  isTouched = false;
  #bytes: number;
  /** Of the update that all others came after. */
  #snapshot: number;
  #triedAt: Amount | null = null;

  constructor(updates: readonly Uint8Array[], isWhole = false) {
    this.isWhole = isWhole;
    this.updates = updates.length;
    this.#bytes = bytesOf(updates);
    this.#snapshot = updates[0]?.length ?? 0;
  }

  /** At least what the document takes, encoded as one update. */
  get bytes(): number {
    return this.#bytes;
  }

  add({ length }: Uint8Array): void {
    if (this.updates === 0) this.#snapshot = length;
    this.updates += 1;
    this.isWhole = false;
    this.isTouched = true;
    this.added += length;
    this.#bytes += length;
  }

  /** A compaction failed: it is tried again when as much came once more. */
  putOff(): void {
    this.#triedAt = { updates: this.updates, bytes: this.#bytes };
  }

  /** The oldest updates, or all, were replaced by one. */
  replaceBy(
    { length }: Uint8Array,
    { updates, bytes }: Amount = { updates: this.updates, bytes: this.#bytes },
  ): CompactionSizes {
    this.updates += 1 - updates;
    this.isWhole = this.updates === 1;
    this.isTouched = true;
    this.#bytes += length - bytes;
    this.#snapshot = length;
    this.#triedAt = null;
    return { updates, bytesBefore: bytes, bytesAfter: length };
  }

  /**
   * Whether so much came since the last snapshot that it is worth writing all of it again: in number or in bytes, and
   * the more, the larger the snapshot is. What is written for each edit stays bounded by that, and so does what a
   * load has to read.
   *
   * @param share how much of that is enough
   */
  isDue({ compactUpdates, compactBytes }: CompactionLimits, share = 1): boolean {
    const before = this.#triedAt ?? { updates: 1, bytes: this.#snapshot };
    const since = this.updates - before.updates;
    const scale = Math.min(Math.max(1, this.#snapshot / SCALE), MOST_SCALED);
    const many = Math.max(compactUpdates * scale, this.#snapshot / REWRITTEN_PER_UPDATE);
    const large = Math.max(compactBytes, this.#snapshot);
    const isLarge = since >= WORTH_MERGING && this.#bytes - before.bytes > large * share;
    return isLarge || since + 1 >= Math.max(2, many * share);
  }
}

export const bytesOf = (updates: readonly Uint8Array[]): number =>
  updates.reduce((sum, { length }) => sum + length, 0);
