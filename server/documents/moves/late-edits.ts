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

/** First those in what stands there, then those in each object and list that lost its place to that. */
export function lateEdits(element: MovedElement, step: Step, overruled: Overruled): Edits[] {
  const before: View = { knows: (item, offset) => !step.isNewAt(item, offset), removed: wasMovedAway };
  const apart = createdApart(element, step, before);
  const knows: View['knows'] = (item) => overruled?.has(item) !== true && !apart.has(item);
  const removed: View['removed'] = (item, offset) =>
    wasMovedAway(item, offset) || (!step.hasDeleted(element) && step.hasRemoved(unitAt(item, offset)));
  return [
    { ...editsOf(element, before, { knows, removed }), isApart: false },
    ...[...apart].map((item) => ({ ...editsInside(element, item, before, knows), isApart: true })),
  ];
}

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

/** The objects and lists that the step brings or writes in, and that others at their keys, created apart, stand for. */
function createdApart(element: MovedElement, step: Step, before: View): ReadonlySet<Y.Item> {
  const root = step.itemOf(element);
  const apart = new Set<Y.Item>();
  for (const item of step.newItems()) {
    const around = item.deleted ? [item, ...itemsAround(item)] : [];
    const end = root === null ? -1 : around.indexOf(root);
    for (const at of around.slice(0, Math.max(0, end))) if (isApart(at, step, before)) apart.add(at);
  }
  return apart;
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
  const around: Y.Item[] = [];
  for (let at = (item.parent as SharedType)._item; at !== null; at = (at.parent as SharedType)._item)
    around.push(at);
  return around;
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
