/** Which documents are written anew, and when: at a quiet moment, one at a time, and where no device would be lost (P10). */
import * as Y from 'yjs';
import type { UserId } from '../../../shared/names.js';
import { BoundedMap } from '../../bounded-map.js';
import { SyncError } from '../../errors.js';
import type { RestRow, Store } from '../../store/store.js';
import type { UserDocument } from '../user-document.js';
import { MANY_CLIENTS, MANY_DEAD, type RewriteSizes } from './document-rewriting.js';
import { PlainVisits } from './plain-visits.js';

const DAY = 86_400_000;
/** A visit is noted once a day: so long after the note, the device was away for a day at least. */
const LEAST_DAYS = 2;
/**
 * A document with so many ids of documents before, erased ones included, is written anew once a day: who writes under
 * new ids without end makes the server go through all of them no more often than that.
 */
export const MANY_RETIRED = 100_000;
const MOST_LATELY = 10_000;
/** How often a client id is drawn until it is none that the document has, or had. */
const TRIES = 9;

export interface RewritesOptions {
  readonly store: Store;
  readonly now: () => number;
  /** By this time it is decided what is old enough to be forgotten. */
  readonly retention: () => number;
  readonly historyDays: number;
  /** So long nothing must have changed, in ms. */
  readonly quietFor: number;
  readonly randomId: () => number;
  readonly manyClients?: number;
  readonly onRewritten?: ((user: UserId, sizes: RewriteSizes) => void) | undefined;
  readonly onUnexpected: (error: unknown) => void;
}

/** The documents, as they are used. */
export interface RewrittenDocuments {
  /** Loads it; the function lets go of it. */
  open(user: UserId): Promise<{ readonly document: UserDocument; release(): void }>;
  /** Whether all its native connections go on after a rewrite by themselves. */
  takesRewrites(user: UserId): boolean;
  /** Ends its native connections. */
  sendAway(user: UserId, error: SyncError): void;
}

/** Since when a document in memory has not changed, and whether it was looked at since. */
interface Quiet {
  readonly changes: number;
  readonly since: number;
  isJudged: boolean;
}

export class Rewrites {
  readonly visits: PlainVisits;
  readonly #options: RewritesOptions;
  readonly #documents: RewrittenDocuments;
  readonly #quiet = new WeakMap<UserDocument, Quiet>();
  /** Those that sleep and are known not to need it, by their revision. */
  readonly #passed = new Map<UserId, number>();
  /** Those with many ids of documents before, and when they were written anew. */
  readonly #lately = new BoundedMap<UserId, number>({ most: MOST_LATELY });
  #uptime = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(documents: RewrittenDocuments, options: RewritesOptions) {
    this.#documents = documents;
    this.#options = options;
    this.visits = new PlainVisits(options.store, options.now);
  }

  /** Looks through those in memory. To be called every few seconds, with the time from any moment on. */
  look(documents: Iterable<UserDocument>, now: number): void {
    this.#uptime = now;
    for (const document of documents) if (this.#isWorthALook(document, now)) this.try(document.user);
  }

  /** Once, each time that it has come to rest. */
  #isWorthALook(document: UserDocument, now: number): boolean {
    const { changes } = document.rest;
    const quiet = this.#quiet.get(document);
    if (quiet?.changes !== changes) {
      this.#quiet.set(document, { changes, since: now, isJudged: false });
      return false;
    }
    if (quiet.isJudged || now - quiet.since < this.#options.quietFor || !document.rewriting.isPossible)
      return false;
    if (this.#wasLately(document.user)) return false;
    quiet.isJudged = true;
    return document.failure === null && document.rewriting.isDue;
  }

  /** Of a stored document, in the daily round. */
  async check(user: UserId): Promise<void> {
    const noted = await this.#options.store.rest(user);
    if (noted === null || !this.#mayBeDue(noted) || this.#passed.get(user) === noted.revision) return;
    if (!(await this.#mayRewrite(user))) return;
    if (!(await this.#run(user))) this.#passed.set(user, noted.revision);
  }

  /** Behind those that are under way. It is held from now on, so that it does not fall asleep before. */
  try(user: UserId): void {
    const held = this.#documents.open(user);
    held.catch(() => {}); // told in its turn
    const run = async (): Promise<void> => {
      const { document, release } = await held;
      await this.#rewrite(document).finally(release);
    };
    this.#last = this.#last.then(run).catch(this.#unlessKnown);
  }

  /** A store that fails, and a document that is damaged, are told of elsewhere. */
  readonly #unlessKnown = (error: unknown): void => {
    if (!(error instanceof SyncError)) this.#options.onUnexpected(error);
  };

  /** Returns whether it was due. */
  async #run(user: UserId): Promise<boolean> {
    const { document, release } = await this.#documents.open(user);
    try {
      const { isDue } = document.rewriting;
      if (isDue) await this.#rewrite(document);
      return isDue;
    } finally {
      release();
    }
  }

  async #rewrite(document: UserDocument): Promise<void> {
    const { user, rewriting, rest } = document;
    const { changes } = rest;
    if (this.#wasLately(user) || !(await this.#mayRewrite(user))) return;
    const client = this.#freshFor(document);
    if (!rewriting.isPossible || rest.changes !== changes) {
      this.#quiet.delete(document); // looked at again when it has come to rest
      return;
    }
    if (client === null || !rewriting.isDue) return;
    const away = () => this.#documents.sendAway(user, new SyncError('REWRITTEN'));
    const sizes = await rewriting.run(client, away, () => this.#isFree(user));
    if (sizes === null) return;
    const before = (document.epoch?.size ?? 0) + (document.erased?.size ?? 0);
    if (before > MANY_RETIRED) this.#lately.add(user, this.#uptime);
    this.#options.onRewritten?.(user, sizes);
  }

  /** One with many ids of documents before, as far as this server has done it since its start. */
  #wasLately(user: UserId): boolean {
    return this.#uptime - (this.#lately.get(user) ?? Number.NEGATIVE_INFINITY) < DAY;
  }

  /** No device is there, or may come back, that could only begin anew. */
  async #mayRewrite(user: UserId): Promise<boolean> {
    if (!this.#isFree(user)) return false;
    // Then nobody may count on it but who is about to come back; of the time before visits were noted, nothing is known.
    const { historyDays } = this.#options;
    const last = await (historyDays === 0 ? this.visits.lastNoted(user) : this.visits.last(user));
    return this.#isLongAgo(last) && this.#isFree(user);
  }

  /** None is there, or was here lately, as far as that is known without the store. */
  #isFree(user: UserId): boolean {
    return this.#documents.takesRewrites(user) && this.#isLongAgo(this.visits.lastHere(user));
  }

  #isLongAgo(visit: number): boolean {
    const { retention, historyDays } = this.#options;
    return visit <= retention() - Math.max(historyDays, LEAST_DAYS) * DAY;
  }

  /** What is noted tells how many clients there are, and how much of what they wrote is deleted. */
  #mayBeDue({ stateVector, deletions }: RestRow): boolean {
    const { manyClients = MANY_CLIENTS } = this.#options;
    if (Y.decodeStateVector(stateVector).size > manyClients) return true;
    let deleted = 0;
    for (const ranges of Y.decodeUpdate(deletions).ds.clients.values())
      for (const { len } of ranges) deleted += len;
    return deleted > MANY_DEAD;
  }

  #freshFor({ doc, epoch }: UserDocument): number | null {
    for (let tries = 0; tries < TRIES; tries++) {
      const client = this.#options.randomId();
      if (!doc.store.clients.has(client) && !epoch?.retires(client)) return client;
    }
    return null;
  }
}
