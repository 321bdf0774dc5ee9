/** D4: which of several values of a field is to stand: by the times where they are known, else by the rules. */
import type * as Y from 'yjs';
import { type Candidate, isEmpty, isNew, type UnionContext } from './candidates.js';
import { contentOf, lastIdOf, typeOf } from './lost-types.js';

/** A field that is united. */
export interface Field {
  readonly target: Y.Map<unknown>;
  readonly key: string;
  readonly current: Y.Item | null;
  /** What an author of the target wrote last. */
  readonly own: Y.Item | null;
  readonly all: readonly Candidate[];
  readonly stood: Y.Item | null;
  /** What the rules choose; `undefined` for what the target has. */
  readonly ruled: Candidate | undefined;
}

/**
 * What the field is to hold; `undefined` for what the target has. The rules have the word where the times are not
 * known, or do not tell two things apart.
 */
export function chosenOf(field: Field, context: UnionContext): Candidate | undefined {
  const { target, key, own, all, stood, ruled, current } = field;
  const mine = own !== null && isNew(lastIdOf(own), context) ? own : null;
  // The author's last: what it wrote before, it knew of.
  const came = all.filter(({ id }) => isNew(id, context));
  const theirs = mine === null ? came.reduce<Candidate | undefined>(lastOf, undefined) : undefined;
  const incoming = mine ?? theirs?.item;
  const standing = stood === null ? null : standingOf(stood, context);
  if (incoming !== undefined && standing !== null && context.knew?.(incoming, standing.item)) return theirs;
  const isApart = stood !== null && typeOf(stood) !== null;
  const later = isApart ? 'open' : (context.later?.(target, key, incoming !== undefined) ?? 'open');
  if (later === 'incoming') return notEmpty(theirs, current, all);
  if (later === 'open' || standing === null) return notEmpty(ruled, current, all);
  return notEmpty(standing.item === current ? undefined : standing, current, all);
}

export const lastOf = (a: Candidate | undefined, b: Candidate): Candidate =>
  a !== undefined && !(a.id.client === b.id.client && a.id.clock < b.id.clock) ? a : b;

/** The plain value that the field held before this update. */
export function standingOf(item: Y.Item, context: UnionContext): Candidate | null {
  const id = lastIdOf(item);
  if (isNew(id, context) || typeOf(item) !== null || contentOf(item) === undefined) return null;
  return { item, fresh: false, isEdit: false, id };
}

/** What is empty never wins over what is not. */
export function notEmpty(
  chosen: Candidate | undefined,
  current: Y.Item | null,
  all: readonly Candidate[],
): Candidate | undefined {
  const item = chosen?.item ?? current;
  if (item === null || !isEmpty(item)) return chosen;
  if (current !== null && !isEmpty(current)) return undefined;
  return all.find((each) => !isEmpty(each.item)) ?? chosen;
}
