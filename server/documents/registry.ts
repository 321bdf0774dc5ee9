/** Keeps the documents that are in use: each is loaded once, shared, and let go when nobody uses it. */

import type { UserId } from '../../shared/names.js';
import { SyncError } from '../errors.js';
import { type Store, takesWork as storeTakesWork } from '../store/store.js';
import { REST_SHARE } from './compaction/document-compaction.js';
import { compactLast } from './compaction/last-compactions.js';
import { type DocumentOptions, NO_LIMITS } from './document-options.js';
import { Rewrites, type RewritesOptions } from './epochs/rewrites.js';
import { ServerIds } from './epochs/server-ids.js';
import { Erasures } from './erasures.js';
import { Prunings } from './history/prunings.js';
import { CheckScratch } from './intake/check.js';
import { timesOf } from './later-wins/kept-times.js';
import { Slices } from './loading/slices.js';
import { safelyWith } from './safely.js';
import { SeenDevices } from './seen-devices.js';
import { FollowedDocuments, type Following } from './sleep/followed-documents.js';
import type { Hold } from './sleep/follower.js';
import { MemoryLimit } from './sleep/memory-limit.js';
import { UserDocument } from './user-document.js';

const nothing = (): void => {};

export interface RegistryOptions extends Omit<DocumentOptions, 'ids' | 'scratch' | 'devices'> {
  readonly store: Store;
  /** How long a document that nobody uses stays in memory, in ms. */
  readonly idleTimeout: number;
  /** How long after its last change a document leaves the memory, where only connections use it; `null`, or left out: never. */
  readonly restAfter?: number | null;
  /** What was noted of the records of a document can't be read; it is loaded, and they are noted anew. */
  readonly onViewDamaged?: (user: UserId) => void;
  /** Memory for documents that nobody needs right now, in bytes; left out, no limit. */
  readonly memoryBudget?: number;
  /** Milliseconds from any moment on, that never jump; left out, those of the process. */
  readonly uptime?: () => number;
  /** A random whole number from 0 to 2^32 - 1. */
  readonly randomId: () => number;
  readonly onRewritten?: RewritesOptions['onRewritten'];
  /** It was loaded, for whatever it was. */
  readonly onLoaded?: (user: UserId) => void;
}

/** A document in use; `release` it when done. */
export type Lease = Pick<Hold, 'document' | 'release'>;

interface Entry {
  readonly loading: Promise<UserDocument>;
  document: UserDocument | null;
  uses: number;
  idle: NodeJS.Timeout | null;
}

/** How often it is looked which documents may sleep, in ms. */
const SLEEP_INTERVAL = 3_000;
const SHORTEST_INTERVAL = 20;
/** Where documents never sleep, one that did not change for so long counts as quiet, in ms. */
const QUIET = 30_000;

