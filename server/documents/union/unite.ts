/**
 * D4, the pure part: writes into a map or array what it lacks of others that were created apart at its place.
 *
 * What comes out depends on the maps alone, not on the order in which they arrived: per field
 * 1. what an author of the target wrote stays, unless it is still as it was created and a source edited it;
 * 2. otherwise the first source that edited the field after creating it wins, else the first that has it
 *    (sources are given in the order of precedence);
 * 3. a field that was removed, in the target or in a source that comes first, is not brought back.
 * Where the times of what came in and of what stood there are known, the later comes before rules 1 and 2. What is
 * empty (`""`, null, `[]`, `{}`) never wins over what is not. Writes of earlier unions never count as an author's.
 */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { textEdit } from '../../../shared/text-edits.js';
import { canonical, KnownElements } from './array-elements.js';
import {
  authorsItem,
  type Candidate,
  candidatesByKey,
  inPrecedence,
  isEdit,
  isNew,
  isOlder,
  type Source,
  type UnionContext,
} from './candidates.js';
import { chosenOf, type Field } from './choice.js';
import {
  contentOf,
  copyOf,
  elementCopy,
  elementsOf,
  idOf,
  jsonOf,
  type SharedType,
  textOf,
  typeOf,
} from './lost-types.js';

export type { Source, UnionContext } from './candidates.js';

/** Unites `sources`, the first taking precedence, into `target`. Call it inside a transaction. */
export function unite(target: SharedType, sources: readonly Source[], context: UnionContext): void {
  if (target instanceof Y.Map) uniteMaps(target, sources.filter(isMapSource), context);
  else if (target instanceof Y.Array) uniteArrays(target, sources.filter(isArraySource), context);
}

/** Puts the union of `sources` where what had won was deleted. */
export function createUnited(
  parent: SharedType,
  key: string,
  sources: readonly Source[],
  context: UnionContext,
): void {
  const first = sources[0];
  if (first === undefined) return;
  const type = copyOf(first.type) as SharedType;
  (parent as Y.Map<unknown>).set(key, type);
  unite(type, sources, context);
}

const isMapSource = ({ type }: Source) => type instanceof Y.Map;
const isArraySource = ({ type }: Source) => type instanceof Y.Array;

function uniteMaps(target: Y.Map<unknown>, sources: readonly Source[], context: UnionContext): void {
  const byKey = candidatesByKey(sources, context);
  const stood = mapThatStood(target, sources, context);
  // What a union had put into the one that stood is no author's, and counts as what stood there alone.
  const others = stood === null || stood === target ? [] : stood._map.keys();
  for (const key of [...new Set([...byKey.keys(), ...others])].sort()) {
    const place = { target, key, stood: stood?._map.get(key) ?? null };
    uniteField(place, inPrecedence(byKey.get(key) ?? []), context);
  }
}

/** The one whose fields the record had before this update. */
function mapThatStood(
  target: SharedType,
  sources: readonly Source[],
  context: UnionContext,
): SharedType | null {
  const isOld = ({ _item: item }: SharedType) => item !== null && !isNew(item.id, context);
  if (isOld(target)) return target;
  const stood = ({ type }: Source) => isOld(type) && (context.stood?.(type) ?? false);
  return sources.find(stood)?.type ?? null;
}

/** A field, and what it held before this update. */
type Place = Pick<Field, 'target' | 'key' | 'stood'>;

function uniteField(place: Place, candidates: Candidate[], context: UnionContext): void {
  const { target, key } = place;
  const current = target._map.get(key);
  if (current === undefined) {
    const ruled = candidates.find((each) => !each.isBeaten);
    const chosen = chosenOf({ ...place, current: null, own: null, all: candidates, ruled }, context);
    if (chosen !== undefined) put(target, key, firstOf(chosen, candidates), context);
    return;
  }
  if (current.deleted) return;
  const own = authorsItem(current, context);
  const below = keptBelow(current, own, context);
  const all = [...below, ...candidates];
  const ruling = all.filter((each) => !each.isBeaten);
  const first = own === null || (own !== current && below.length > 0) ? ruling[0] : undefined;
  const late = context.isCopy(target) ? ruling.filter(({ id }) => isNew(id, context)) : ruling;
  const ruled = (own && overrides(own, current, late)) ?? first;
  const chosen = chosenOf({ ...place, current, own, all, ruled }, context);
  if (chosen === undefined) {
    uniteInside(current, all, context);
    return;
  }
  const others = [chosen, ...all.slice(all.indexOf(chosen) + 1)];
  if (uniteInside(current, others, context)) return;
  if (!equalityDeep(jsonOf(contentOf(current)), jsonOf(contentOf(chosen.item))))
    put(target, key, others, context);
}

/** What lost its place at the target's own key, to the current one or to a union's: first the author's. */
function keptBelow(current: Y.Item, own: Y.Item | null, context: UnionContext): Candidate[] {
  const below: Candidate[] = [];
  for (let item = current.left; item !== null; item = item.left) {
    const { client, clock } = item.id;
    if (typeOf(item)?.constructor !== typeOf(current)?.constructor || typeOf(item) === null) continue;
    const candidate = {
      item,
      fresh: false,
      isEdit: !context.madeByUnion(client) && isEdit(item),
      id: item.id,
    };
    if (item === own) below.unshift(candidate);
    else if (context.kept(client, clock)) below.push(candidate);
  }
  return below;
}

