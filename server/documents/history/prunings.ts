/** When what has become too old of the history of documents goes (H7): once a day, of one user after another. */
import type { UserId } from '../../../shared/names.js';
import type { DocumentPruning } from './document-pruning.js';

const DAY = 86_400_000;
/** Users of whom it is known when that was last tried; of others it is tried again when they come. */
const MOST_KNOWN = 100_000;
/** After so long the next one has its turn, in ms: a store that does not answer for one user keeps none of the others. */
const LONGEST_TURN = 60_000;

interface PrunedDocument {
  readonly pruning: DocumentPruning;
}

export class Prunings {
  readonly #inMemory: (user: UserId) => PrunedDocument | null;
  readonly #uptime: () => number;
  readonly #triedAt = new Map<UserId, number>();
  /** Those who are still to have their turn; until then, their documents may leave the memory. */
  readonly #waiting = new Set<UserId>();
  /** Resolves when all that was begun has ended, or goes on beside others. */
  ended: Promise<void> = Promise.resolve();

  /**
   * @param inMemory the document of a user, where it is in memory
   * @param uptime milliseconds from any moment on
   */
  constructor(inMemory: (user: UserId) => PrunedDocument | null, uptime: () => number) {
    this.#inMemory = inMemory;
    this.#uptime = uptime;
  }

  /** A document was loaded: who uses it does not wait. */
  noteLoad(user: UserId): void {
    const triedAt = this.#triedAt.get(user);
    const isDue = triedAt === undefined || this.#uptime() - triedAt >= DAY;
    if (isDue && !this.#waiting.has(user)) void this.run(user);
  }

  /** Never rejects. Where the document is not in memory any more at its turn, it is left to another day. */
  run(user: UserId): Promise<void> {
    this.#waiting.add(user);
    this.ended = this.ended.then(() => this.#turn(user));
    return this.ended;
  }

  async #turn(user: UserId): Promise<void> {
    this.#waiting.delete(user);
    const document = this.#inMemory(user);
    if (document === null) return;
    this.#noteTried(user);
    await orLater(document.pruning.run(() => this.#inMemory(user) === document));
  }

  #noteTried(user: UserId): void {
    this.#triedAt.delete(user);
    this.#triedAt.set(user, this.#uptime());
    for (const oldest of this.#triedAt.keys()) {
      if (this.#triedAt.size <= MOST_KNOWN) break;
      this.#triedAt.delete(oldest);
    }
  }
}

/** Resolves when it has ended, or has taken so long that it goes on beside others. */
function orLater(pruning: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LONGEST_TURN).unref();
  });
  return Promise.race([pruning, late]).finally(() => clearTimeout(timer));
}
