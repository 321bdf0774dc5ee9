/** The documents that connections follow, one per user, whether they are in memory or not. */
import type { UserId } from '../../../shared/names.js';
import type { SyncError } from '../../errors.js';
import { type RestRow, type Store, takesWork } from '../../store/store.js';
import type { DeviceStates } from '../json-devices/devices.js';
import type { Safely } from '../safely.js';
import type { Turns } from '../turns/turns.js';
import { FollowedDocument, type FollowedOptions } from './followed-document.js';
import type { Hold } from './follower.js';
import { Wakes } from './wakes.js';

/** A document that somebody follows; `release` it when done. */
export interface Following {
  readonly document: FollowedDocument;
  release(): void;
}

/** The documents in memory. */
export interface Documents {
  /** Loads it, once for all who ask, and calls `wake` before anybody has it. */
  open(user: UserId): Promise<Hold>;
  isInUse(user: UserId): boolean;
  /** Resolves when it is not being erased. */
  notErasing(user: UserId): Promise<void> | undefined;
}

export interface SleepOptions {
  readonly store: Store;
  readonly safely: Safely;
  readonly turns?: Turns | undefined;
  /** So long after its last change a document sleeps, in ms; `null`: never. */
  readonly restAfter: number | null;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** JSON devices that are remembered of a user. */
  readonly maxDevices: number;
  readonly onViewDamaged: (user: UserId) => void;
}

/** How long documents are put to sleep before others have their turn, in ms. */
const SLICE = 5;

export class FollowedDocuments {
  readonly #followed = new Map<UserId, FollowedDocument>();
  /** What is being read of who is about to follow a document. */
  readonly #lookUps = new Map<UserId, Promise<RestRow | null>>();
  readonly #documents: Documents;
  readonly #options: SleepOptions;
  readonly #each: FollowedOptions;
  #isLooking = false;

  constructor(documents: Documents, options: SleepOptions) {
    this.#documents = documents;
    this.#options = options;
    const { store, safely, turns, now, maxDevices, onViewDamaged } = options;
    const wakes = new Wakes(store);
    const isErasing = (user: UserId) => documents.notErasing(user) !== undefined;
    this.#each = {
      safely,
      turns,
      open: (user) => wakes.run(() => documents.open(user)),
      store,
      devices: { store, safely, now, maxDevices, isErasing },
      isInUse: documents.isInUse,
      onViewDamaged,
      onEnd: (followed) => {
        if (this.#followed.get(followed.user) === followed) this.#followed.delete(followed.user);
      },
    };
  }

  /** Those that are not in memory. */
  get asleep(): number {
    let count = 0;
    for (const { isAwake } of this.#followed.values()) if (!isAwake) count++;
    return count;
  }

  /**
   * Asleep where something is noted of the document, else loaded.
   *
   * @throws SyncError `STORE_UNAVAILABLE` or `DOCUMENT_CORRUPT`
   */
  async follow(user: UserId): Promise<Following> {
    return (await this.lookUp(user)) ?? (await this.load(user));
  }

  /** The document as others follow it, or asleep; `null` where it has to be loaded. Loads nothing, never rejects. */
  lookUp(user: UserId): Following | null | Promise<Following | null> {
    const known = this.#followed.get(user);
    if (known !== undefined) return this.#use(known);
    const rest = this.#mayLookUp(user) ? this.#options.store.restAtHand?.(user) : null;
    return rest ? this.#use(this.#start(user, rest)) : this.#lookUpNoted(user);
  }

  async #lookUpNoted(user: UserId): Promise<Following | null> {
    await this.#documents.notErasing(user);
    const rest = this.#mayLookUp(user) ? await (this.#lookUps.get(user) ?? this.#lookUp(user)) : null;
    // Whoever loads it meanwhile may change it.
    return rest !== null && this.#mayRest(user) ? this.#use(this.#start(user, rest)) : null;
  }

  /**
   * Loaded, unless others follow it.
   *
   * @throws SyncError `STORE_UNAVAILABLE` or `DOCUMENT_CORRUPT`
   */
  async load(user: UserId): Promise<Following> {
    const known = this.#followed.get(user);
    if (known !== undefined) return this.#use(known);
    const hold = await this.#documents.open(user);
    const other = this.#followed.get(user);
    if (other === undefined) return this.#use(this.#start(user, hold));
    const following = this.#use(other);
    hold.release();
    return following;
  }

