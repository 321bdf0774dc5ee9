/** When what has become too old of the history of documents goes (H7): once a day, of one user after another. */
import type { UserId } from '../../../shared/names.js';
import type { DocumentPruning } from './document-pruning.js';

const DAY = 86_400_000;
/** Users of whom it is known when that was last tried; of others it is tried again when they come. */
const MOST_KNOWN = 100_000;

interface PrunedDocument {
  readonly user: UserId;
  readonly pruning: DocumentPruning;
}

export class Prunings {
  readonly #isInUse: (document: PrunedDocument) => boolean;
  readonly #uptime: () => number;
  readonly #triedAt = new Map<UserId, number>();
  /** Resolves when all that was begun has ended. */
  ended: Promise<void> = Promise.resolve();

  /** @param uptime milliseconds from any moment on */
  constructor(isInUse: (document: PrunedDocument) => boolean, uptime: () => number) {
    this.#isInUse = isInUse;
    this.#uptime = uptime;
  }

  /** A document was loaded: who uses it does not wait. */
  noteLoad(document: PrunedDocument): void {
    const triedAt = this.#triedAt.get(document.user);
    if (triedAt === undefined || this.#uptime() - triedAt >= DAY) void this.run(document);
  }

  /** Never rejects. */
  run(document: PrunedDocument): Promise<void> {
    const { user, pruning } = document;
    this.#triedAt.delete(user);
    this.#triedAt.set(user, this.#uptime());
    for (const oldest of this.#triedAt.keys()) {
      if (this.#triedAt.size <= MOST_KNOWN) break;
      this.#triedAt.delete(oldest);
    }
    this.ended = this.ended.then(() => pruning.run(() => this.#isInUse(document)));
    return this.ended;
  }
}
