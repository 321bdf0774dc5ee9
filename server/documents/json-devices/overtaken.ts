/**
 * A connection that its device has given up, or writes beside: what lies in it may have come by another way already, and
 * what was made after that, too (L5).
 */
import { BoundedMap } from '../../bounded-map.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import type { DeviceState } from './device.js';
import type { OwnWrite } from './own-write.js';
import { type Elsewhere, LATEST, NONE } from './write-context.js';

/** Of so many of its own last writes it is known that they came over the connection itself. */
const MAX_OWN = 1_000;
/** Deletions of so many records are remembered. */
const MAX_DELETIONS = 1_000;

export class Overtaken {
  /** What was made up to then may have come by another way. */
  #upTo = NONE;
  /** Of the document before the first of them. */
  #since = 0;
  /** What came over this connection since, in order. */
  readonly #own = new Set<number>();
  /** By record, the last one that came by another way; made with the first one. */
  #deletions: BoundedMap<string, OwnWrite> | null = null;

  /** A newer connection of the device begins. */
  byConnection(revision: number): void {
    this.#begin(revision);
    this.#upTo = LATEST;
  }

  /**
   * The device wrote over HTTP.
   *
   * @param before the revision of the document before that
   */
  byRequest(at: number, before: number): void {
    this.#begin(before);
    this.#upTo = Math.max(this.#upTo, at);
  }

  #begin(revision: number): void {
    if (this.#upTo === NONE) this.#since = revision;
  }

  /** What came by another way: the history does not tell of a deletion that found nothing. */
  wroteElsewhere(key: RecordKey, own: OwnWrite): void {
    if (own.sent !== null || own.madeAt === null) return;
    this.#deletions ??= new BoundedMap({ most: MAX_DELETIONS });
    this.#deletions.add(keyOf(key), own);
  }

  /** A write came over this connection: those are in their order, whatever the device's clock says. */
  wrote(revision: number): void {
    if (this.#upTo === NONE) return;
    this.#own.add(revision);
    if (this.#own.size <= MAX_OWN) return;
    const [oldest] = this.#own;
    if (oldest !== undefined) this.#own.delete(oldest);
  }

  /** For a write of this record that was made then; `null`: it came by no other way before. */
  elsewhere(key: RecordKey, madeAt: number | null, device: DeviceState): Elsewhere | null {
    if (madeAt === null || madeAt > this.#upTo) return null;
    const deletion = device.byNow(this.#deletions?.get(keyOf(key)) ?? null);
    return { made: this.#isElsewhere, deletedAt: deletion?.madeAt ?? null };
  }

  readonly #isElsewhere = (revision: number): boolean => revision > this.#since && !this.#own.has(revision);
}
