/** The placement by a store that several servers share, in which the owner of each user stands. */
import type { UserId } from '../../shared/names.js';
import type { Doubt, NodeId, Place, Placement } from './placement.js';
import { Takeovers } from './takeovers.js';

/** What such a store tells; the store itself has the contract. */
export interface OwningStore {
  /** The other server that has the user; `null` where there is none, and from now on it is this one. */
  owner(user: UserId, relieved?: string): Promise<{ readonly node: string; readonly address: string } | null>;
}

export class StorePlacement implements Placement {
  readonly #store: OwningStore;
  /** Milliseconds from any moment on, that never jump. */
  readonly #uptime: () => number;
  readonly #takeovers = new Takeovers();

  constructor(store: OwningStore, uptime: () => number) {
    this.#store = store;
    this.#uptime = uptime;
  }

  /** The store gives a user whose owner's beat is old to who asks. One with a fresh beat is asked first. */
  async whereIs(user: UserId): Promise<Place> {
    const place = await this.#ask(user);
    if (place.here || !this.#takeovers.mayTake(user, place.node, this.#uptime())) return place;
    return this.#ask(user, place.node);
  }

  doubt(_user: UserId, node: NodeId, why: Doubt): void {
    if (why !== 'not mine') this.#takeovers.failed(node, why, this.#uptime());
  }

  reached(node: NodeId): void {
    this.#takeovers.reached(node);
  }

  async #ask(user: UserId, relieved?: NodeId): Promise<Place> {
    const owner = await this.#store.owner(user, relieved);
    const node = (owner?.node ?? null) as NodeId | null;
    this.#takeovers.found(user, node, this.#uptime());
    return owner === null
      ? { here: true }
      : { here: false, node: owner.node as NodeId, address: owner.address };
  }
}
