/**
 * When a native device was last there that can't go on after a rewrite, as unmodified y-websocket can't: its document
 * is not written anew before it has been away for so long that its user may do without it (P10).
 */
import type { UserId } from '../../../shared/names.js';
import type { Store } from '../../store/store.js';

const DAY = 86_400_000;
/** Since when visits are noted: nobody knows who was there before. */
const SINCE = 'plain-visits-since';
/** So long visits gather to be written together, in ms: after a start all come at once. */
const GATHERING = 1_000;

export class PlainVisits {
  readonly #store: Store;
  readonly #now: () => number;
  /** Those who are noted today, and when they came. */
  readonly #noted = new Map<UserId, number>();
  /** Of them, those that are still to be written, and when they came. */
  readonly #due = new Map<UserId, number>();
  #timer: NodeJS.Timeout | undefined;
  #day = Number.NaN;
  #since: Promise<number> | null = null;

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Such a device is there; written once a day. */
  note(user: UserId): void {
    const now = this.#now();
    const day = Math.floor(now / DAY);
    if (day !== this.#day) this.#noted.clear();
    this.#day = day;
    if (this.#noted.has(user)) return;
    this.#noted.set(user, now);
    this.#due.set(user, now);
    this.#timer ??= setTimeout(() => this.flush(), GATHERING).unref();
  }

  /** The user is about to be erased, and the note of a visit with him: who comes then is noted again. */
  forget(user: UserId): void {
    this.flush(); // else it would be noted of somebody who was erased
    this.#noted.delete(user);
  }

  /** Hands over what is still to be written. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [user, at] of this.#due) {
      // It is still there a moment later, or comes again.
      this.#store.notePlainVisit(user, at).catch(() => this.#noted.delete(user));
    }
    this.#due.clear();
  }

  /** The last visit, or when they were first noted, if that is later. */
  async last(user: UserId): Promise<number> {
    return Math.max(await this.lastNoted(user), await this.since());
  }

  /** The last visit that is noted. */
  async lastNoted(user: UserId): Promise<number> {
    const stored = await this.#store.plainVisit(user);
    return Math.max(stored ?? Number.NEGATIVE_INFINITY, this.lastHere(user)); // one may have come meanwhile
  }

  /** The last visit that is known without the store: that of today, where there was one. */
  lastHere(user: UserId): number {
    return this.#noted.get(user) ?? this.#due.get(user) ?? Number.NEGATIVE_INFINITY;
  }

  /** Begins to count, in a database that does not yet. */
  since(): Promise<number> {
    this.#since ??= this.#begin().catch((error: unknown) => {
      this.#since = null;
      throw error;
    });
    return this.#since;
  }

  async #begin(): Promise<number> {
    const noted = await this.#store.note(SINCE);
    if (noted !== null) return Number(Buffer.from(noted).toString());
    const now = this.#now();
    await this.#store.setNote(SINCE, Buffer.from(String(now)));
    return now;
  }
}
