/** Where a step moved elements of arrays, or edited those that were moved before: by array and id. */
import * as Y from 'yjs';
import { bringsObjects } from '../union/array-elements.js';
import { type Element, elementsOf, idOf, isLive } from '../union/lost-types.js';
import type { Step } from '../union/step.js';
import type { MovedElement, MovedElements } from './moved-elements.js';

/** What a step did to the elements of one id in one array; those that it inserted are among the live ones. */
export interface Place {
  readonly array: Y.Array<unknown>;
  readonly id: string;
  /** Deleted in this step. */
  readonly gone: Element[];
  /** Moved before, and edited in this step. */
  readonly late: MovedElement[];
}

export class Places {
  readonly #byArray = new Map<Y.Array<unknown>, Map<string, Place>>();

  get isEmpty(): boolean {
    return this.#byArray.size === 0;
  }

  at(array: Y.Array<unknown>, id: string): Place {
    const byId = this.#byArray.get(array) ?? new Map<string, Place>();
    this.#byArray.set(array, byId);
    const place = byId.get(id) ?? { array, id, gone: [], late: [] };
    byId.set(id, place);
    return place;
  }

  /** With all elements of these ids that the arrays have now. */
  *withLive(): Generator<[Place, readonly Element[]]> {
    for (const [array, byId] of this.#byArray) {
      if (!isLive(array)) continue;
      const live = new Map<string, Element[]>();
      for (const element of elementsOf(array)) {
        const id = idOf(element.value);
        if (id !== null && byId.has(id)) live.set(id, [...(live.get(id) ?? []), element]);
      }
      for (const place of byId.values()) yield [place, live.get(place.id) ?? []];
    }
  }
}

export function placesOf(step: Step, moved: MovedElements, sawAll: boolean): Places {
  const places = new Places();
  for (const item of step.newlyDeleted()) {
    for (const [array, id, element] of elementsIn(item)) places.at(array, id).gone.push(element);
  }
  if (!sawAll)
    for (const element of lateIn(step, moved)) places.at(element.array, element.id).late.push(element);
  const mayMove = !places.isEmpty || !moved.isEmpty || step.deletesElsewhere;
  for (const item of mayMove ? step.newItems() : []) {
    if (item.deleted) continue;
    for (const [array, id] of elementsIn(item)) places.at(array, id);
  }
  return places;
}

/** The elements that an item is. */
function elementsIn(item: Y.Item): [Y.Array<unknown>, string, Element][] {
  const {
    parent,
    id: { client, clock },
  } = item;
  if (item.parentSub !== null || !(parent instanceof Y.Array) || !bringsObjects(item)) return [];
  return item.content.getContent().flatMap((value, offset) => {
    const id = idOf(value);
    return id === null ? [] : [[parent, id, { client, clock: clock + offset, value }]];
  });
}

/** Elements that were moved before, and that this step's author edited, not knowing of it. */
function lateIn(step: Step, moved: MovedElements): Iterable<MovedElement> {
  const late = new Map<unknown, MovedElement>();
  if (moved.isEmpty) return [];
  for (const item of step.newItems()) {
    const element = item.deleted ? moved.around(item) : null;
    if (element !== null) late.set(element.value, element);
  }
  for (const item of step.deletedAgain()) {
    const element = moved.around(item);
    if (element !== null && !step.hasDeleted(element)) late.set(element.value, element);
  }
  return late.values();
}
