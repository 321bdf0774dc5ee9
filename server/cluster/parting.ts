/** Whether this node is cut off from the store while another one is not: then it hears nothing of what that one writes. */
import type { Beat, NodeState } from '../store/store.js';
import type { NodeId, Owner } from './placement.js';

/** What such a store tells; the store itself has the contract. */
export interface NodesStore {
  readonly beat?: Pick<Beat, 'age'>;
  nodes?(): Promise<readonly Pick<NodeState, 'node' | 'address' | 'silentFor' | 'here'>[]>;
}

/** A node that was not heard of for so long loses its users to who asks, in ms. */
const GONE_AFTER = 10_000;
/** One alone may be the moment in which a database is back, and the other node was the first to hear of it. */
const LOOKS = 2;

export class Parting {
  readonly #store: NodesStore;
  readonly #isReady: (node: Owner) => Promise<boolean>;
  /** The other nodes that lived when the store last told, and that can be asked. */
  #others: readonly Owner[] = [];
  #isLooking = false;
  /** The last looks that found this node cut off, and another one ready. */
  #looks = 0;

  constructor(store: NodesStore, isReady: (node: Owner) => Promise<boolean>) {
    this.#store = store;
    this.#isReady = isReady;
  }

  /** To be called every few seconds; a look is left out while the one before is under way. */
  async look(): Promise<boolean> {
    if (this.#isLooking) return false;
    this.#isLooking = true;
    this.#looks = (await this.#othersWork()) ? this.#looks + 1 : 0;
    this.#isLooking = false;
    return this.#looks >= LOOKS;
  }

  /** Where none is ready the database may be down for all: nobody would be better off elsewhere. */
  async #othersWork(): Promise<boolean> {
    const { beat } = this.#store;
    if (beat === undefined || beat.age < GONE_AFTER) {
      await this.#note().catch(() => {}); // those of before count
      return false;
    }
    const asked = this.#others.map(async (node) => {
      if (!(await this.#isReady(node))) throw new Error('not ready');
    });
    return Promise.any(asked).then(
      () => true,
      () => false,
    );
  }

  async #note(): Promise<void> {
    const nodes = (await this.#store.nodes?.()) ?? [];
    this.#others = nodes
      .filter(({ here, address, silentFor }) => !here && address !== '' && silentFor < GONE_AFTER)
      .map(({ node, address }) => ({ here: false, node: node as NodeId, address }));
  }
}
