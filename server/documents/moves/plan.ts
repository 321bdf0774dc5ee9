/**
 * D3: an element that is moved stays the same element. Finds what a step moved, and edits of what was moved before;
 * says what is to be written into the element that stands there now, so that nothing of either is lost.
 */
import { equalityDeep } from 'lib0/function';
import type * as Y from 'yjs';
import type { Json, JsonObject } from '../../../shared/json.js';
import type { EditStays } from '../later-wins/later-wins.js';
import { removeElement } from '../union/array-elements.js';
import { isEmpty } from '../union/candidates.js';
import { type Element, idOf } from '../union/lost-types.js';
import type { Step } from '../union/step.js';
import { type Carried, fieldsIn, mergeVersions, writeElement } from './element-merge.js';
import { asInserted, asItIs, itemAt, jsonAs, removesNothing, type View } from './element-views.js';
import { type Edits, LateEdits, unitAt } from './late-edits.js';
import type { MovedElements } from './moved-elements.js';
import { type Place, placesOf } from './places.js';

/** Where the times are not known, what was edited apart from a move counts as the later one. */
export const editStays: EditStays = () => true;

/** What times tell of elements that were moved. */
export interface MoveTimes {
  readonly editStays?: EditStays;
  /** Items in them that gave way to others at the same key, though Yjs chose them. */
  readonly overruled?: ReadonlySet<Y.Item>;
}

export interface MoveOptions extends MoveTimes {
  /** The author had the whole document when it wrote. */
  readonly sawAll: boolean;
  /** The union may know others of this id; from now on, only what is new in them is carried. */
  readonly takeOver: (array: Y.Array<unknown>, id: string) => void;
}

/** Runs in a transaction; says whose writes it wrote again. */
export type MoveWrite = (carried: Carried) => void;

/** To be called while a transaction ends, when everything that it deleted can still be read. */
export function planMoves(step: Step, moved: MovedElements, options: MoveOptions): MoveWrite[] {
  const plan = new MovePlan(step, moved, options);
  const writes = [...placesOf(step, moved, options.sawAll).withLive()].flatMap(
    ([place, live]) => plan.writeAt(place, live) ?? [],
  );
  moved.bound();
  return writes;
}

class MovePlan {
  readonly #step: Step;
  readonly #moved: MovedElements;
  readonly #options: MoveOptions;
  readonly #editStays: EditStays;
  readonly #lateEdits: LateEdits;

  constructor(step: Step, moved: MovedElements, options: MoveOptions) {
    this.#step = step;
    this.#moved = moved;
    this.#options = options;
    this.#editStays = options.editStays ?? editStays;
    this.#lateEdits = new LateEdits(step, options.overruled);
  }

  writeAt(place: Place, live: readonly Element[]): MoveWrite | null {
    const { array, id, gone } = place;
    if (live.length === 0) {
      for (const element of gone) this.#moved.keepRemoved(array, id, element, this.#baseOf(element, {}));
      return null;
    }
    if (gone.length > 0) this.#options.takeOver(array, id);
    for (const element of gone) this.#moved.keep(array, id, element);
    return this.#options.sawAll ? null : this.#merge(place, live);
  }

