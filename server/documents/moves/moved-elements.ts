/**
 * Elements of arrays that were moved. Yjs can't move: an app that moves an element deletes it and inserts a copy. What
 * was deleted so is kept from being collected, since others may still edit it, not knowing of the move (D3).
 */
import * as Y from 'yjs';
import { isObject, type Json } from '../../../shared/json.js';
import { idOf, markMovedAway, type SharedType } from '../union/lost-types.js';
import type { KeptType } from '../union/union-state.js';

/** By the Yjs id that it came with. */
export type ElementId = Pick<KeptType, 'client' | 'clock'>;

/** An element that was deleted while another one of its id stood in its array, or came soon after. */
export interface MovedElement extends ElementId, Place {
  /** As it was when it was deleted, with what was written in it since. */
  readonly value: unknown;
}

interface Kept extends KeptType {
  /** In bytes, about. */
  size: number;
  /** No other one of its id has come yet: what it was to the author that removed it. */
  readonly removed?: Json;
  place?: Place;
}

interface Place {
  readonly array: Y.Array<unknown>;
  readonly id: string;
}

/** Of one document; the oldest go first. A list of 600 that is turned around is 599 of them. */
export const MAX_MOVED = 5_000;
/** The same in bytes, about. */
export const MAX_MOVED_SIZE = 1_000_000;
/** Elements that were removed, and for how long one of the same id is the same element, in ms. */
const MAX_REMOVED = 100;
const REMOVED_FOR = 10_000;

const keyOf = ({ client, clock }: ElementId) => `${client}:${clock}`;

export class MovedElements {
  readonly #doc: Y.Doc;
  readonly #now: () => number;
  /** The oldest first. */
  readonly #kept = new Map<string, Kept>();
  readonly #removed = new Set<Kept>();
  /** By array and id; made when it is first needed. */
  #index: Map<Y.Array<unknown>, Map<string, Kept[]>> | null = null;
  #size = 0;
  #changed = false;

  constructor(doc: Y.Doc, kept: readonly KeptType[], now: () => number) {
    this.#doc = doc;
    this.#now = now;
    for (const each of kept) this.#kept.set(keyOf(each), { ...each, size: 0 });
  }

  get isEmpty(): boolean {
    return this.#kept.size === 0;
  }