/** The candidate that takes precedence over what an author of the target wrote, if one does. */
function overrides(own: Y.Item, current: Y.Item, candidates: readonly Candidate[]): Candidate | undefined {
  const isContainer = own === current && typeOf(own) !== null;
  return isContainer || isEdit(own)
    ? undefined
    : candidates.find((each) => each.isEdit && !isOlder(each, own.id));
}

const firstOf = (chosen: Candidate, all: readonly Candidate[]): Candidate[] => [
  chosen,
  ...all.filter((each) => each !== chosen),
];

function put(
  target: Y.Map<unknown>,
  key: string,
  candidates: readonly Candidate[],
  context: UnionContext,
): void {
  const first = candidates[0];
  if (first === undefined) return;
  const value = copyOf(contentOf(first.item));
  target.set(key, value);
  const copy = target._map.get(key);
  if (copy !== undefined) context.copied?.(copy, first.id);
  if (!(value instanceof Y.AbstractType)) return;
  // The first one is among the sources: what is copied counts as a union's, and would lose to the others.
  unite(
    value,
    sourcesOf(candidates).map(({ type }) => ({ type, fresh: true })),
    context,
  );
}

function sourcesOf(candidates: readonly Candidate[]): Source[] {
  return candidates.flatMap(({ item, fresh }) => {
    const type = typeOf(item);
    return type === null ? [] : [{ type, fresh }];
  });
}

/** Unites nested types; `false` when the first candidate is not of the same kind as the current value. */
function uniteInside(current: Y.Item, candidates: readonly Candidate[], context: UnionContext): boolean {
  const type = typeOf(current);
  const first = candidates[0];
  const firstType = first === undefined ? null : typeOf(first.item);
  if (type === null || firstType === null || type.constructor !== firstType.constructor) return false;
  if (type instanceof Y.Text) {
    if (context.madeByUnion(current.id.client)) carryText(type, firstType as Y.Text, context);
  } else unite(type, sourcesOf(candidates), context);
  return true;
}

/** Carries what was typed into a lost text since it was copied; what others typed into the copy stays. */
function carryText(target: Y.Text, source: Y.Text, context: UnionContext): void {
  const before = textOf(source, (client, clock) => !context.arrived(client, clock));
  const edit = textEdit(before, textOf(source));
  if (edit.insert === '' || before === '') return;
  const start = target.toString().startsWith(before.slice(0, edit.index)) ? edit.index : target.length;
  target.insert(Math.min(start, target.length), edit.insert);
}

function uniteArrays(target: Y.Array<unknown>, sources: readonly Source[], context: UnionContext): void {
  const known = new KnownElements(target);
  sources.forEach((source, precedence) => {
    let index = placeFor(target, sources.slice(precedence + 1), context);
    for (const value of lacking(source, known, context)) {
      const copy = elementCopy(value);
      target.insert(index++, [copy]);
      known.add(copy);
    }
  });
  for (const [id, maps] of elementMaps(sources)) {
    const existing = known.withId(id);
    if (existing instanceof Y.Map) uniteMaps(existing, maps, context);
  }
}

/** The elements of the source that the target lacks. */
function* lacking(source: Source, known: KnownElements, context: UnionContext): Generator<unknown> {
  const seen = new Map<string, number>();
  for (const { client, clock, value } of elementsOf(source.type)) {
    const isNew = source.fresh || context.arrived(client, clock);
    const id = idOf(value);
    if (id !== null) {
      if (isNew && known.withId(id) === undefined) yield value;
      continue;
    }
    const key = canonical(jsonOf(value));
    const count = (seen.get(key) ?? 0) + 1;
    seen.set(key, count);
    if (isNew && count > known.count(key)) yield value;
  }
}

/** One id is one element (D3): all maps of each id, whose fields come together in the element that is there. */
function elementMaps(sources: readonly Source[]): Map<string, Source[]> {
  const maps = new Map<string, Source[]>();
  for (const { type, fresh } of sources) {
    for (const { value } of elementsOf(type)) {
      const id = value instanceof Y.Map ? idOf(value) : null;
      if (id !== null) maps.set(id, [...(maps.get(id) ?? []), { type: value as SharedType, fresh }]);
    }
  }
  return maps;
}

/** Before what earlier unions took from sources of lower precedence, else at the end. */
function placeFor(target: Y.Array<unknown>, lower: readonly Source[], context: UnionContext): number {
  const taken = new Set(
    lower.flatMap(({ type }) => elementsOf(type).map(({ value }) => canonical(jsonOf(value)))),
  );
  const index = elementsOf(target).findIndex(
    ({ client, value }) => context.madeByUnion(client) && taken.has(canonical(jsonOf(value))),
  );
  return index < 0 ? target.length : index;
}
