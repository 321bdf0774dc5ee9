/** The placement by a store that several servers share, in which the owner of each user stands. */
import type { UserId } from '../../shared/names.js';
import type { Doubt, NodeId, Place, Placement } from './placement.js';
import { Takeovers } from './takeovers.js';

/** What such a store tells; the store itself has the contract. */
export interface OwningStore {
  /** The other server that has the user; `null` where there is none, and from now on it is this one. */
  owner(user: UserId, relieved?: string): Promise<{ readonly node: string; readonly address: string } | null>;
  /** Of these users, those who may not be this server's any more; left out, each is asked for. */
  lost?(users: readonly UserId[]): Promise<readonly UserId[]>;
  /** Of these servers, those whose users go to who asks next. */
  gone?(nodes: readonly string[]): Promise<readonly string[]>;
  /** Another server may have the user. */
  letGo?(user: UserId): Promise<void>;
}

/** The documents of this node. */
export interface Documents {
  /** Whether somebody uses the document of the user, or follows it. */
  isInUse(user: UserId): boolean;
  /** Another node has the user: what is in memory is out of date, and who follows it has to come again. */
  lose(user: UserId): void;
}

/** So many users are asked for at once: more would hold up what others ask. */
const ASKED_AT_ONCE = 5_000;

export class StorePlacement implements Placement {
  readonly #store: OwningStore;
  /** Milliseconds from any moment on, that never jump. */
  readonly #uptime: () => number;
  readonly #takeovers = new Takeovers();
  /** The users that this node was found to have, and when it was last asked. */
  readonly #own = new Map<UserId, number>();
  #documents: Documents | null = null;
  /** The look that is under way. */
  #looking: Promise<void> | null = null;
  #onLost = (): void => {};

  constructor(store: OwningStore, uptime: () => number) {
    this.#store = store;
    this.#uptime = uptime;
  }

  /** How many users this node has. */
  get owned(): number {
    return this.#own.size;
  }

  /** @param onLost called for each user that another node has taken */
  serve(documents: Documents, onLost = (): void => {}): void {
    this.#documents = documents;
    this.#onLost = onLost;
  }

  /** The store gives a user whose owner's beat is old to who asks. One with a fresh beat is asked first. */
  async whereIs(user: UserId): Promise<Place> {
    // Many come at once from a node that is gone: what is known of it need not be found out for each.
    const suspect = this.#takeovers.suspect(user, this.#uptime());
    const place = await this.#ask(user, suspect);
    if (place.here || place.node === suspect) return place;
    if (!this.#takeovers.mayTake(user, place.node, this.#uptime())) return place;
    return this.#ask(user, place.node);
  }

  /** A load makes the user this node's, for whatever it was: it is looked after as one who was asked for. */
  loaded(user: UserId): void {
    this.#own.set(user, this.#uptime());
  }

  doubt(_user: UserId, node: NodeId, why: Doubt): void {
    if (why === 'refused' || why === 'silent') this.#takeovers.failed(node, why, this.#uptime());
  }

  reached(node: NodeId): void {
    this.#takeovers.reached(node);
  }

  async gone(nodes: readonly NodeId[]): Promise<readonly NodeId[]> {
    return ((await this.#store.gone?.(nodes)) ?? []) as readonly NodeId[];
  }

  /**
   * Finds out which users others have taken, as from a node that had stopped, and lets go of those that nobody here has
   * used for `idle` ms. To be called every few seconds; where the store is slow, one look lasts until it has answered.
   */
  look(idle: number): Promise<void> {
    this.#looking ??= this.#look(idle).finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** Where the store can't tell, the next look does. */
  async #look(idle: number): Promise<void> {
    const latest = this.#uptime() - idle;
    const all = [...this.#own];
    const used = all.flatMap(([user]) => (this.#documents?.isInUse(user) ? user : []));
    // Not waited for: it may take long, as where one of them is being erased, and others are to be looked for meanwhile.
    for (const [user, askedAt] of all)
      if (askedAt <= latest && !this.#documents?.isInUse(user)) void this.#letGo(user).catch(() => {});
    for (let from = 0; from < used.length; from += ASKED_AT_ONCE)
      await this.#lookAfter(used.slice(from, from + ASKED_AT_ONCE)).catch(() => {});
  }

  async #lookAfter(users: readonly UserId[]): Promise<void> {
    const lost = new Set((await this.#store.lost?.(users)) ?? users);
    const now = this.#uptime();
    for (const user of users) if (!lost.has(user) && this.#own.has(user)) this.#isHere(user, now);
    await Promise.allSettled([...lost].map((user) => this.#ask(user)));
  }

  /** This node does not hear of it where others take its users: who is here comes again, to one that does. */
  loseAll(): void {
    for (const user of [...this.#own.keys()]) if (this.#documents?.isInUse(user)) this.#documents.lose(user);
  }

  #isHere(user: UserId, now: number): void {
    this.#takeovers.found(user, null, now);
    this.#own.set(user, now);
  }

  async #letGo(user: UserId): Promise<void> {
    this.#own.delete(user);
    await this.#store.letGo?.(user);
  }

  async #ask(user: UserId, relieved?: NodeId): Promise<Place> {
    const owner = await this.#store.owner(user, relieved);
    if (owner === null) {
      if (relieved !== undefined) this.#takeovers.found(user, relieved, this.#uptime()); // and has moved
      this.#isHere(user, this.#uptime());
      return { here: true };
    }
    this.#takeovers.found(user, owner.node as NodeId, this.#uptime());
    if (this.#own.delete(user)) this.#onLost();
    if (this.#documents?.isInUse(user)) this.#documents.lose(user);
    return { here: false, node: owner.node as NodeId, address: owner.address };
  }
}
