/**
 * D3: of two concurrent writes to one field the later stays, whatever Yjs chose. Decided while the transaction of an
 * update ends, by Yjs's origins and by the times; what has to be written again follows with the union's writes.
 */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import type { Path, PathStep } from '../../../shared/merge/merge.js';
import { isCollectionName, type RecordId } from '../../../shared/names.js';
import type { RecordKey } from '../records/record-key.js';
import {
  contentOf,
  copyOf,
  idOf,
  isLive,
  isMovedAway,
  jsonOf,
  lastIdOf,
  type SharedType,
  typeOf,
} from '../union/lost-types.js';
import { holds, Slots, type Step } from '../union/step.js';
import type { Decision, Decisions } from './decisions.js';
import { type MadeAt, ON_ARRIVAL } from './made-at.js';

/** When something was last changed; where that is not known exactly, it was then or before. */
export interface LastChange {
  readonly at: number;
  readonly isExact: boolean;
}
export type LastChangeOf = (key: RecordKey, path: Path) => LastChange;

/** Where there is no history. */
export const NOT_KNOWN: LastChangeOf = () => ({ at: Number.POSITIVE_INFINITY, isExact: false });

/** Which of two writes is later; `open` where a time is not known, or at a tie: then Yjs's own choice stays. */
/**
 * Which of two concurrent writes of one field stays, by the items that brought them; `null` where they are not
 * known. `true`: the edit, and not what the author wrote that moved the element, or one that edited it after that.
 */
export type EditStays = (edit: Y.Item | null, other: Y.Item | null) => boolean;

export type Later = 'incoming' | 'standing' | 'open';

/** Where a key of a map stands. */
export interface Place {
  readonly record: RecordKey;
  readonly path: Path;
  /** An element without an id is on the way, so only the list around it can be looked up. */
  readonly isVague: boolean;
}

/** What a write that met another one comes to. */
export interface Outcome {
  readonly parent: Y.Map<unknown>;
  readonly key: string;
  /** What is to be written; `null` where what Yjs chose is right. */
  readonly write: { readonly value: unknown } | null;
  /** Whose write stands then, or that nothing does, and when that was made, where the history does not tell. */
  readonly by: { readonly id: Y.ID; readonly madeAt: number | null } | null;
  /** A plain value that came in and is not what stands: no device ever saw it. */
  readonly lost: { readonly place: Place; readonly value: unknown } | null;
  /** A map or array whose copy is written: late edits of it are carried over. */
  readonly kept: Y.Item | null;
}

/** What of elements that were moved away is not to be carried into their copies, though Yjs chose it. */
export interface OverruledInMoved {
  readonly items: ReadonlySet<Y.Item>;
  readonly lost: readonly Pick<Outcome, 'lost'>[];
}

const GONE = Symbol('gone');

export class LaterWins {
  readonly #decisions: Decisions;
  readonly #lastChangeOf: LastChangeOf;

  constructor(decisions: Decisions, lastChangeOf: LastChangeOf) {
    this.#decisions = decisions;
    this.#lastChangeOf = lastChangeOf;
  }

