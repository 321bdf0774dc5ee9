/**
 * What the document remembers of writes that met: for what stands now, whose write it stands for and when that was
 * made. The history tells neither where the server has written a value again, nor where both wrote the same.
 */
import * as Y from 'yjs';

interface Id {
  readonly client: number;
  readonly clock: number;
}

/** By the Yjs id of the item that stands. */
export interface Decision extends Id {
  /** The item that its author wrote. */
  readonly by: Id;
  /** `null` where the history tells. */
  readonly madeAt: number | null;
  /** When it was noted. */
  readonly at: number;
}

/** The newest ones; each costs some 25 bytes whenever one is added. */
const MAX_DECISIONS = 500;

const keyOf = ({ client, clock }: Id) => `${client}:${clock}`;

export class Decisions {
  readonly #doc: Y.Doc;
  readonly #now: () => number;
  readonly #byItem = new Map<string, Decision>();
  #changed = false;

  constructor(doc: Y.Doc, decisions: readonly Decision[], now: () => number) {
    this.#doc = doc;
    this.#now = now;
    for (const decision of decisions) this.#byItem.set(keyOf(decision), decision);
  }

  get(id: Id): Decision | undefined {
    return this.#byItem.size === 0 ? undefined : this.#byItem.get(keyOf(id));
  }

  add(item: Id, by: Id, madeAt: number | null): void {
    const source = this.get(by)?.by ?? by;
    const at = this.#now();
    const time = madeAt === null ? null : Math.min(madeAt, at);
    const decision = { client: item.client, clock: item.clock, by: source, madeAt: time, at };
    this.#byItem.delete(keyOf(item));
    this.#byItem.set(keyOf(item), decision);
    this.#changed = true;
    if (this.#byItem.size > MAX_DECISIONS) this.#dropOne();
  }

  /** Lets go of what was noted before `before`, or does not stand any more. */
  prune(before: number): void {
    for (const [key, decision] of this.#byItem) {
      if (decision.at < before || !this.#stands(decision)) this.#drop(key);
    }
  }

  /** Whether something changed since the last call. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  list(): readonly Decision[] {
    return [...this.#byItem.values()];
  }

  #dropOne(): void {
    this.prune(0);
    const [oldest] = this.#byItem.keys();
    if (this.#byItem.size > MAX_DECISIONS && oldest !== undefined) this.#drop(oldest);
  }

  #drop(key: string): void {
    this.#byItem.delete(key);
    this.#changed = true;
  }

  #stands({ client, clock }: Id): boolean {
    if (Y.getState(this.#doc.store, client) <= clock) return false;
    const struct = Y.getItem(this.#doc.store, Y.createID(client, clock)) as Y.AbstractStruct;
    return struct instanceof Y.Item && struct.right === null;
  }
}
