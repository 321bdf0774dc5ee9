/** The placement by a store that several servers share, in which the owner of each user stands. */
import type { UserId } from '../../shared/names.js';
import type { Doubt, NodeId, Place, Placement } from './placement.js';
import { Takeovers } from './takeovers.js';

/** What such a store tells; the store itself has the contract. */
export interface OwningStore {
  /** The other server that has the user; `null` where there is none, and from now on it is this one. */
  owner(user: UserId, relieved?: string): Promise<{ readonly node: string; readonly address: string } | null>;
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

export class StorePlacement implements Placement {
  readonly #store: OwningStore;
  /** Milliseconds from any moment on, that never jump. */
  readonly #uptime: () => number;
  readonly #takeovers = new Takeovers();
  /** The users that this node was found to have, and when it was last asked. */
  readonly #own = new Map<UserId, number>();
  #documents: Documents | null = null;
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
    const place = await this.#ask(user);
    if (place.here || !this.#takeovers.mayTake(user, place.node, this.#uptime())) return place;
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
   * used for `idle` ms. To be called every few seconds.
   */
  async look(idle: number): Promise<void> {
    const latest = this.#uptime() - idle;
    const looks = [...this.#own].map(async ([user, askedAt]) => {
      if (this.#documents?.isInUse(user)) await this.#ask(user);
      else if (askedAt <= latest) await this.#letGo(user);
    });
    await Promise.allSettled(looks); // where the store can't tell, the next look does
  }

  async #letGo(user: UserId): Promise<void> {
    this.#own.delete(user);
    await this.#store.letGo?.(user);
  }

  async #ask(user: UserId, relieved?: NodeId): Promise<Place> {
    const owner = await this.#store.owner(user, relieved);
    const node = (owner?.node ?? null) as NodeId | null;
    this.#takeovers.found(user, node, this.#uptime());
    if (owner === null) {
      this.#own.set(user, this.#uptime());
      return { here: true };
    }
    if (this.#own.delete(user)) this.#onLost();
    if (this.#documents?.isInUse(user)) this.#documents.lose(user);
    return { here: false, node: owner.node as NodeId, address: owner.address };
  }
}
