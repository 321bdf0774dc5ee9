/**
 * Documents that nobody needs right now leave the memory early where all together take too much; what was used least
 * recently goes first (P8). What is in use stays, whatever it takes.
 */
import type { UserDocument } from '../user-document.js';

interface Use {
  changes: number;
  at: number;
}

/** From one look to the next, in ms: each passes by all documents. */
const AGAIN = 250;
/** How long documents are let go of before others have their turn, in ms. */
const SLICE = 5;

export class MemoryLimit {
  readonly #budget: number;
  readonly #letGo: (document: UserDocument) => boolean;
  readonly #uses = new WeakMap<UserDocument, Use>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #isLettingGo = false;

  /**
   * @param budget in bytes
   * @param letGo lets go of it where nobody needs it and nothing of it is under way; returns whether that was so
   */
  constructor(budget: number, letGo: (document: UserDocument) => boolean) {
    this.#budget = budget;
    this.#letGo = letGo;
  }

  /** It is used, at a time from any moment on. */
  use(document: UserDocument, now: number): void {
    this.#uses.set(document, { changes: document.rest.changes, at: now });
  }

  /** To be called now and then, and when a document was loaded. */
  look(inMemory: () => UserDocument[], now: number): void {
    if (this.#isLettingGo || now - this.#lookedAt < AGAIN) return;
    this.#lookedAt = now;
    const documents = inMemory();
    for (const document of documents) {
      if (this.#uses.get(document)?.changes !== document.rest.changes) this.use(document, now);
    }
    const excess = documents.reduce((sum, { rest }) => sum + rest.memory, 0) - this.#budget;
    if (excess <= 0) return;
    const since = (document: UserDocument) => this.#uses.get(document)?.at ?? now;
    const idle = documents.filter((document) => since(document) < now);
    this.#isLettingGo = true;
    this.#free(
      excess,
      idle.sort((a, b) => since(b) - since(a)),
    );
  }

  /** @param idle the one that goes first at the end */
  #free(excess: number, idle: UserDocument[]): void {
    const end = performance.now() + SLICE;
    let left = excess;
    for (let next = idle.pop(); next !== undefined && left > 0; next = idle.pop()) {
      const { memory } = next.rest;
      if (this.#letGo(next)) left -= memory;
      if (performance.now() < end) continue;
      setImmediate(() => this.#free(left, idle));
      return;
    }
    this.#isLettingGo = false;
  }
}
