/**
 * D4, the part that watches: finds maps and arrays that were created apart at one place, keeps what lost from
 * being collected, and unites it into what won (`unite.ts`). Decisions are made while a transaction of Yjs ends,
 * when everything that it deleted can still be read; the writes follow in a transaction of their own.
 */
import * as Y from 'yjs';
import { MovedElements } from '../moves/moved-elements.js';
import { type MoveTimes, type MoveWrite, planMoves } from '../moves/plan.js';
import { bringsObjects, byPosition, elementsById, removeElement } from './array-elements.js';
import { authorsItem } from './candidates.js';
import {
  contentOf,
  copyOf,
  elementsOf,
  idOf,
  isLive,
  lastIdOf,
  type SharedType,
  typeOf,
} from './lost-types.js';
import { mayCompete, metUnion, replacedBy, Slots, Step } from './step.js';
import type { KeptType, UnionState } from './union-state.js';
import { createUnited, type UnionContext, unite } from './unite.js';

type Write = (context: UnionContext) => void;

const keyOf = (id: { client: number; clock: number }) => `${id.client}:${id.clock}`;

/** Of what lost at one key, the nearest ones to the winner are kept for late edits: each costs at every union. */
const MAX_KEPT = 100;

export class Unifier {
  readonly #doc: Y.Doc;
  readonly #kept = new Map<string, KeptType>();
  readonly #unionClients: Set<number>;
  readonly #now: () => number;
  readonly #moved: MovedElements;
  #changed = false;

  constructor(doc: Y.Doc, memory: UnionState, now: () => number) {
    this.#doc = doc;
    this.#now = now;
    this.#unionClients = new Set(memory.unionClients);
    for (const kept of memory.kept) this.#kept.set(keyOf(kept), kept);
    this.#moved = new MovedElements(doc, memory.moved, now);
    doc.gcFilter = (item) => !this.#isKept(item) && !this.#moved.isKept(item);
  }

