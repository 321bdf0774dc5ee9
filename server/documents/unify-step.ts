/** One update while it is applied: what it brings and deletes, and what its author can have known (D4, D5). */
import * as Y from 'yjs';
import { type SharedType, typeOf } from './lost-types.js';

/** What is known of the author of an update. */
export interface Authorship {
  /** The update as it came; its delete set tells what the author had seen of a deleted record. */
  readonly update: Uint8Array;
  /** The author's state vector before the update, where it is known (SyncStep1, H3). */
  readonly saw: ReadonlyMap<number, number> | null;
}

export class Step {
  readonly #doc: Y.Doc;
  readonly #transaction: Y.Transaction;
  readonly #author: Authorship;
  #update: ReturnType<typeof Y.decodeUpdate> | undefined;
  #origins: ReadonlyMap<number, ReadonlySet<number>> | undefined;

  constructor(doc: Y.Doc, transaction: Y.Transaction, author: Authorship) {
    this.#doc = doc;
    this.#transaction = transaction;
    this.#author = author;
  }

  #decoded(): ReturnType<typeof Y.decodeUpdate> {
    this.#update ??= Y.decodeUpdate(this.#author.update);
    return this.#update;
  }

  *newItems(): Generator<Y.Item> {
    const { beforeState, afterState } = this.#transaction;
    for (const [client, after] of afterState) {
      const before = beforeState.get(client) ?? 0;
      const structs = this.#doc.store.clients.get(client);
      if (after === before || structs === undefined) continue;
      for (let index = Y.findIndexSS(structs, before); index < structs.length; index++) {
        const struct = structs[index];
        if (struct instanceof Y.Item) yield struct;
      }
    }
  }

  get hasDeletions(): boolean {
    return this.#transaction.deleteSet.clients.size > 0;
  }

  /** Whether the update brought this id. */
  arrived = (client: number, clock: number): boolean =>
    clock >= (this.#transaction.beforeState.get(client) ?? 0);

  isNew(item: Y.Item): boolean {
    return this.arrived(item.id.client, item.id.clock);
  }

  /** Deleted now, by the update or as a consequence of it. */
  deleted(item: Y.Item): boolean {
    return Y.isDeleted(this.#transaction.deleteSet, item.id);
  }

  /** Deleted by the update itself: its author had seen the item. */
  deletedByAuthor(item: Y.Item): boolean {
    return Y.isDeleted(this.#decoded().ds, item.id);
  }

  /** The author found what has this id in its place and wrote over it: it had not seen it removed. */
  overwrites({ client, clock }: { client: number; clock: number }): boolean {
    return Y.isDeleted(this.#decoded().ds, Y.createID(client, clock));
  }

  /** Its author removed it again, in the same update. */
  isRemoval(item: Y.Item): boolean {
    return item.content instanceof Y.ContentDeleted || (item.deleted && this.deletedByAuthor(item));
  }

  /** Items that the update deletes and that somebody else had deleted, or written over, before. */
  deletedBefore(): Y.Item[] {
    const items: Y.Item[] = [];
    for (const [client, ranges] of this.#decoded().ds.clients) {
      const structs = this.#doc.store.clients.get(client) ?? [];
      const state = this.#transaction.beforeState.get(client) ?? 0;
      for (const { clock, len } of ranges) {
        if (clock >= state) continue;
        for (let index = Y.findIndexSS(structs, clock); index < structs.length; index++) {
          const struct = structs[index];
          if (struct === undefined || struct.id.clock >= Math.min(clock + len, state)) break;
          if (struct instanceof Y.Item && struct.deleted && !this.deleted(struct)) items.push(struct);
        }
      }
    }
    return items;
  }

  /** Whether the update writes something else in the place of an item. */
  isReplaced({ id, length }: Y.Item): boolean {
    this.#origins ??= originsIn(this.#decoded().structs);
    const clocks = this.#origins.get(id.client) ?? NONE;
    for (let clock = id.clock; clock < id.clock + length; clock++) if (clocks.has(clock)) return true;
    return false;
  }

  /** What its author had seen last at the key of a new item, of what was there before. */
  knownBefore(item: Y.Item): Y.Item | null {
    if (!this.isNew(item)) return item; // it was joined with what it was put behind
    for (let id = item.origin; id !== null; ) {
      const origin = Y.getItem(this.#doc.store, id) as Y.AbstractStruct;
      if (!(origin instanceof Y.Item)) return null;
      if (!this.isNew(origin)) return origin;
      id = origin.origin;
    }
    return null;
  }

  /** What the author of an item had seen at its key, by the chain of origins. */
  ancestorsOf(item: Y.Item): Set<Y.Item> {
    const ancestors = new Set<Y.Item>();
    for (let id = item.origin; id !== null; ) {
      const origin = Y.getItem(this.#doc.store, id) as Y.AbstractStruct;
      if (!(origin instanceof Y.Item) || ancestors.has(origin)) break;
      ancestors.add(origin);
      id = origin.origin;
    }
    return ancestors;
  }

  /**
   * Whether whoever ended `winner` knew of `lost`. The state vector tells where there is one; else the delete
   * set does: it covers what the union had written into the winner. Where the union wrote nothing, yes: to
   * bring back what was deleted on purpose would be the more surprising mistake.
   */
  authorKnew(lost: Y.Item, winner: Y.Item, unionClients: ReadonlySet<number>): boolean {
    if (this.#author.saw !== null) return (this.#author.saw.get(lost.id.client) ?? 0) > lost.id.clock;
    const type = typeOf(winner);
    const marks = type === null ? [] : itemsOf(type).filter(({ id }) => unionClients.has(id.client));
    return marks.length === 0 || marks.some((mark) => this.#coversLaterThan(mark));
  }

  /** The author deleted the item, or one that was written over it. */
  #coversLaterThan(item: Y.Item): boolean {
    if (item.parentSub === null) return this.deletedByAuthor(item);
    for (let later: Y.Item | null = item; later !== null; later = later.right) {
      if (this.deletedByAuthor(later)) return true;
    }
    return false;
  }
}

/** All items in a type and in the types nested in it, overwritten ones included. */
function itemsOf(type: SharedType): Y.Item[] {
  const items: Y.Item[] = [];
  for (let item = type._start; item !== null; item = item.right) items.push(item);
  for (let item of type._map.values()) {
    items.push(item);
    while (item.left !== null) {
      item = item.left;
      items.push(item);
    }
  }
  return items.flatMap((item) => [item, ...itemsOfNested(item)]);
}

function itemsOfNested(item: Y.Item): Y.Item[] {
  const type = typeOf(item);
  return type === null ? [] : itemsOf(type);
}

const NONE: ReadonlySet<number> = new Set();

/** What the structs of an update were put behind, by client. */
function originsIn(structs: readonly (Y.Item | Y.GC | Y.Skip)[]): Map<number, Set<number>> {
  const origins = new Map<number, Set<number>>();
  for (const struct of structs) {
    if (!(struct instanceof Y.Item) || struct.origin === null) continue;
    const { client, clock } = struct.origin;
    const clocks = origins.get(client);
    if (clocks === undefined) origins.set(client, new Set([clock]));
    else clocks.add(clock);
  }
  return origins;
}

/** Whether a Yjs id is that of the item, or of a part of it. */
export const holds = (
  { id, length }: Y.Item,
  { client, clock }: { client: number; clock: number },
): boolean => id.client === client && id.clock <= clock && clock < id.clock + length;

/** Keys of maps, each once. */
export class Slots {
  readonly #keys = new Map<SharedType, Set<string>>();

  add(parent: SharedType, key: string): void {
    const keys = this.#keys.get(parent);
    if (keys === undefined) this.#keys.set(parent, new Set([key]));
    else keys.add(key);
  }

  has(parent: SharedType, key: string): boolean {
    return this.#keys.get(parent)?.has(key) ?? false;
  }

  all(): { parent: SharedType; key: string }[] {
    return [...this.#keys].flatMap(([parent, keys]) => [...keys].map((key) => ({ parent, key })));
  }
}

/** The earlier winner that somebody who had seen it replaced by `winner`, in this step. */
export function replacedBy(winner: Y.Item, ancestors: ReadonlySet<Y.Item>, step: Step): Y.Item | null {
  for (let item = winner.left; item !== null; item = item.left) {
    if (ancestors.has(item) && step.deleted(item) && typeOf(item) !== null) return item;
  }
  return null;
}