  /** Whether what has to be remembered changed since the last call. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  memory(): KeptType[] {
    const moved = [...this.#kept.values()].filter(({ removed }) => removed === undefined);
    return moved.map(({ client, clock, at }) => ({ client, clock, at }));
  }

  /** Lets go of what was moved before `before`, and of what is no more. To be called once, after loading. */
  prune(before: number): void {
    for (const kept of [...this.#kept.values()]) {
      const item = this.#itemOf(kept);
      if (item === null || kept.at < before) this.#release(kept);
      else this.#weigh(kept, item);
    }
  }

  isKept(item: Y.Item): boolean {
    return this.#outermost(item) !== null;
  }

  /** The outermost element that `item` is or stands in. */
  around(item: Y.Item): MovedElement | null {
    const kept = this.#outermost(item);
    return kept && this.#describe(kept);
  }

  /** Of an element of a live array that was moved: its id. */
  idOfMoved(item: Y.Item): string | null {
    this.#indexed();
    return this.#in(item)?.place?.id ?? null;
  }

  has(array: Y.Array<unknown>, id: string): boolean {
    return this.#of(array, id).length > 0;
  }

  /** Whether this map is a copy that was made to move an element. */
  isCopy(map: Y.Map<unknown>): boolean {
    const array = this.isEmpty ? null : map._item?.parent;
    const id = array instanceof Y.Array ? idOf(map) : null;
    return id !== null && this.has(array as Y.Array<unknown>, id);
  }

  /** Whether it is such a copy, or stands in one. */
  isInCopy(type: SharedType): boolean {
    for (
      let at: SharedType | null = this.isEmpty ? null : type;
      at?._item;
      at = at._item.parent as SharedType
    ) {
      if (at instanceof Y.Map && this.isCopy(at)) return true;
    }
    return false;
  }

  /** The element that came with this Yjs id, if it was moved. */
  find(id: ElementId): MovedElement | null {
    const kept = this.#kept.get(keyOf(id));
    return kept === undefined ? null : this.#describe(kept);
  }

  /** Those of one id, the latest first. */
  earlier(array: Y.Array<unknown>, id: string): MovedElement[] {
    const moved = this.#of(array, id).filter(({ removed }) => removed === undefined);
    return moved.flatMap((each) => this.#describe(each) ?? []).reverse();
  }

  /** The element was moved, or is about to give way to another one of its id. */
  keep(array: Y.Array<unknown>, id: string, { client, clock }: ElementId): void {
    this.#add(array, id, { client, clock, at: this.#now(), size: 0 });
    this.#changed = true;
  }

  /** The element was removed; some apps move in two steps. `base`: what it was to the author that removed it. */
  keepRemoved(array: Y.Array<unknown>, id: string, { client, clock }: ElementId, base: Json): void {
    const removed: Kept = { client, clock, at: this.#now(), size: 0, removed: base };
    this.#add(array, id, removed);
    this.#removed.add(removed);
    for (const each of this.#removed) {
      if (this.#removed.size > MAX_REMOVED || this.#isOver(each)) this.#release(each);
    }
  }

  /** One of the same id has come: the element that was removed a moment ago was moved. */
  takeRemoved(array: Y.Array<unknown>, id: string): { value: unknown; base: Json } | null {
    const kept = this.#of(array, id).findLast((each) => each.removed !== undefined && !this.#isOver(each));
    const moved = kept === undefined ? null : this.#describe(kept);
    if (kept?.removed === undefined || moved === null) return null;
    this.keep(array, id, kept);
    return { value: moved.value, base: kept.removed };
  }

  /** Lets go of the oldest, down to the bounds. */
  bound(): void {
    for (const kept of this.#kept.values()) {
      if (this.#kept.size <= MAX_MOVED && this.#size <= MAX_MOVED_SIZE) return;
      this.#release(kept);
    }
  }

  #isOver = ({ at }: Kept): boolean => this.#now() - at > REMOVED_FOR;

  #add(array: Y.Array<unknown>, id: string, kept: Kept): void {
    const known = this.#kept.get(keyOf(kept));
    if (known !== undefined) this.#forget(known);
    const item = this.#itemOf(kept);
    if (item === null) return;
    this.#indexed();
    this.#weigh(kept, item);
    this.#kept.set(keyOf(kept), kept);
    this.#enter(kept, { array, id });
  }

  #weigh(kept: Kept, item: Y.Item): void {
    kept.size = sizeOf(item);
    this.#size += kept.size;
    markMovedAway(this.#valueOf(kept));
  }

  #release(kept: Kept): void {
    if (kept.removed === undefined) this.#changed = true;
    this.#forget(kept);
    const item = this.#itemOf(kept);
    // Values that stand in one item with others are collected when the document is loaded.
    if (item?.deleted && item.length === 1) item.gc(this.#doc.store, false);
  }

  #forget(kept: Kept): void {
    this.#kept.delete(keyOf(kept));
    this.#removed.delete(kept);
    this.#size -= kept.size;
    if (kept.place === undefined) return;
    const { array, id } = kept.place;
    const others = this.#of(array, id).filter((each) => each !== kept);
    if (others.length > 0) this.#index?.get(array)?.set(id, others);
    else this.#index?.get(array)?.delete(id);
  }

  #indexed(): ReadonlyMap<Y.Array<unknown>, ReadonlyMap<string, readonly Kept[]>> {
    if (this.#index !== null) return this.#index;
    this.#index = new Map();
    for (const kept of this.#kept.values()) {
      const array = this.#itemOf(kept)?.parent;
      const id = idOf(this.#valueOf(kept));
      if (array instanceof Y.Array && id !== null) this.#enter(kept, { array, id });
    }
    return this.#index;
  }

  #enter(kept: Kept, { array, id }: Place): void {
    const byId = this.#index?.get(array) ?? new Map<string, Kept[]>();
    this.#index?.set(array, byId);
    byId.set(id, [...(byId.get(id) ?? []), kept]);
    kept.place = { array, id };
  }

  #itemOf({ client, clock }: ElementId): Y.Item | null {
    if (Y.getState(this.#doc.store, client) <= clock) return null;
    const struct = Y.getItem(this.#doc.store, Y.createID(client, clock)) as Y.AbstractStruct;
    return struct instanceof Y.Item && !(struct.content instanceof Y.ContentDeleted) ? struct : null;
  }

  #valueOf(id: ElementId): unknown {
    const item = this.#itemOf(id);
    return item?.content.getContent()[id.clock - item.id.clock];
  }

  #describe(kept: Kept): MovedElement | null {
    this.#indexed();
    const value = this.#valueOf(kept);
    if (kept.place === undefined || value === undefined) return null;
    return { ...kept.place, client: kept.client, clock: kept.clock, value };
  }

  #outermost(item: Y.Item): Kept | null {
    if (this.isEmpty) return null;
    let outermost: Kept | null = null;
    for (let at: Y.Item | null = item; at !== null; at = (at.parent as SharedType)._item) {
      if (at.deleted && at.parentSub === null) outermost = this.#in(at) ?? outermost;
    }
    return outermost;
  }

  /** A plain value may stand in one item with others. */
  #in({ id: { client, clock }, length, content }: Y.Item): Kept | null {
    const elements = content instanceof Y.ContentAny ? length : 1;
    for (let offset = 0; offset < elements; offset++) {
      const kept = this.#kept.get(keyOf({ client, clock: clock + offset }));
      if (kept !== undefined) return kept;
    }
    return null;
  }

  #of = (array: Y.Array<unknown>, id: string): readonly Kept[] => this.#indexed().get(array)?.get(id) ?? [];
}

/** What an item takes beside its content. */
const ITEM = 12;

/** An element and all that stands in it, overwritten items included. */
function sizeOf(item: Y.Item): number {
  if (item.content instanceof Y.ContentDeleted) return ITEM;
  if (item.content instanceof Y.ContentString) return ITEM + item.length;
  if (!(item.content instanceof Y.ContentType)) {
    return item.content.getContent().reduce<number>((sum, value) => sum + sizeOfValue(value), ITEM);
  }
  let size = ITEM;
  const type = item.content.type as SharedType;
  for (let at = type._start; at !== null; at = at.right) size += sizeOf(at);
  for (const last of type._map.values()) {
    for (let at: Y.Item | null = last; at !== null; at = at.left) size += sizeOf(at);
  }
  return size;
}

function sizeOfValue(value: unknown): number {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length;
  return isObject(value) || Array.isArray(value) ? JSON.stringify(value).length : 1;
}