  /** Nothing is looked up where the store may be about to be opened anew: then a load tells. */
  #mayLookUp(user: UserId): boolean {
    const { store, restAfter } = this.#options;
    return restAfter !== null && takesWork(store.state) && this.#mayRest(user);
  }

  /** Once for all who ask. Whoever has loaded the document meanwhile may have changed it, and have gone. */
  #lookUp(user: UserId): Promise<RestRow | null> {
    const { store } = this.#options;
    // Another server may change what was read before the user was this one's.
    const noted = store.confirm?.(user).then(() => store.rest(user)) ?? store.rest(user);
    const lookUp: Promise<RestRow | null> = noted
      .catch(() => null)
      .then((rest) => {
        const holds = this.#lookUps.get(user) === lookUp;
        if (holds) this.#lookUps.delete(user);
        return holds ? rest : null;
      });
    this.#lookUps.set(user, lookUp);
    return lookUp;
  }

  #mayRest(user: UserId): boolean {
    return !this.#documents.isInUse(user) && this.#documents.notErasing(user) === undefined;
  }

  #start(user: UserId, state: Hold | RestRow): FollowedDocument {
    const followed = this.#followed.get(user) ?? new FollowedDocument(user, state, this.#each);
    this.#followed.set(user, followed);
    return followed;
  }

  #use(followed: FollowedDocument): Following {
    return followed.use();
  }

  /** The JSON devices that are connected while it sleeps, for the document that is being loaded. */
  devices(user: UserId): DeviceStates | undefined {
    const followed = this.#followed.get(user);
    return followed === undefined || followed.isAwake ? undefined : followed.devicesAtRest().states;
  }

  /** It could not be loaded. */
  sleepOn(user: UserId): void {
    this.#followed.get(user)?.endUnused();
  }

  /** Hands over what is known of devices and is not durable; resolves when all of it is, or can't be. */
  async flush(): Promise<void> {
    await this.#awake();
    const asleep = [...this.#followed.values()].filter(({ isAwake }) => !isAwake);
    for (const followed of asleep) followed.saveDevices('all');
    await Promise.allSettled(asleep.map((followed) => followed.durable()));
  }

  /** The document was loaded: who follows it, does so there. */
  wake(user: UserId, hold: () => Hold): void {
    this.#lookUps.delete(user);
    const followed = this.#followed.get(user);
    if (followed !== undefined && !followed.isAwake) followed.wake(hold());
  }

  /** What was loaded has failed: who comes from now on, follows another one. */
  drop(user: UserId): void {
    if (this.#followed.get(user)?.isAwake) this.#followed.delete(user);
  }

  /** Resolves when what came in for documents that are being woken is done, or can't be. */
  async #awake(): Promise<void> {
    const waking = [...this.#followed.values()].filter(({ isPaused }) => isPaused);
    await Promise.all(waking.map((followed) => new Promise<void>((done) => followed.whenReady(done))));
  }

  has(user: UserId): boolean {
    return this.#followed.has(user);
  }

  /** What is known of a document that sleeps. */
  noted(user: UserId): RestRow | null {
    return this.#followed.get(user)?.noted ?? null;
  }

  /** Whether everybody who follows the document goes on after it was rewritten. */
  takesRewrites(user: UserId): boolean {
    for (const { takesRewrites } of this.#followed.get(user)?.followers ?? [])
      if (!takesRewrites) return false;
    return true;
  }

  /** Ends those who follow the document, which goes on. */
  sendAway(user: UserId, error: SyncError): void {
    this.#followed.get(user)?.sendAway(error);
  }

  /** Ends those who follow the document although it can't be loaded. */
  fail(user: UserId, error: SyncError): void {
    this.#lookUps.delete(user);
    this.#followed.get(user)?.fail(error);
  }

  /** Puts this one to sleep before its time, if it may; returns whether it does. */
  sleepNow(user: UserId): boolean {
    return this.#options.restAfter !== null && (this.#followed.get(user)?.sleepNow() ?? false);
  }

  /** Puts to sleep what may. To be called every few seconds, with the time from any moment on. */
  sleep(now: number): void {
    if (this.#options.restAfter === null || this.#isLooking) return;
    this.#isLooking = true;
    this.#look(this.#followed.values(), this.#options.restAfter, now);
  }

  /** Thousands may be due at once, as after a start: what comes in is done in between. */
  #look(all: Iterator<FollowedDocument>, restAfter: number, now: number): void {
    const end = performance.now() + SLICE;
    for (let next = all.next(); !next.done; next = all.next()) {
      const followed = next.value;
      this.#options.safely(() => followed.sleepAfter(restAfter, now));
      if (performance.now() < end) continue;
      setImmediate(() => this.#look(all, restAfter, now));
      return;
    }
    this.#isLooking = false;
  }

  clear(): void {
    this.#followed.clear();
  }
}
