/** The Yjs client ids that the server writes with. */
import type { UserId } from '../../../shared/names.js';
import type { Store } from '../../store/store.js';
import type { ServerClientIds } from '../replica.js';
import type { Tombstone } from '../tombstone.js';
import type { Epoch } from './epoch.js';

/** What tells of the documents before: nobody may write with their ids any more. */
type Former = readonly [epoch: Epoch | null, erased: Tombstone | null];

export class ServerIds {
  readonly #store: Pick<Store, 'generation'>;
  readonly #randomId: () => number;
  #generation = -1;
  #common: ServerClientIds | null = null;
  /** Of documents for which the common ones are retired: by a rewrite, or an erasure by another server of the store. */
  readonly #own = new Map<UserId, ServerClientIds>();

  constructor(store: Pick<Store, 'generation'>, randomId: () => number) {
    this.#store = store;
    this.#randomId = randomId;
  }

  /** Fresh for each start and each reopen of the store, and the same for all documents where they can be (P6). */
  of(user: UserId, ...former: Former): ServerClientIds {
    if (this.#generation !== this.#store.generation) this.redraw();
    this.#common ??= this.#draw();
    if (!isRetired(this.#common, former)) return this.#common;
    let own = this.#own.get(user) ?? this.#draw();
    while (isRetired(own, former)) own = this.#draw();
    this.#own.set(user, own);
    return own;
  }

  /** From here on, others are used. */
  redraw(): void {
    this.#generation = this.#store.generation;
    this.#common = null;
    this.#own.clear();
  }

  #draw(): ServerClientIds {
    return { writes: this.#randomId(), unions: this.#randomId() };
  }
}

const isRetired = ({ writes, unions }: ServerClientIds, former: Former): boolean =>
  former.some((each) => each?.retires(writes) || each?.retires(unions));
