/** The last writes of a device that its record differs from, until their correction was read; the newest ones. */
import { equalityDeep } from 'lib0/function';
import { type RecordKey, recordOf } from '../records/record-key.js';
import type { OwnWrite } from './own-write.js';

/** All of them together, in characters of what was sent: they are saved with each change of one of them. */
const MAX_LENGTH = 262_144;
/** So many are kept: of a deletion, what is around it is all there is. */
const MAX_WRITES = 256;

interface Kept {
  readonly write: OwnWrite;
  readonly length: number;
}

export class UnsettledWrites {
  /** By their records, the oldest first. */
  readonly #kept = new Map<string, Kept>();
  #length = 0;

  constructor(saved: readonly (readonly [string, OwnWrite])[] = []) {
    for (const [record, write] of saved) this.keep(record, write);
  }

  get(record: string): OwnWrite | null {
    return this.#kept.get(record)?.write ?? null;
  }

  /** The revisions up to which they are known, each by its record's. */
  get since(): number[] {
    return [...this.#kept.values()].map(({ write }) => write.since);
  }

  /** Of them all, the oldest go that are too many, or too much. Returns whether anything is new about it. */
  keep(record: string, write: OwnWrite): boolean {
    if (equalityDeep(this.get(record), write)) return false;
    this.delete(record);
    // Each is measured once: a batch may bring a thousand.
    const { length } = JSON.stringify(write.sent);
    this.#kept.set(record, { write, length });
    this.#length += length;
    for (const oldest of this.#kept.keys()) {
      if (this.#length <= MAX_LENGTH && this.#kept.size <= MAX_WRITES) break;
      this.delete(oldest);
    }
    return true;
  }

  /** Returns whether it was there. */
  delete(record: string): boolean {
    this.#length -= this.#kept.get(record)?.length ?? 0;
    return this.#kept.delete(record);
  }

  /** The records of those that came before this time. */
  before(time: number): RecordKey[] {
    const isBefore = ({ write }: Kept) => (write.at ?? 0) < time;
    return [...this.#kept].filter(([, kept]) => isBefore(kept)).map(([record]) => recordOf(record));
  }

  /** Those that the device has read over, with what stands at this revision. Returns whether there were any. */
  settleUpTo(revision: number): boolean {
    const { size } = this.#kept;
    for (const [record, { write }] of this.#kept) if (write.revision <= revision) this.delete(record);
    return this.#kept.size < size;
  }

  toJSON(): [string, OwnWrite][] {
    return [...this.#kept].map(([record, { write }]) => [record, write]);
  }
}
