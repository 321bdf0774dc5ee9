/**
 * A connection that its device has given up, or writes beside: what lies in it may have come by another way already, and
 * what was made after that, too (L5).
 */
import { LATEST, NONE } from './write-context.js';

/** Of so many of its own last writes it is known that they came over the connection itself. */
const MAX_OWN = 1_000;

export class Overtaken {
  /** What was made up to then may have come by another way. */
  #upTo = NONE;
  /** Of the document before the first of them. */
  #since = 0;
  /** What came over this connection since, in order. */
  readonly #own = new Set<number>();

  /** A newer connection of the device begins. */
  byConnection(revision: number): void {
    this.#begin(revision);
    this.#upTo = LATEST;
  }

  /** The device wrote over HTTP: this revision, or up to it. */
  byRequest(at: number, revision: number): void {
    this.#begin(revision - 1);
    this.#upTo = Math.max(this.#upTo, at);
  }

  #begin(revision: number): void {
    if (this.#upTo === NONE) this.#since = revision;
  }

  /** A write came over this connection: those are in their order, whatever the device's clock says. */
  wrote(revision: number): void {
    if (this.#upTo === NONE) return;
    this.#own.add(revision);
    if (this.#own.size <= MAX_OWN) return;
    const [oldest] = this.#own;
    if (oldest !== undefined) this.#own.delete(oldest);
  }

  /** For a write that was made then: which revisions may have come by another way; `null`: none. */
  at(madeAt: number | null): ((revision: number) => boolean) | null {
    return madeAt !== null && madeAt <= this.#upTo ? this.#isElsewhere : null;
  }

  readonly #isElsewhere = (revision: number): boolean => revision > this.#since && !this.#own.has(revision);
}