export class DocumentRegistry {
  readonly #options: RegistryOptions;
  readonly #entries = new Map<UserId, Entry>();
  readonly #scratch = new CheckScratch();
  readonly #slices: Slices;
  readonly #ids: ServerIds;
  readonly #erasures: Erasures;
  readonly #prunings: Prunings;
  readonly #followed: FollowedDocuments;
  readonly #rewrites: Rewrites;
  readonly #limit: MemoryLimit;
  readonly #sleeping: NodeJS.Timeout;
  /** The devices that were there. */
  readonly seen: SeenDevices;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#slices = options.slices ?? new Slices();
    this.#ids = new ServerIds(options.store, options.randomId);
    this.seen = new SeenDevices(options.store);
    this.#prunings = new Prunings(
      (user) => this.#entries.get(user)?.document ?? null,
      () => this.#uptime(),
    );
    const { store, turns, restAfter = null, onUnexpected, now, limits = NO_LIMITS } = options;
    const { onViewDamaged = nothing } = options;
    const documents = {
      // Who follows it may ask again and again what can be told without it: its time to rest comes all the same.
      open: (user: UserId) => this.#openHeld(user, this.#rests),
      isInUse: (user: UserId) => this.#entries.has(user),
      notErasing: (user: UserId) => this.#erasures.over(user),
    };
    this.#followed = new FollowedDocuments(documents, {
      store,
      turns,
      restAfter,
      safely: safelyWith(onUnexpected),
      now,
      maxDevices: limits.maxDevices,
      onViewDamaged,
    });
    this.#rewrites = this.#makeRewrites();
    this.#erasures = this.#makeErasures();
    const { memoryBudget = Number.POSITIVE_INFINITY } = options;
    this.#limit = new MemoryLimit(memoryBudget, (document) => this.#letGoNow(document));
    const interval = Math.min(Math.max((restAfter ?? SLEEP_INTERVAL) / 2, SHORTEST_INTERVAL), SLEEP_INTERVAL);
    this.#sleeping = setInterval(() => this.sleep(), interval).unref();
  }

  /** The documents in memory. */
  get documents(): UserDocument[] {
    return [...this.#entries.values()].flatMap(({ document }) => (document === null ? [] : [document]));
  }

  /**
   * Loads the user's document, once for all who ask at the same time.
   *
   * @throws SyncError `STORE_UNAVAILABLE` or `DOCUMENT_CORRUPT`
   */
  open(user: UserId): Promise<Lease> {
    return this.#openHeld(user);
  }

  /**
   * The document as native connections follow it: it is loaded where that is needed.
   *
   * @throws SyncError `STORE_UNAVAILABLE` or `DOCUMENT_CORRUPT`
   */
  follow(user: UserId): Promise<Following> {
    return this.#followed.follow(user);
  }

  /** What there is of it without a load, at once where it is at hand; `null`: it has to be loaded. Never rejects. */
  lookUp(user: UserId): Following | null | Promise<Following | null> {
    return this.#followed.lookUp(user);
  }

  /**
   * The same as `follow`, where `lookUp` has found nothing.
   *
   * @throws SyncError `STORE_UNAVAILABLE` or `DOCUMENT_CORRUPT`
   */
  followLoaded(user: UserId): Promise<Following> {
    return this.#followed.load(user);
  }

  /** Documents that connections follow, and that are not in memory. */
  get asleep(): number {
    return this.#followed.asleep;
  }

  #makeRewrites(): Rewrites {
    const { now, times, restAfter } = this.#options;
    const documents = {
      // At once where it can be: what is about to fall asleep stays in memory.
      open: (user: UserId) => (this.#erasures.isUnderWay(user) ? this.#openHeld(user) : this.#open(user)),
      takesRewrites: (user: UserId) => this.#followed.takesRewrites(user),
      sendAway: (user: UserId, error: SyncError) => this.#followed.sendAway(user, error),
    };
    const { retention } = times ?? timesOf(now);
    return new Rewrites(documents, { ...this.#options, retention, quietFor: restAfter ?? QUIET });
  }

  #makeErasures(): Erasures {
    const { store, now, times } = this.#options;
    return new Erasures({
      store,
      seen: this.seen,
      open: (user) => this.#open(user),
      followed: this.#followed,
      erasedAt: times?.erasedAt ?? now,
      onBegun: (user) => this.#rewrites.visits.forget(user),
    });
  }

  /** A native device is there that can't go on after a rewrite (P10). */
  notePlainVisit(user: UserId): void {
    this.#rewrites.visits.note(user);
  }

  /** Since when such visits are noted. */
  plainVisitsSince = (): Promise<number> => this.#rewrites.visits.since();

  /** Writes a stored document anew where its past has outgrown its content, and that may be (P10). */
  rewriteIfDue = (user: UserId): Promise<void> => this.#rewrites.check(user);

  /** Lets go of documents that did not change for a while, and that only connections use. */
  sleep(): void {
    const now = this.#uptime();
    this.#rewrites.look(this.documents, now);
    this.#followed.sleep(now);
    this.#limit.look(() => this.documents, now);
  }

  #uptime(): number {
    return this.#options.uptime?.() ?? performance.now();
  }

  async #openHeld(user: UserId, restsInTime = false): Promise<Hold> {
    await this.#erasures.over(user);
    return this.#open(user, restsInTime);
  }

  /**
   * Erases all data of a user; connected devices are sent away with `ERASED`. Resolves when the bytes are gone, with
   * whether there were any.
   */
  erase(user: UserId): Promise<boolean> {
    return this.#erasures.erase(user);
  }

  /** Whether somebody uses the document, or follows it; it may be under way from the store. */
  isInUse(user: UserId): boolean {
    return this.#entries.has(user) || this.#followed.has(user);
  }

  /** What is here of the user may be out of date, as where another server has taken over: who follows it has to come again. */
  lose(
    user: UserId,
    error = new SyncError('RESTARTING', 'Another server has taken over; connect again.'),
  ): void {
    const entry = this.#entries.get(user);
    if (entry?.document) entry.document.fail(error);
    else entry?.loading.then((document) => document.fail(error), nothing); // told to who waits for it
    this.#followed.fail(user, error);
  }

  /** @param restsInTime where nobody used it before, it leaves the memory no later for this use, unless that changes or needs it */
  async #open(user: UserId, restsInTime = false): Promise<Hold> {
    const entry = this.#entries.get(user) ?? this.#load(user);
    entry.uses++;
    if (entry.idle !== null && !restsInTime) {
      clearTimeout(entry.idle);
      entry.idle = null;
    }
    try {
      const document = await entry.loading;
      if (document.failure !== null) throw document.failure;
      this.#limit.use(document, this.#uptime());
      return this.#hold(user, entry, document);
    } catch (error) {
      entry.uses--;
      throw error;
    }
  }

  /** Removes what has become too old of the history of a document, in memory or not. */
  async prune(user: UserId): Promise<void> {
    const { release } = await this.open(user);
    await this.#prunings.run(user).finally(release);
  }

  /** Resolves when what was begun to be removed of the history of documents is gone, or stays. */
  pruned = (): Promise<void> => this.#prunings.ended;

  /** Resolves when everything that was received, and what is known of devices, is durable, or can't be. */
  async flush(): Promise<void> {
    this.#rewrites.visits.flush();
    const seen = this.seen.flush(); // takes long where thousands were there, and the rest may not wait for that
    await this.#followed.flush();
    for (const document of this.documents) document.saveDevices('all');
    await Promise.allSettled(this.documents.map((document) => document.durable()));
    if (this.#rests) for (const document of this.documents) document.rest.note();
    await seen;
  }

  /** To be called when all is durable and nothing more comes in: makes the next start easier, for `ms` at most. */
  compactLast(ms: number): Promise<void> {
    const uptime = () => this.#uptime();
    const takesWork = () => storeTakesWork(this.#options.store.state);
    return compactLast(this.documents, { uptime, end: uptime() + ms, takesWork });
  }

  get #rests(): boolean {
    return (this.#options.restAfter ?? null) !== null;
  }

  /** Lets go of everything; nothing may use a document afterwards. */
  close(): void {
    clearInterval(this.#sleeping);
    this.#slices.close();
    this.#rewrites.visits.flush();
    this.#followed.clear();
    for (const { idle } of this.#entries.values()) if (idle !== null) clearTimeout(idle);
    this.#entries.clear();
  }

  #load(user: UserId): Entry {
    const loading = this.#options.store.load(user).then(async (stored) => {
      this.#options.onLoaded?.(user);
      const document = new UserDocument(user, stored, {
        ...this.#options,
        ids: (epoch, erased = null) => this.#ids.of(user, epoch, erased),
        scratch: this.#scratch,
        slices: this.#slices,
        devices: this.#followed.devices(user),
        onFailed: (_user, error) => {
          this.#drop(user, entry);
          this.#followed.drop(user);
          this.#options.onFailed(user, error);
        },
      });
      await document.loaded;
      entry.document = document;
      this.#followed.wake(user, () => this.#use(user, entry, document));
      this.#prunings.noteLoad(user);
      this.#limit.look(() => this.documents, this.#uptime());
      return document;
    });
    const entry: Entry = { loading, document: null, uses: 0, idle: null };
    this.#entries.set(user, entry);
    loading.catch((error: unknown) => {
      this.#drop(user, entry);
      this.#followed.sleepOn(user);
      if (error instanceof SyncError) this.#options.onFailed(user, error);
      else this.#options.onUnexpected(error);
    });
    return entry;
  }

  #use(user: UserId, entry: Entry, document: UserDocument): Hold {
    entry.uses++;
    return this.#hold(user, entry, document);
  }

  #hold(user: UserId, entry: Entry, document: UserDocument): Hold {
    let released = false;
    return {
      document,
      get isSole() {
        return entry.uses === 1;
      },
      release: () => {
        if (released) return;
        released = true;
        entry.uses--;
        this.#restWhenUnused(user, entry, document);
      },
      letGo: () => {
        released = true;
        entry.uses--;
        if (this.#entries.get(user) === entry) this.#letGo(user, entry);
      },
    };
  }

  #restWhenUnused(user: UserId, entry: Entry, document: UserDocument): void {
    if (entry.uses > 0 || entry.idle !== null || this.#entries.get(user) !== entry) return;
    const { demand } = document.rest;
    entry.idle = setTimeout(() => {
      entry.idle = null;
      if (entry.uses > 0) return;
      if (document.rest.demand !== demand || !this.#isSettled(document))
        document.afterDurable(() => this.#restWhenUnused(user, entry, document));
      else this.#letGo(user, entry);
    }, this.#options.idleTimeout);
    entry.idle.unref();
  }

  /** Whether everything of it is stored as it should be while it is not in memory. */
  #isSettled(document: UserDocument): boolean {
    if (!this.#rests) {
      document.compaction.runIfDue(REST_SHARE);
      document.saveDevices('all');
      return document.rest.isCalm;
    }
    const isSettled = document.rest.prepare();
    if (isSettled) document.rest.note();
    return isSettled;
  }

  /** Before its time: the memory is needed. */
  #letGoNow(document: UserDocument): boolean {
    const { user } = document;
    const entry = this.#entries.get(user);
    if (entry?.document !== document || entry.uses > 0) return this.#followed.sleepNow(user);
    if (!this.#isSettled(document)) return false;
    this.#letGo(user, entry);
    return true;
  }

  #letGo(user: UserId, entry: Entry): void {
    this.#drop(user, entry);
    this.#options.store.forget(user);
  }

  #drop(user: UserId, entry: Entry): void {
    if (entry.idle !== null) clearTimeout(entry.idle);
    if (this.#entries.get(user) === entry) this.#entries.delete(user);
  }
}