  #merge(place: Place, live: readonly Element[]): MoveWrite | null {
    const { array, late, gone } = place;
    const copy = live.find((element) => this.#isNew(element));
    const origin = copy && this.#originOf(place, copy, live);
    const others = origin ? live.filter((element) => !this.#isNew(element)) : [];
    const rival = others.find((element) => !this.#step.hasDeleted(element));
    const stays = this.#staying(origin ? copy : live[0], rival);
    if (stays === undefined) return null;
    const sources: unknown[] = [copy, rival, origin, ...gone, ...late].map((each) => each?.value);
    let json = objectOf(stays.value);
    if (copy && origin) json = this.#mergeCopy(copy, origin, rival);
    else for (const element of gone) json = this.#mergeEdits(this.#unseenIn(element, json), stays, json);
    for (const element of late)
      for (const edits of this.#lateEdits.in(element)) json = this.#mergeEdits(edits, stays, json);
    const leaving = others.filter((element) => element !== stays);
    if (copy && rival) leaving.push(...[copy].filter((element) => element !== stays));
    if (leaving.length === 0 && equalityDeep(json, objectOf(stays.value))) return null;
    for (const element of leaving) this.#moved.keep(array, place.id, element);
    return (carried) => {
      writeElement(array, stays, json, { sources, carried });
      for (const { client, clock } of leaving) removeElement(array, client, clock);
    };
  }

  /** What the mover made of the element, and what others made of it meanwhile. */
  #mergeCopy(copy: Element, { seen, value, current }: Origin, rival: Element | undefined): JsonObject {
    const incoming = { json: jsonOf(copy.value), value: copy.value };
    if (rival === undefined) {
      // Nobody else wrote in it: most moves are like this.
      if (seen.length === 1 && equalityDeep(seen[0], current)) return fieldsIn(incoming.json);
      const edited = { json: current, value };
      const versions = { seen, incoming, current: edited };
      // What the mover wrote into the copy, and did not only copy, is an edit like that of others, and came later.
      return mergeVersions(versions, (copied, edit) =>
        copied?.origin ? this.#editStays(copied, edit) : !this.#editStays(edit, copied),
      );
    }
    const other = { json: jsonOf(rival.value), value: rival.value };
    return mergeVersions({ seen, incoming, current: other }, this.#editStays);
  }

  /** What was edited in an element that is gone. */
  #mergeEdits({ seen, edited, value, view, isApart }: Edits, stays: Element, json: JsonObject): JsonObject {
    if (equalityDeep(seen, edited)) return json;
    const incoming = { json: edited, value, view };
    const current = { json, value: stays.value };
    return mergeVersions({ seen: [seen], incoming, current }, (edit, other) => {
      if (edit === null) return false;
      // Of what was created apart, what is empty wins over nothing (D4).
      const isOneEmpty = isApart && other !== null && isEmpty(edit) !== isEmpty(other);
      return isOneEmpty ? isEmpty(other) : this.#editStays(edit, other);
    });
  }

  /** What the copy was made from, where it was made from an element that is known. */
  #originOf(place: Place, copy: Element, live: readonly Element[]): Origin | null {
    const { array, id, gone } = place;
    const json = jsonAs(copy.value, asInserted) ?? null;
    const known = gone.at(-1) ?? live.find((each) => !this.#isNew(each) && this.#step.hasDeleted(each));
    if (known !== undefined) {
      const base = this.#baseOf(known, json);
      const undone = this.#undoneBy(place, copy, known, base);
      const current = jsonAs(known.value, this.#beforeStep) ?? null;
      return { value: known.value, seen: undone === null ? [base] : [base, undone], current };
    }
    const earlier = this.#moved.earlier(array, id).find((each) => this.#step.hasDeleted(each));
    if (earlier !== undefined) {
      const base = this.#baseOf(earlier, json);
      return { value: earlier.value, seen: [base], current: base };
    }
    const removed = this.#moved.takeRemoved(array, id);
    return removed && { value: removed.value, seen: [removed.base], current: jsonOf(removed.value) };
  }

  /** The element as the author saw it that deleted it: what it deleted with it was there for it. */
  #baseOf({ value }: Element, copy: Json): Json {
    const { sawAll } = this.#options;
    const knows: View['knows'] = (item, offset) =>
      !this.#step.isNewAt(item, offset) && (sawAll || this.#step.hasDeleted(unitAt(item, offset)));
    return jsonAs(value, { knows, removed: removesNothing }, copy) ?? null;
  }

  /**
   * Who undoes a move deletes the copy, with what others wrote in it, and inserts what had been moved, as it was
   * then, where it was then; Yjs leaves out what others overwrote. That can't mean the edits of others, but it may
   * mean own ones.
   */
  #undoneBy({ array, id }: Place, copy: Element, { value }: Element, base: Json): JsonObject | null {
    const next = this.#step.itemOf(copy)?.rightOrigin ?? null;
    const undone = next && this.#moved.find(next);
    if (undone?.array !== array || undone.id !== id || undone.value === value) return null;
    const isOwn = (key: string) => itemAt(value, [key])?.id.client === copy.client;
    const copied = objectOf(copy.value);
    const own = Object.entries(fieldsIn(base)).filter(([key]) => isOwn(key));
    const others = Object.entries(objectOf(undone.value)).filter(
      ([key]) => !isOwn(key) && Object.hasOwn(copied, key),
    );
    return Object.fromEntries([...own, ...others]);
  }

  readonly #beforeStep: View = {
    knows: (item, offset) => !this.#step.isNewAt(item, offset),
    removed: (item) => item.deleted && !this.#step.deleted(item),
  };

  /** Edits that the author that deleted the element had not seen. */
  #unseenIn(element: Element, copy: Json): Edits {
    const edited = jsonAs(element.value, this.#beforeStep) ?? null;
    return {
      value: element.value,
      seen: this.#baseOf(element, copy),
      edited,
      view: this.#beforeStep,
      isApart: false,
    };
  }

  /** Of two copies of one element, the one that stands elsewhere than the element did. */
  #staying(copy: Element | undefined, rival: Element | undefined): Element | undefined {
    if (copy === undefined || rival === undefined) return copy;
    const [first, second] = this.#inOrder(copy, rival);
    return this.#isInPlace(first) && !this.#isInPlace(second) ? second : first;
  }

  #inOrder(a: Element, b: Element): [Element, Element] {
    const [start, end] = [this.#step.itemOf(a), this.#step.itemOf(b)];
    for (let item = start; item !== null; item = item.right) if (item === end) return [a, b];
    return [b, a];
  }

  /** Whether one that was moved stood beside it. */
  #isInPlace(element: Element): boolean {
    const item = this.#step.itemOf(element);
    const id = idOf(element.value);
    for (const side of ['left', 'right'] as const) {
      for (let at = item?.[side] ?? null; at?.deleted; at = at[side]) {
        if (id !== null && this.#moved.idOfMoved(at) === id) return true;
      }
    }
    return false;
  }

  #isNew = ({ client, clock }: Element): boolean => this.#step.arrived(client, clock);
}

interface Origin {
  readonly value: unknown;
  /** As it was, or may have been, for the author of the copy. */
  readonly seen: readonly Json[];
  /** As all other authors saw it. */
  readonly current: Json;
}

const jsonOf = (value: unknown): Json => jsonAs(value, asItIs) ?? null;

const objectOf = (value: unknown): JsonObject => fieldsIn(jsonOf(value));
