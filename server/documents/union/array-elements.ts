/** Elements of arrays: by their ids, since one id is one element (D3), and by their values. */
import type * as Y from 'yjs';
import { isObject, type Json } from '../../../shared/json.js';
import type { UnionContext } from './candidates.js';
import { type Element, elementsOf, idOf, jsonOf } from './lost-types.js';

/**
 * Live elements of each id: first the one that stays. An author's stays where there is one, and of several the one
 * that came last: the others may go in the next update, where somebody moves an element in two steps.
 */
export function elementsById(
  array: Y.Array<unknown>,
  context: Pick<UnionContext, 'madeByUnion' | 'arrived'>,
): Map<string, Element[]> {
  const elements = new Map<string, Element[]>();
  for (const element of elementsOf(array)) {
    const id = idOf(element.value);
    if (id === null) continue;
    const [first, ...others] = elements.get(id) ?? [];
    if (first === undefined) elements.set(id, [element]);
    else if (staysOver(element, first, context)) elements.set(id, [element, first, ...others]);
    else elements.set(id, [first, ...others, element]);
  }
  return elements;
}

function staysOver(
  element: Element,
  first: Element,
  { madeByUnion, arrived }: Pick<UnionContext, 'madeByUnion' | 'arrived'>,
): boolean {
  if (madeByUnion(element.client) !== madeByUnion(first.client)) return madeByUnion(first.client);
  return arrived(element.client, element.clock) && !arrived(first.client, first.clock);
}

export function byPosition(array: Y.Array<unknown>): (a: Y.Item, b: Y.Item) => number {
  const positions = new Map<Y.Item, number>();
  for (let item = array._start; item !== null; item = item.right) positions.set(item, positions.size);
  return (a, b) => (positions.get(a) ?? 0) - (positions.get(b) ?? 0);
}

export function removeElement(array: Y.Array<unknown>, client: number, clock: number): void {
  const index = indexOf(array, client, clock);
  if (index >= 0) array.delete(index, 1);
}

/** Where a live element stands, -1 if it does not; a list that was sorted asks this for each of its elements. */
export function indexOf(array: Y.Array<unknown>, client: number, clock: number): number {
  let index = 0;
  for (let item = array._start; item !== null; item = item.right) {
    if (item.deleted || !item.countable) continue;
    const offset = clock - item.id.clock;
    if (item.id.client === client && offset >= 0 && offset < item.length) return index + offset;
    index += item.length;
  }
  return -1;
}

export function bringsObjects(item: Y.Item): boolean {
  return item.content.getContent().some((value) => typeof value === 'object' && value !== null);
}

/** What an array has: its elements by id, and how often each other value stands in it. */
export class KnownElements {
  readonly #byId = new Map<string, unknown>();
  readonly #counts = new Map<string, number>();

  constructor(array: Y.Array<unknown>) {
    for (const { value } of elementsOf(array)) this.add(value);
  }

  add(value: unknown): void {
    const id = idOf(value);
    if (id !== null) {
      if (!this.#byId.has(id)) this.#byId.set(id, value);
      return;
    }
    const key = canonical(jsonOf(value));
    this.#counts.set(key, this.count(key) + 1);
  }

  withId(id: string): unknown {
    return this.#byId.get(id);
  }

  count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
}

/** The same text for equal values, whatever the order of their keys. */
export function canonical(json: Json): string {
  return JSON.stringify(json, (_, value: Json) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  );
}
