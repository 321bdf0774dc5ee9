/**
 * Rest rows of those who came last, so that nothing has to be read when they come again. They are kept as they are
 * stored: where that is encrypted, so are they. As long as the database is open nobody else writes to it, so one holds
 * until something of its user is changed here.
 */
import type { UserId } from '../../../shared/names.js';
import { BoundedMap } from '../../bounded-map.js';
import type { SealedRest } from './rest.js';

/** Bytes as a string take a tenth of what two small buffers do. */
interface Kept {
  readonly noted: string;
  readonly wrapped: string | undefined;
}

/** Of a read that is under way: what it finds holds only if nothing was changed meanwhile. */
export type Mark = object;

/** What one takes beside its bytes: the map, two objects, the name. */
const OVERHEAD = 256;

const NEARLY_ALL = 0.9;

const sizeOf = ({ noted, wrapped = '' }: Kept): number => noted.length + wrapped.length + OVERHEAD;

export class RestMemory {
  readonly #kept: BoundedMap<UserId, Kept>;
  readonly #reading = new Map<UserId, Mark>();
  readonly #budget: number;

  /** @param budget in bytes */
  constructor(budget: number) {
    this.#budget = budget;
    this.#kept = new BoundedMap({ most: Number.POSITIVE_INFINITY, maxSize: budget, sizeOf });
  }

  /** Whether more can be kept without another one having to go for it soon. */
  get hasRoom(): boolean {
    return this.#kept.taken < this.#budget * NEARLY_ALL;
  }

  get(user: UserId): SealedRest | undefined {
    const kept = this.#kept.renewed(user);
    return (
      kept && {
        noted: bytesOf(kept.noted),
        wrapped: kept.wrapped === undefined ? undefined : bytesOf(kept.wrapped),
      }
    );
  }

  /** Stays the same as long as nothing of this user is changed; `undefined` where nothing is kept. */
  markOf(user: UserId): Mark | undefined {
    return this.#kept.get(user);
  }

  /** Is about to be read. */
  expect(user: UserId): Mark {
    const mark = this.#reading.get(user) ?? {};
    this.#reading.set(user, mark);
    return mark;
  }

  /** Was read; `null` where there is nothing that holds. */
  keep(user: UserId, mark: Mark, sealed: SealedRest | null): void {
    if (this.#reading.get(user) !== mark) return;
    this.#reading.delete(user);
    const kept = sealed && { noted: textOf(sealed.noted), wrapped: sealed.wrapped && textOf(sealed.wrapped) };
    if (kept !== null && sizeOf(kept) <= this.#budget) this.#kept.add(user, kept);
  }

  /** Something of this user is changed. */
  drop(user: UserId): void {
    this.#kept.delete(user);
    this.#reading.delete(user);
  }

  clear(): void {
    this.#kept.clear();
    this.#reading.clear();
  }
}

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');
