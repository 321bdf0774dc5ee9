/** One update while it is applied: what it brings and deletes, and what its author can have known (D4, D5). */
import * as Y from 'yjs';
import { type SharedType, typeOf } from './lost-types.js';

type DeleteSet = Parameters<typeof Y.isDeleted>[0];

/** An update as it came, of which this step may be a part. */
export interface WholeUpdate {
  /** Its delete set tells what the author had seen of a deleted record. */
  readonly update: Uint8Array;
  /** The author's state vector before the update, where it is known (SyncStep1, H3). */
  readonly saw: ReadonlyMap<number, number> | null;
  /** Of that update, only a part is applied now; the rest came before, or follows. */
  readonly inParts: boolean;
}

/** Read once of an update that is applied in parts. */
const deletesOf = new WeakMap<Uint8Array, DeleteSet>();

export class Step {
  readonly #doc: Y.Doc;
  readonly #transaction: Y.Transaction;
  readonly #whole: WholeUpdate;
  #structs: ReturnType<typeof Y.parseUpdateMeta> | undefined;
  #origins: ReadonlyMap<number, ReadonlySet<number>> | undefined;

  constructor(doc: Y.Doc, transaction: Y.Transaction, whole: WholeUpdate) {
    this.#doc = doc;
    this.#transaction = transaction;
    this.#whole = whole;
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

  /** What was deleted now, and what it stood in. */
  *newlyDeleted(): Generator<Y.Item> {
    for (const item of this.#itemsOf(this.#transaction.deleteSet)) if (!this.isNew(item)) yield item;
  }

  /** What the update deletes, and was deleted before. Of one that comes in parts, not with each of them again. */
  *deletedAgain(): Generator<Y.Item> {
    if (!this.#whole.inParts) yield* this.deletedBefore();
  }

  /** Items that the update deletes and that another client had deleted, or written over, before. */
  *deletedBefore(): Generator<Y.Item> {
    for (const item of this.#itemsOf(this.#authorsDeletes)) {
      if (item.deleted && !this.deleted(item) && !this.isNew(item)) yield item;
    }
  }

  *#itemsOf({ clients }: DeleteSet): Generator<Y.Item> {
    for (const [client, ranges] of clients) {
      const structs = this.#doc.store.clients.get(client) ?? [];
      const end = Y.getState(this.#doc.store, client);
      for (const { clock, len } of ranges) {
        if (clock >= end) continue;
        for (let index = Y.findIndexSS(structs, clock); index < structs.length; index++) {
          const struct = structs[index];
          if (struct === undefined || struct.id.clock >= clock + len) break;
          if (struct instanceof Y.Item) yield struct;
        }
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
    return this.isNewAt(item, 0);
  }

  isNewAt({ id: { client, clock } }: Y.Item, offset: number): boolean {
    return this.arrived(client, clock + offset);
  }

  /** The item with this id, which may be one of several in it. */
  itemOf({ client, clock }: { client: number; clock: number }): Y.Item | null {
    const struct = Y.getItem(this.#doc.store, Y.createID(client, clock)) as Y.AbstractStruct;
    return struct instanceof Y.Item ? struct : null;
  }

  /** Deleted now, by the update or as a consequence of it. */
  deleted(item: Y.Item): boolean {
    return Y.isDeleted(this.#transaction.deleteSet, item.id);
  }

  /** Deleted by the update itself: its author had seen the item. */
  deletedByAuthor(item: Y.Item): boolean {
    return Y.isDeleted(this.#authorsDeletes, item.id);
  }

  /** The same of one element or character of an item. */
  hasDeleted({ client, clock }: { client: number; clock: number }): boolean {
    return Y.isDeleted(this.#authorsDeletes, Y.createID(client, clock));
  }

  /**
   * Whether the update removes what somebody had before. Who hears of an edit inside of what is deleted already
   * deletes it as it comes, and may pass on both.
   */
  hasRemoved({ client, clock }: { client: number; clock: number }): boolean {
    const { from, to } = this.#authorsStructs;
    const isBrought = clock >= (from.get(client) ?? clock + 1) && clock < (to.get(client) ?? 0);
    return !isBrought && this.hasDeleted({ client, clock });
  }

  get #authorsStructs(): ReturnType<typeof Y.parseUpdateMeta> {
    this.#structs ??= Y.parseUpdateMeta(this.#whole.update);
    return this.#structs;
  }

  /** Whether the update deletes something in a part that is not applied now. */
  get deletesElsewhere(): boolean {
    return this.#whole.inParts && this.#authorsDeletes.clients.size > 0;
  }

  get #authorsDeletes(): DeleteSet {
    const { update } = this.#whole;
    const deletes = deletesOf.get(update) ?? Y.decodeUpdate(update).ds;
    deletesOf.set(update, deletes);
    return deletes;
  }

  /** Its author removed it again, in the same update. */
  isRemoval(item: Y.Item): boolean {
    return item.content instanceof Y.ContentDeleted || (item.deleted && this.deletedByAuthor(item));
  }

  /** Whether the update writes something else in the place of an item. */
  isReplaced({ id, length }: Y.Item): boolean {
    this.#origins ??= originsIn(Y.decodeUpdate(this.#whole.update).structs);
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
   * Whether the author that ended `winner` knew of `lost`. The state vector tells where there is one; else the delete
   * set does: it covers what the union had written into the winner. Where the union wrote nothing, yes: to
   * bring back what was deleted on purpose would be the more surprising mistake.
   */
  authorKnew(lost: Y.Item, winner: Y.Item, unionClients: ReadonlySet<number>): boolean {
    if (this.#whole.saw !== null) return (this.#whole.saw.get(lost.id.client) ?? 0) > lost.id.clock;
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

/** The earlier winner that an author who had seen it replaced by `winner`, in this step. */
export function replacedBy(winner: Y.Item, ancestors: ReadonlySet<Y.Item>, step: Step): Y.Item | null {
  for (let item = winner.left; item !== null; item = item.left) {
    if (ancestors.has(item) && step.deleted(item) && typeOf(item) !== null) return item;
  }
  return null;
}

/** Whether a union wrote at the same key. */
export function metUnion({ left, right }: Y.Item, unionClients: ReadonlySet<number>): boolean {
  return [left, right].some((item) => item !== null && unionClients.has(item.id.client));
}

/** Whether a new item of a map key can have met something created apart, or the copy that a union made. */
export function mayCompete({ left, right, content }: Y.Item, unionClients: ReadonlySet<number>): boolean {
  if (left === null && right === null) return false;
  if (content instanceof Y.ContentType || content instanceof Y.ContentDeleted) return true;
  return right !== null && unionClients.has(right.id.client);
}
