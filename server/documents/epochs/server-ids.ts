/** The Yjs client ids that the server writes with. */
import { createHmac } from 'node:crypto';
import type { UserId } from '../../../shared/names.js';
import type { Store } from '../../store/store.js';
import type { ServerClientIds } from '../replica.js';
import type { Tombstone } from '../tombstone.js';
import type { Epoch } from './epoch.js';

/** Random numbers that ids can't be guessed from, each of 32 bits. */
const SECRETS = 4;

export class ServerIds {
  readonly #store: Pick<Store, 'generation'>;
  readonly #randomId: () => number;
  #generation = -1;
  #common: ServerClientIds | null = null;
  #secret: string | null = null;

  constructor(store: Pick<Store, 'generation'>, randomId: () => number) {
    this.#store = store;
    this.#randomId = randomId;
  }

  /**
   * Fresh for each start and each reopen of the store, and the same for all documents where they can be (P6). After an
   * erasure a document has its own: devices may still hold what the server wrote before, also where the tombstone, as
   * that of a damaged document, can't tell under which ids.
   */
  of(user: UserId, epoch: Epoch | null, erased: Tombstone | null): ServerClientIds {
    if (this.#generation !== this.#store.generation) this.#begin();
    this.#common ??= { writes: this.#randomId(), unions: this.#randomId() };
    if (erased === null && !isRetired(this.#common, epoch)) return this.#common;
    for (let tries = 0; ; tries++) {
      const own = this.#own(user, [erased?.id, epoch?.size, tries]);
      if (!isRetired(own, epoch) && !isRetired(own, erased)) return own;
    }
  }

  #begin(): void {
    this.#generation = this.#store.generation;
    this.#common = null;
    this.#secret = null;
  }

  /** Worked out, and not kept: the same whenever that document is loaded, and others after the next erasure or rewrite. */
  #own(user: UserId, which: readonly unknown[]): ServerClientIds {
    this.#secret ??= Array.from({ length: SECRETS }, this.#randomId).join();
    const drawn = createHmac('sha256', this.#secret)
      .update(JSON.stringify([user, ...which]))
      .digest();
    return { writes: drawn.readUInt32LE(0), unions: drawn.readUInt32LE(4) };
  }
}

const isRetired = ({ writes, unions }: ServerClientIds, former: Epoch | Tombstone | null): boolean =>
  former !== null && (former.retires(writes) || former.retires(unions));