  /** What those writes of this step come to that met others; without a time, those that knew what they met. */
  plan(step: Step, madeAt: MadeAt): Outcome[] {
    const slots = new Slots();
    for (const item of step.newItems()) {
      const parent = item.parent as SharedType;
      if (item.parentSub !== null && !isAlone(item, step) && isFields(parent))
        slots.add(parent, item.parentSub);
    }
    const outcomes = slots
      .all()
      .flatMap(({ parent, key }) => this.#decide(parent as Y.Map<unknown>, key, step, madeAt) ?? []);
    // What a provider without times deletes may have been deleted long ago, and written anew since.
    return isTime(madeAt) ? [...outcomes, ...this.#removals(step, madeAt)] : outcomes;
  }

  /** Whether a write is later than what stands at a place; for a union (D4). */
  compare(parent: SharedType, key: string, madeAt: number): Later {
    const place = placeAt(parent, key);
    return place === null ? 'open' : this.#compare(place, madeAt, undefined);
  }

  /** Whether it is known when what stands at a place was made. */
  isKnown(parent: SharedType, key: string): boolean {
    const place = placeAt(parent, key);
    return place !== null && !place.isVague && this.#lastChangeOf(place.record, place.path).isExact;
  }

  /** Of an element that was moved, which of two writes of one field stays: that in it, or that in its copy (D3). */
  editStays(step: Step, madeAt: number): EditStays {
    return (edit, other) => {
      if (edit === null || other === null || step.isNew(edit) === step.isNew(other)) return true;
      const standing = step.isNew(edit) ? other : edit;
      const { parent, parentSub } = standing as { parent: SharedType; parentSub: string | null };
      const later = parentSub === null ? 'open' : this.compare(parent, parentSub, madeAt);
      return later === 'open' || (later === 'incoming') === (standing === other);
    };
  }

  /** Writes in elements that were moved away, which meet others there: what stays is carried into the copy. */
  inMoved(step: Step, madeAt: MadeAt): OverruledInMoved {
    const slots = new Slots();
    for (const item of step.newItems()) {
      const parent = item.parent as SharedType;
      if (item.parentSub !== null && item.deleted && isInMoved(parent)) slots.add(parent, item.parentSub);
    }
    const met = slots.all().flatMap(({ parent, key }) => this.#overruled(parent, key, step, madeAt) ?? []);
    return { items: new Set(met.flatMap(({ items }) => items)), lost: met.map(({ lost }) => ({ lost })) };
  }

  #overruled(
    parent: SharedType,
    key: string,
    step: Step,
    madeAt: MadeAt,
  ): { items: Y.Item[]; lost: Outcome['lost'] } | null {
    const winner = parent._map.get(key) as Y.Item;
    const { standing, incoming } = meeting(winner, step);
    if (standing === null || incoming === null || areUnited(standing, incoming)) return null;
    const place = placeAt(parent, key);
    if (place === null) return null;
    const isSeen = this.knew(incoming, standing, step);
    const later = isSeen ? 'incoming' : this.#compare(place, madeAt, undefined);
    const isLater = later === 'incoming';
    if (later === 'open' || isLater === step.isNew(winner)) return null;
    const value = contentOf(incoming);
    return {
      items: upTo(winner, isLater ? incoming : standing),
      lost: !isLater && isPlain(value) ? { place, value } : null,
    };
  }

  #compare({ record, path, isVague }: Place, madeAt: MadeAt, decision: Decision | undefined): Later {
    if (madeAt === null) return 'open';
    if (madeAt === ON_ARRIVAL) return 'incoming';
    const { at, isExact } = this.#lastChangeOf(record, path);
    const decidedAt = decision?.madeAt ?? null;
    const isDecided = decidedAt !== null && (decidedAt >= at || !isExact);
    const last = isDecided ? decidedAt : at;
    if (madeAt > last) return 'incoming';
    return madeAt < last && (isDecided || (isExact && !isVague)) ? 'standing' : 'open';
  }

  #decide(parent: Y.Map<unknown>, key: string, step: Step, madeAt: MadeAt): Outcome | null {
    const winner = parent._map.get(key) as Y.Item;
    const { standing, incoming } = meeting(winner, step);
    if (standing === null || incoming === null || areUnited(standing, incoming)) return null;
    const wasThere = !standing.deleted || step.deleted(standing);
    const decision = this.#decisions.get(lastIdOf(standing));
    // An author that writes over what is removed had seen that, unless it was still there for the author.
    const isSeen = wasThere
      ? this.knew(incoming, standing, step)
      : step.knownBefore(incoming) === standing && !step.hasDeleted(lastIdOf(standing));
    if (isSeen && winner === incoming) return null;
    const place = placeAt(parent, key);
    if (place === null) return null;
    const later = isSeen ? 'incoming' : this.#compare(place, madeAt, decision);
    if (later === 'open') return null;
    const isLater = later === 'incoming';
    const isChosen = step.isNew(winner); // by Yjs
    const value = step.isRemoval(incoming) ? GONE : contentOf(incoming);
    const before = wasThere ? contentOf(standing) : GONE;
    const [mine, other] = isLater ? [value, before] : [before, value];
    if (mine === undefined) return null; // it was collected: nothing can be written of it
    const isSame = areEqual(mine, other);
    const isRight = isLater === isChosen || isSame;
    const id = lastIdOf(isLater ? incoming : standing);
    // Where it is the history that tells, nothing has to be remembered.
    const stays = decision !== undefined && decision.madeAt !== null && !isLater;
    const isTold = mine === GONE ? !stays : isLater === isChosen && !isSame;
    return {
      parent,
      key,
      write: isRight ? null : { value: mine instanceof Y.AbstractType ? copyOf(mine) : mine },
      by: isTold ? null : { id, madeAt: isLater ? madeAt : (decision?.madeAt ?? null) },
      lost: !isLater && !isSame && isPlain(other) ? { place, value: other } : null,
      kept: isRight ? null : lostContainer(isLater ? incoming : standing),
    };
  }

  /** Whether the author of `incoming` had seen what stands. */
  knew(incoming: Y.Item, standing: Y.Item, step: Step): boolean {
    const source = this.#decisions.get(lastIdOf(standing))?.by ?? lastIdOf(standing);
    const own = lastIdOf(incoming);
    if (source.client === own.client) return source.clock < own.clock;
    const known = step.knownBefore(incoming);
    return known !== null && (known === standing || holds(known, source));
  }

