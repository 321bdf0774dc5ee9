/** D4: what may stand in a field of what was created apart, in the order of the rules (`unite.ts`). */
import type * as Y from 'yjs';
import type { Later } from '../later-wins/later-wins.js';
import { contentOf, jsonOf, lastIdOf, type SharedType, typeOf } from './lost-types.js';

export interface UnionContext {
  /** Whether a union wrote the items of this client. */
  madeByUnion(client: number): boolean;
  /** Whether this id is new: elements and characters are carried once, when they arrive. */
  arrived(client: number, clock: number): boolean;
  /** Whether this map or array lost its place to one created apart. */
  kept(client: number, clock: number): boolean;
  /** Whether this map is an element that was moved: a copy, so that none of its fields counts as just created. */
  isCopy(map: Y.Map<unknown>): boolean;
  /** Whether it stands in one: what a union wrote there is what others edited in the element that went. */
  isInCopy(type: SharedType): boolean;
  /**
   * Whether what came in, if something did, is later than what stood at this key before. Without this, that is never
   * known.
   */
  readonly later?: (parent: SharedType, key: string, isIncoming: boolean) => Later;
  /** Whether this was in its place until this update. */
  readonly stood?: (type: SharedType) => boolean;
  /** Whether the author of what came in had seen what stood there. */
  readonly knew?: (incoming: Y.Item, stood: Y.Item) => boolean;
  /** Told of each copy, and of whose write it is one. */
  readonly copied?: (copy: Y.Item, of: Y.ID) => void;
}

export interface Source {
  readonly type: SharedType;
  /** The type lost its place just now, so all of its elements are new to the target. */
  readonly fresh: boolean;
}

export const isNew = ({ client, clock }: Y.ID, context: UnionContext): boolean =>
  context.arrived(client, clock);

export interface Candidate {
  readonly item: Y.Item;
  readonly fresh: boolean;
  readonly isEdit: boolean;
  /** Of what the author wrote, which `item` may be a union's copy of. */
  readonly id: Y.ID;
  /** It came in and lost inside its own map, which only the times can mend. */
  readonly isBeaten?: boolean;
}

/**
 * What the sources have at each key, up to the first that had removed it. A map, array or text that a union made
 * counts too: authors may have written inside it. So does one that lost its place in the source itself.
 */
export function candidatesByKey(sources: readonly Source[], context: UnionContext): Map<string, Candidate[]> {
  const byKey = new Map<string, Candidate[]>();
  const removed = new Set<string>();
  for (const { type, fresh } of sources) {
    for (const [key, last] of type._map) {
      if (contentOf(last) === undefined) removed.add(key);
      if (removed.has(key)) continue;
      const candidates = byKey.get(key) ?? [];
      candidates.push(...candidatesAt(last, fresh, context));
      if (candidates.length > 0) byKey.set(key, candidates);
    }
  }
  return byKey;
}

/** Edits first. Of an author's plain values only the latest counts: it was written knowing of the others. */
export function inPrecedence(all: readonly Candidate[]): Candidate[] {
  const candidates = all.filter((each) => !each.isBeaten);
  const beaten = all.filter((each) => each.isBeaten);
  const latest = new Map<number, number>();
  for (const { id } of candidates) latest.set(id.client, Math.max(id.clock, latest.get(id.client) ?? 0));
  const counting = candidates.filter(
    ({ item, id }) => typeOf(item) !== null || id.clock === latest.get(id.client),
  );
  return [...counting.filter(({ isEdit }) => isEdit), ...counting.filter(({ isEdit }) => !isEdit), ...beaten];
}

/** Whether the author of a plain value wrote the other one later: before and after hearing of a map that won. */
export function isOlder({ item, id }: Candidate, other: Y.ID): boolean {
  return typeOf(item) === null && id.client === other.client && id.clock < other.clock;
}

export function candidatesAt(latest: Y.Item, fresh: boolean, context: UnionContext): Candidate[] {
  const own = authorsItem(latest, context);
  // Where the author's own item was collected, a union has written its value again.
  const value = own !== null && contentOf(own) === undefined ? latest : own;
  const candidates: Candidate[] =
    own && value ? [{ item: value, fresh, isEdit: isEdit(own), id: lastIdOf(own) }] : [];
  const isCarried = own === null && typeOf(latest) === null && context.isInCopy(latest.parent as SharedType);
  if (isCarried) candidates.push({ item: latest, fresh, isEdit: false, id: lastIdOf(latest) });
  for (let item: Y.Item | null = latest; item !== null; item = item.left) {
    const counts = item === latest || context.kept(item.id.client, item.id.clock);
    if (counts && item !== value && typeOf(item) !== null) {
      candidates.push({ item, fresh: fresh && item === latest, isEdit: false, id: item.id });
    } else if (item !== value && isBeaten(item, context)) {
      candidates.push({ item, fresh, isEdit: true, id: lastIdOf(item), isBeaten: true });
    }
  }
  return candidates;
}

export const isBeaten = (item: Y.Item, context: UnionContext): boolean =>
  isNew(lastIdOf(item), context) &&
  !context.madeByUnion(item.id.client) &&
  typeOf(item) === null &&
  contentOf(item) !== undefined;

/** The last item of a key that an author wrote, passing over those of unions. */
export function authorsItem(latest: Y.Item, context: Pick<UnionContext, 'madeByUnion'>): Y.Item | null {
  let item: Y.Item | null = latest;
  while (item !== null && context.madeByUnion(item.id.client)) item = item.left;
  return item;
}

/** Written over an earlier value of the same field, so after the map was created. */
export const isEdit = (item: Y.Item) => item.origin !== null || item.length > 1;

export function isEmpty(item: Y.Item): boolean {
  const value = jsonOf(contentOf(item));
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value).length === 0);
}
