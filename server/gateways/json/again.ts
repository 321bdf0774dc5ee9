/** What of one collection is sent to a JSON device once more, since its app may have lost it (L4). */

/** In ms; each pause after the first one is twice as long, up to the longest. */
const FIRST_PAUSE = 5_000;
const LONGEST_PAUSE = 3_600_000;

/**
 * So long waits what was sent once more so often before. Some apps write something whenever they are sent something,
 * so that each repeat is in doubt again, and without pauses that would go on without end.
 */
export const pauseBefore = (repeats: number): number => Math.min(FIRST_PAUSE * 2 ** repeats, LONGEST_PAUSE);

export interface Due<Message> {
  readonly message: Message;
  /** How often it was sent once more before. */
  readonly repeats: number;
  /** Not before that. */
  readonly at: number;
}

export class Again<Message> {
  /** By record. */
  readonly #due = new Map<string, Due<Message>>();
  /** The one that is due first; `null`: to be looked for. */
  #first: Due<Message> | null = null;

  get(key: string): Due<Message> | undefined {
    return this.#due.get(key);
  }

  set(key: string, due: Due<Message>): void {
    this.delete(key);
    this.#due.set(key, due);
    if (this.#first !== null && due.at < this.#first.at) this.#first = due;
  }

  delete(key: string): void {
    if (this.#due.get(key) === this.#first) this.#first = null;
    this.#due.delete(key);
  }

  clear(): void {
    this.#due.clear();
    this.#first = null;
  }

  /** The one that is due first; of several, the one that waits longest. */
  get first(): Due<Message> | null {
    if (this.#first === null)
      for (const due of this.#due.values())
        if (this.#first === null || due.at < this.#first.at) this.#first = due;
    return this.#first;
  }
}