  /** Removals that met a value which their author had not seen, and which Yjs keeps, or another removal. */
  #removals(step: Step, madeAt: number): Outcome[] {
    return [...step.deletedBefore()].flatMap((item): Outcome[] => {
      const { parentSub: key } = item;
      const parent = item.parent as SharedType | null;
      if (key === null || parent === null || !isFields(parent) || step.isReplaced(item)) return [];
      const standing = parent._map.get(key);
      const place = placeAt(parent, key);
      if (standing === undefined || step.isNew(standing) || place === null) return [];
      if (standing.deleted && step.deleted(standing)) return [];
      const decision = this.#decisions.get(lastIdOf(standing));
      const isSeen = !standing.deleted && decision !== undefined && holds(item, decision.by);
      if (!isSeen && this.#compare(place, madeAt, decision) !== 'incoming') return [];
      const by = standing.deleted ? { id: lastIdOf(standing), madeAt } : null;
      return [{ parent, key, write: standing.deleted ? null : { value: GONE }, by, lost: null, kept: null }];
    });
  }

  /** Writes what an outcome says, inside a transaction. */
  write({ parent, key, write, by }: Outcome): void {
    if (write !== null && write.value === GONE) parent.delete(key);
    else if (write !== null) parent.set(key, write.value);
    const item = parent._map.get(key);
    if (by !== null && item !== undefined) this.#decisions.add(lastIdOf(item), by.id, by.madeAt);
  }
}

const isTime = (madeAt: MadeAt): madeAt is number => Number.isFinite(madeAt);

/** The usual case: no other author wrote at this key since this one looked. */
function isAlone({ left, right, origin }: Y.Item, step: Step): boolean {
  if (right !== null) return false;
  if (left === null) return true;
  return origin !== null && holds(left, origin) && !(left.deleted && !step.deleted(left));
}

/** The last item that was there before, and the last that came in. */
function meeting(winner: Y.Item, step: Step): { standing: Y.Item | null; incoming: Y.Item | null } {
  let [standing, incoming]: [Y.Item | null, Y.Item | null] = [null, null];
  for (
    let item: Y.Item | null = winner;
    item !== null && (standing === null || incoming === null);
    item = item.left
  ) {
    if (step.isNew(item)) incoming ??= item;
    else standing ??= item;
  }
  return { standing, incoming };
}

/** Whether it is in an element that was moved away. */
function isInMoved(type: SharedType): boolean {
  for (let item = type._item; item !== null; item = (item.parent as SharedType)._item) {
    if (isMovedAway(typeOf(item))) return true;
  }
  return false;
}

/** What Yjs put behind `first` at its key. */
function upTo(last: Y.Item, first: Y.Item): Y.Item[] {
  const items: Y.Item[] = [];
  for (let item: Y.Item | null = last; item !== null && item !== first; item = item.left) items.push(item);
  return items;
}

/** A record, or a map in one; what stands in a collection itself is created and deleted as a whole (D4, D5). */
const isFields = (parent: SharedType): parent is Y.Map<unknown> =>
  parent instanceof Y.Map && parent._item !== null && isLive(parent);

/** Types of one kind are united (D4), but for texts: there Yjs's own choice stays. */
const areUnited = (a: Y.Item, b: Y.Item): boolean =>
  typeOf(a) !== null && typeOf(a)?.constructor === typeOf(b)?.constructor;

const isPlain = (value: unknown): boolean =>
  value !== GONE && value !== undefined && !(value instanceof Y.AbstractType);

const areEqual = (a: unknown, b: unknown): boolean =>
  a === b || (isPlain(a) && isPlain(b) && equalityDeep(jsonOf(a), jsonOf(b)));

function lostContainer(item: Y.Item): Y.Item | null {
  const type = typeOf(item);
  return type instanceof Y.Map || type instanceof Y.Array ? item : null;
}

/** The path of a key inside its record; `null` where it is in none. */
function placeAt(type: SharedType, key: string): Place | null {
  let path: PathStep[] = [key];
  let isVague = false;
  for (let at = type; at._item !== null; ) {
    const { parent, parentSub } = at._item as { parent: SharedType; parentSub: string | null };
    if (parent._item === null) {
      const collection = Y.findRootTypeKey(parent);
      if (parentSub === null || !isCollectionName(collection)) return null;
      return { record: { collection, id: parentSub as RecordId }, path, isVague };
    }
    const id = parentSub === null ? idOf(at) : null;
    if (parentSub !== null) path.unshift(parentSub);
    else if (id !== null) path.unshift({ id });
    else [path, isVague] = [[], true];
    at = parent;
  }
  return null;
}