  /** Whether the memory changed since the last call. */
  takeChanged(): boolean {
    const changed = [this.#changed, this.#moved.takeChanged()].includes(true);
    this.#changed = false;
    return changed;
  }

  get keepsNothing(): boolean {
    return this.#kept.size === 0 && this.#moved.isEmpty;
  }

  memory(): UnionState {
    const kept = [...this.#kept.values()];
    const moved = this.#moved.memory();
    const isNeeded = kept.length + moved.length > 0;
    return { kept, unionClients: isNeeded ? [...this.#unionClients] : [], moved };
  }

  /** Lets go of what lost before `before`, and of what stands inside something that was deleted since. */
  prune(before: number): void {
    for (const kept of this.#kept.values()) {
      const item = this.#itemOf(kept);
      const place = item === null ? null : this.#keptAround(item);
      if (kept.at < before || place === null || !isLive(place.parent as SharedType)) this.#release(kept);
    }
    this.#moved.prune(before);
  }

  /**
   * To be called while a transaction that applied an update ends; says what is to be written after it.
   *
   * @param decided the keys at which times have told what is to stand
   * @param times what times tell of elements that were moved
   */
  plan(step: Step, decided: Slots, times: MoveTimes = {}): Write[] {
    const moves = this.#planMoves(step, false, times).map(
      (write): Write =>
        ({ copied }) =>
          write((copy, of) => copied?.(copy, lastIdOf(of))),
    );
    const slots = new Slots();
    const arrays = new Set<Y.Array<unknown>>();
    for (const item of step.newItems()) this.#consider(item, step, slots, arrays);
    for (const kept of this.#kept.values()) this.#considerDeleted(kept, slots, step);
    if (step.hasDeletions) this.forgetRemovedElements();
    const writes = slots
      .all()
      .flatMap(({ parent, key }) => this.#planSlot(parent, key, step, decided.has(parent, key)));
    const joins = [...arrays].map(
      (array): Write =>
        (context) =>
          this.#joinElements(array, context),
    );
    return [...moves, ...joins, ...writes];
  }

  /** The same for a change whose author saw the whole document: there is nothing to be written after it. */
  note(transaction: Y.Transaction): void {
    const author = { update: new Uint8Array([0, 0]), saw: null, inParts: false };
    this.#planMoves(new Step(this.#doc, transaction, author), true);
  }

  #planMoves(step: Step, sawAll: boolean, times: MoveTimes = {}): MoveWrite[] {
    return planMoves(step, this.#moved, {
      sawAll,
      ...times,
      takeOver: (array, id) => this.#handOver(array, id),
    });
  }

  /** Of an element that was moved, only what is new in those that were united with it counts from now on. */
  #handOver(array: Y.Array<unknown>, id: string): void {
    for (const item of this.#lostElements(array).get(id) ?? []) {
      this.#release(item.id);
      this.#moved.keep(array, id, item.id);
    }
  }

  /** Runs the writes of a plan with a client id of their own. */
  run(
    writes: readonly Write[],
    client: number,
    known: Omit<UnionContext, 'madeByUnion' | 'kept' | 'isCopy' | 'isInCopy'>,
  ): void {
    const doc = this.#doc;
    const own = doc.clientID;
    const clients = this.#unionClients;
    const context: UnionContext = {
      ...known,
      madeByUnion: (id) => clients.has(id) || id === client,
      kept: (id, clock) => this.#kept.has(keyOf({ client: id, clock })),
      isCopy: (map) => this.#moved.isCopy(map),
      isInCopy: (type) => this.#moved.isInCopy(type),
    };
    doc.clientID = client;
    try {
      const before = Y.getState(doc.store, client);
      doc.transact(() => {
        for (const write of writes) write(context);
      });
      if (Y.getState(doc.store, client) > before && !clients.has(client)) {
        clients.add(client);
        this.#changed = true;
      }
    } finally {
      doc.clientID = own;
    }
  }

  /** A deletion whose author saw the whole document leaves nothing to unite. */
  releaseUnder(parent: SharedType, key: string): void {
    for (const kept of this.#kept.values()) {
      const item = this.#itemOf(kept);
      if (item !== null && item.parent === parent && item.parentSub === key) this.#release(kept);
    }
  }

  /** Where an element was removed, nothing is left to carry of those that were united with it. */
  forgetRemovedElements(): void {
    for (const kept of this.#kept.values()) {
      const item = this.#itemOf(kept);
      if (!item?.deleted || !(item.parent instanceof Y.Array) || !isLive(item.parent)) continue;
      const id = idOf(typeOf(item));
      if (elementsOf(item.parent).some(({ value }) => idOf(value) === id)) continue;
      this.#release(kept);
      item.gc(this.#doc.store, false);
    }
  }

  /** Keeps what lost its place, so that late edits of it can be carried over. */
  keep(item: Y.Item): void {
    if (this.#kept.has(keyOf(item.id))) return;
    this.#kept.set(keyOf(item.id), { client: item.id.client, clock: item.id.clock, at: this.#now() });
    this.#changed = true;
  }

  #isKept(item: Y.Item): boolean {
    return this.#kept.size > 0 && this.#keptAround(item) !== null;
  }

  /** The outermost kept item that `item` is or stands in. */
  #keptAround(item: Y.Item): Y.Item | null {
    let outermost: Y.Item | null = null;
    for (let at: Y.Item | null = item; at !== null; at = (at.parent as SharedType)._item) {
      if (at.deleted && this.#kept.has(keyOf(at.id))) outermost = at;
    }
    return outermost;
  }

  #itemOf(id: { client: number; clock: number }): Y.Item | null {
    if (Y.getState(this.#doc.store, id.client) <= id.clock) return null;
    const struct = Y.getItem(this.#doc.store, Y.createID(id.client, id.clock)) as Y.AbstractStruct;
    return struct instanceof Y.Item && typeOf(struct) !== null ? struct : null;
  }

  #release(id: { client: number; clock: number }): void {
    if (this.#kept.delete(keyOf(id))) this.#changed = true;
  }

  /** Notes the places that a new item may have to be united at. */
  #consider(item: Y.Item, step: Step, slots: Slots, arrays: Set<Y.Array<unknown>>): void {
    const lost = item.deleted && this.#kept.size > 0 ? this.#keptAround(item) : null;
    const place = lost ?? item;
    const parent = place.parent as SharedType;
    if (!isLive(parent)) return;
    if (lost !== null) this.#keepSiblings(item, step);
    if (place.parentSub !== null) {
      if (lost === null && !mayCompete(item, this.#unionClients)) return;
      slots.add(parent, place.parentSub);
      if (lost !== null || metUnion(item, this.#unionClients)) this.#considerAround(parent, slots, arrays);
    } else if (
      !arrays.has(parent as Y.Array<unknown>) &&
      (lost !== null || (parent instanceof Y.Array && bringsObjects(item)))
    ) {
      arrays.add(parent as Y.Array<unknown>);
      if (elementsOf(parent).some(({ client }) => this.#unionClients.has(client))) {
        this.#considerAround(parent, slots, arrays);
      }
    }
  }

  /** Inside a map that lost, what is created apart at one key loses nothing either. */
  #keepSiblings(item: Y.Item, step: Step): void {
    if (item.parentSub === null || typeOf(item) === null) return;
    const winner = (item.parent as SharedType)._map.get(item.parentSub) as Y.Item;
    const replaced = step.ancestorsOf(winner);
    for (let at = winner.left; at !== null; at = at.left) {
      if (typeOf(at) !== null && !replaced.has(at)) this.keep(at);
    }
  }

  /** An author's map takes the place of what a union had put together there, so the union is made anew. */
  #considerAround(type: SharedType, slots: Slots, arrays: Set<Y.Array<unknown>>): void {
    for (let item = type._item; item !== null; item = (item.parent as SharedType)._item) {
      if (item.parentSub !== null) slots.add(item.parent as SharedType, item.parentSub);
      else if (item.parent instanceof Y.Array) arrays.add(item.parent);
    }
  }

  #considerDeleted(kept: KeptType, slots: Slots, step: Step): void {
    const item = this.#itemOf(kept);
    if (item === null || item.parentSub === null) return;
    const parent = item.parent as SharedType;
    const winner = parent._map.get(item.parentSub);
    if (winner !== undefined && step.deleted(winner) && isLive(parent)) slots.add(parent, item.parentSub);
  }

  #planSlot(parent: SharedType, key: string, step: Step, isDecided: boolean): Write[] {
    const winner = parent._map.get(key);
    if (winner === undefined) return [];
    const losers = this.#losers(winner, step);
    if (losers.length === 0) return isDecided ? [] : this.#planAuthorsWrite(parent, key, winner, step);
    const type = winner.deleted ? null : typeOf(winner);
    if (!winner.deleted && type === null) {
      for (const { item } of losers) this.#release(item.id);
      return [];
    }
    if (winner.deleted && !losers.some(({ fresh }) => fresh)) return [];
    for (const { item } of losers.slice(0, MAX_KEPT)) this.keep(item);
    for (const { item } of losers.slice(MAX_KEPT)) this.#release(item.id);
    const sources = losers.map(({ item, fresh }) => ({ type: typeOf(item) as SharedType, fresh }));
    if (type !== null) return [(context) => unite(type, sources, context)];
    return [(context) => createUnited(parent, key, sources, context)];
  }

  /** What lost at the winner's key and the winner's author had not seen; first those nearest to it. */
  #losers(winner: Y.Item, step: Step): { item: Y.Item; fresh: boolean }[] {
    const ancestors = step.ancestorsOf(winner);
    const kind = winner.deleted ? null : typeOf(winner)?.constructor;
    const ended = winner.deleted && step.deleted(winner) ? winner : replacedBy(winner, ancestors, step);
    const losers: { item: Y.Item; fresh: boolean }[] = [];
    for (let item = winner.left; item !== null; item = item.left) {
      const type = typeOf(item);
      if (!(type instanceof Y.Map || type instanceof Y.Array) || ancestors.has(item)) continue;
      if (kind !== null && kind !== undefined && type.constructor !== kind) continue;
      const kept = this.#kept.get(keyOf(item.id));
      if (kept === undefined) {
        // The winner's author has deleted it too where it heard of it before its own map got through: by conflict.
        const byConflict = (!winner.deleted && step.isNew(winner)) || !step.deletedByAuthor(item);
        if (step.deleted(item) && byConflict) losers.push({ item, fresh: true });
      } else if (ended === null || !step.authorKnew(item, ended, this.#unionClients)) {
        losers.push({ item, fresh: ended !== null });
      } else this.#release(kept);
    }
    return losers;
  }

  /** What an author wrote wins over a concurrent write of a union, whichever client id is the higher. */
  #planAuthorsWrite(parent: SharedType, key: string, winner: Y.Item, step: Step): Write[] {
    if (winner.deleted || !this.#unionClients.has(winner.id.client)) return [];
    const own = authorsItem(winner, { madeByUnion: (client) => this.#unionClients.has(client) });
    if (own === null || !step.isNew(own) || step.ancestorsOf(winner).has(own)) return [];
    const value = contentOf(own);
    if (value === undefined) return [() => (parent as Y.Map<unknown>).delete(key)];
    const copy = copyOf(value);
    return [() => (parent as Y.Map<unknown>).set(key, copy)];
  }

  /** One id is one element (D3): unites elements that were added apart, or are edited late, under one id. */
  #joinElements(array: Y.Array<unknown>, context: UnionContext): void {
    const lost = this.#lostElements(array);
    const inOrder = byPosition(array);
    for (const [id, [target, ...others]] of elementsById(array, context)) {
      const maps = others.flatMap(({ client, clock }) => this.#itemOf({ client, clock }) ?? []);
      for (const item of maps) this.keep(item);
      const sources = [...(lost.get(id) ?? []), ...maps].sort(inOrder).map((item) => ({
        type: typeOf(item) as SharedType,
        fresh: !item.deleted,
      }));
      if (target?.value instanceof Y.Map && sources.length > 0) unite(target.value, sources, context);
      for (const { client, clock } of others) removeElement(array, client, clock);
    }
  }

  /** The elements that an earlier join removed, by id. */
  #lostElements(array: Y.Array<unknown>): Map<string, Y.Item[]> {
    const lost = new Map<string, Y.Item[]>();
    for (const kept of this.#kept.values()) {
      const item = this.#itemOf(kept);
      if (item === null || item.parent !== array || !item.deleted) continue;
      const id = idOf(typeOf(item));
      if (id !== null) lost.set(id, [...(lost.get(id) ?? []), item]);
    }
    return lost;
  }
}
