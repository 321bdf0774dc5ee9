/**
 * What a step edits in an element that was moved before. What several authors create apart in it is united in the copy
 * (D4): what one of them wrote is read without what the others did, so that none of it counts as removed.
 */
import * as Y from 'yjs';
import type { Json } from '../../../shared/json.js';
import { isMovedAway, type SharedType, typeOf } from '../union/lost-types.js';
import type { Step } from '../union/step.js';
import { jsonAs, latestKnown, type View } from './element-views.js';
import type { MovedElement } from './moved-elements.js';

/** What became of an element that is gone, by one or several authors. */
export interface Edits {
  readonly value: unknown;
  readonly seen: Json;
  readonly edited: Json;
  /** How that was read. */
  readonly view: View;
  /** Whether it is of what was created apart from what stands there. */
  readonly isApart: boolean;
}

type Overruled = ReadonlySet<Y.Item> | undefined;

const wasMovedAway: View['removed'] = (item, offset) => isMovedAway(item.content.getContent()[offset]);

/** Of all elements that a step edits late. */
export class LateEdits {
  readonly #step: Step;
  readonly #overruled: Overruled;
  /** Made with the first element: most steps have none. */
  #parts: NewParts | null = null;

  constructor(step: Step, overruled: Overruled) {
    this.#step = step;
    this.#overruled = overruled;
  }

  /** First those in what stands there, then those in each object and list that lost its place to that. */
  in(element: MovedElement): Edits[] {
    const step = this.#step;
    const before: View = { knows: (item, offset) => !step.isNewAt(item, offset), removed: wasMovedAway };
    const apart = this.#createdApart(element, before);
    const knows: View['knows'] = (item) => this.#overruled?.has(item) !== true && !apart.has(item);
    const removed: View['removed'] = (item, offset) =>
      wasMovedAway(item, offset) || (!step.hasDeleted(element) && step.hasRemoved(unitAt(item, offset)));
    return [
      { ...editsOf(element, before, { knows, removed }), isApart: false },
      ...[...apart].map((item) => ({ ...editsInside(element, item, before, knows), isApart: true })),
    ];
  }

  /** The objects and lists that the step brings or writes in, and that others at their keys, created apart, stand for. */
  #createdApart(element: MovedElement, before: View): ReadonlySet<Y.Item> {
    const root = this.#step.itemOf(element);
    this.#parts ??= new NewParts(this.#step);
    const parts = root === null ? [] : this.#parts.inside(root);
    return new Set(parts.filter((item) => isApart(item, this.#step, before)));
  }
}

/**
 * The objects and lists that a step brings or writes in, of what is deleted, and all that they stand in: gathered once
 * for all elements that it edits.
 */
class NewParts {
  /** In the order in which the step has them, from the inside out. */
  readonly #order = new Map<Y.Item, number>();
  readonly #within = new Map<Y.Item, Y.Item[]>();

  constructor(step: Step) {
    for (const item of step.newItems())
      if (item.deleted) this.#add(typeOf(item) === null ? around(item) : item);
  }

  inside(root: Y.Item): Y.Item[] {
    const found = [...(this.#within.get(root) ?? [])];
    // Those that are added are gone through, too.
    for (const item of found) for (const each of this.#within.get(item) ?? []) found.push(each);
    return found.sort((a, b) => (this.#order.get(a) ?? 0) - (this.#order.get(b) ?? 0));
  }

  #add(part: Y.Item | null): void {
    for (let at = part; at !== null && !this.#order.has(at); at = around(at)) {
      this.#order.set(at, this.#order.size);
      const outer = around(at);
      if (outer === null) return;
      const within = this.#within.get(outer);
      if (within === undefined) this.#within.set(outer, [at]);
      else within.push(at);
    }
  }
}

/** What it stands in; `null` in a collection. */
const around = (item: Y.Item): Y.Item | null => (item.parent as SharedType)._item;

function editsOf({ value }: MovedElement, before: View, after: View): Omit<Edits, 'isApart'> {
  return { value, seen: jsonAs(value, before) ?? null, edited: jsonAs(value, after) ?? null, view: after };
}

/** Where it lost, its author may have heard of that, and have deleted it so: removals in it are not carried. */
function editsInside(element: MovedElement, lost: Y.Item, before: View, knows: View['knows']) {
  const way = [lost, ...itemsAround(lost)];
  const isOnWay = (item: Y.Item): boolean => way.every((at) => at === item || !isAtPlaceOf(at, item));
  const isInside = (item: Y.Item): boolean => item === lost || itemsAround(item).includes(lost);
  return editsOf(
    element,
    { ...before, knows: (item, offset) => isOnWay(item) && before.knows(item, offset) },
    {
      removed: wasMovedAway,
      knows: (item, offset) =>
        isOnWay(item) && (isInside(item) ? item === lost || knows(item, offset) : before.knows(item, offset)),
    },
  );
}

function isApart(item: Y.Item, step: Step, before: View): boolean {
  const type = typeOf(item);
  const last = item.parentSub === null ? null : (item.parent as SharedType)._map.get(item.parentSub);
  if (!(type instanceof Y.Map || type instanceof Y.Array) || !last) return false;
  const standing = latestKnown(last, before)?.item ?? last;
  if (standing === item || typeOf(standing)?.constructor !== type.constructor) return false;
  return !step.ancestorsOf(standing).has(item) && !step.ancestorsOf(item).has(standing);
}

/** What it stands in, from the inside out. */
function itemsAround(item: Y.Item): Y.Item[] {
  const all: Y.Item[] = [];
  for (let at = around(item); at !== null; at = around(at)) all.push(at);
  return all;
}

const isAtPlaceOf = (a: Y.Item, b: Y.Item): boolean =>
  a.parentSub !== null && a.parentSub === b.parentSub && a.parent === b.parent;

export const unitAt = (
  { id: { client, clock } }: Y.Item,
  offset: number,
): { client: number; clock: number } => ({
  client,
  clock: clock + offset,
});
