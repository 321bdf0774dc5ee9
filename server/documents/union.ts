/**
 * D4, the pure part: writes into a map or array what it lacks of others that were created apart at its place.
 *
 * What comes out depends on the maps alone, not on the order in which they arrived: per field
 * 1. what an author of the target wrote stays, unless it is still as it was created and a source edited it;
 * 2. otherwise the first source that has the field wins (sources are given in the order of precedence);
 * 3. a field that was removed, in the target or in a source that comes first, is not brought back.
 * Writes of earlier unions never count as an author's.
 */
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import { elementId } from '../../shared/elements.js';
import { type Json, textEdit } from '../../shared/records.js';
import {
  contentOf,
  copyOf,
  type Element,
  elementsOf,
  jsonOf,
  type SharedType,
  textOf,
  typeOf,
} from './lost-types.js';

export interface UnionContext {
  /** Whether a union wrote the items of this client. */
  madeByUnion(client: number): boolean;
  /** Whether this id is new: elements and characters are carried once, when they arrive. */
  arrived(client: number, clock: number): boolean;
}

export interface Source {
  readonly type: SharedType;
  /** The type lost its place just now, so all of its elements are new to the target. */
  readonly fresh: boolean;
}

/** Unites `sources`, the first taking precedence, into `target`. Call it inside a transaction. */
export function unite(target: SharedType, sources: readonly Source[], context: UnionContext): void {
  if (target instanceof Y.Map) uniteMaps(target, sources.filter(isMapSource), context);
  else if (target instanceof Y.Array) uniteArrays(target, sources.filter(isArraySource), context);
}

const isMapSource = ({ type }: Source) => type instanceof Y.Map;
const isArraySource = ({ type }: Source) => type instanceof Y.Array;

function uniteMaps(target: Y.Map<unknown>, sources: readonly Source[], context: UnionContext): void {
  const keys = new Set(sources.flatMap(({ type }) => [...type._map.keys()]));
  for (const key of [...keys].sort()) {
    const candidates = candidatesFor(key, sources, context);
    if (candidates.length > 0) uniteField(target, key, candidates, context);
  }
}

interface Candidate {
  readonly item: Y.Item;
  readonly fresh: boolean;
}

/** What the sources have at `key`, in order of precedence, up to the first that had removed it. */
function candidatesFor(key: string, sources: readonly Source[], context: UnionContext): Candidate[] {
  const candidates: Candidate[] = [];
  for (const { type, fresh } of sources) {
    const latest = type._map.get(key);
    if (latest === undefined) continue;
    if (contentOf(latest) === undefined) break;
    const own = authorsItem(latest, context);
    if (own !== null && contentOf(own) !== undefined) candidates.push({ item: own, fresh });
  }
  return candidates;
}

/** The last item of a key that an author wrote, passing over those of unions. */
export function authorsItem(latest: Y.Item, context: Pick<UnionContext, 'madeByUnion'>): Y.Item | null {
  let item: Y.Item | null = latest;
  while (item !== null && context.madeByUnion(item.id.client)) item = item.left;
  return item;
}

/** Written over an earlier value of the same field, so after the map was created. */
const isEdit = (item: Y.Item) => item.origin !== null || item.length > 1;

function uniteField(
  target: Y.Map<unknown>,
  key: string,
  candidates: Candidate[],
  context: UnionContext,
): void {
  const current = target._map.get(key);
  if (current === undefined) put(target, key, candidates, context);
  if (current === undefined || current.deleted) return;
  const own = authorsItem(current, context);
  const chosen = own === null ? candidates[0] : overrides(own, current, candidates);
  if (chosen === undefined) {
    uniteInside(current, candidates, context);
    return;
  }
  const others = candidates.slice(candidates.indexOf(chosen));
  if (uniteInside(current, others, context)) return;
  if (!equalityDeep(jsonOf(contentOf(current)), jsonOf(contentOf(chosen.item))))
    put(target, key, others, context);
}

/** The candidate that takes precedence over what an author of the target wrote, if one does. */
function overrides(own: Y.Item, current: Y.Item, candidates: readonly Candidate[]): Candidate | undefined {
  const isContainer = own === current && typeOf(own) !== null;
  return isContainer || isEdit(own) ? undefined : candidates.find(({ item }) => isEdit(item));
}

function put(
  target: Y.Map<unknown>,
  key: string,
  candidates: readonly Candidate[],
  context: UnionContext,
): void {
  const [first, ...rest] = candidates;
  if (first === undefined) return;
  const value = copyOf(contentOf(first.item));
  target.set(key, value);
  if (!(value instanceof Y.AbstractType)) return;
  unite(
    value,
    sourcesOf(rest).map(({ type }) => ({ type, fresh: true })),
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
  sources.forEach(({ type, fresh }, precedence) => {
    const lower = sources.slice(precedence + 1);
    const seen: Json[] = [];
    for (const { client, clock, value } of elementsOf(type)) {
      const json = jsonOf(value);
      const isNew = fresh || context.arrived(client, clock);
      seen.push(json);
      const existing = elementWithId(target, json);
      if (existing !== undefined) uniteElement(existing, { value, fresh }, context);
      else if (isNew && (elementId(json) !== null || lacks(target, json, seen))) {
        insert(target, value, lower, context);
      }
    }
  });
}

function elementWithId(target: Y.Array<unknown>, json: Json): Element | undefined {
  const id = elementId(json);
  if (id === null) return undefined;
  return elementsOf(target).find(({ value }) => elementId(jsonOf(value)) === id);
}

/** One id is one element (D3): the fields of both come together in the one that is there. */
function uniteElement(
  existing: Element,
  { value, fresh }: { value: unknown; fresh: boolean },
  context: UnionContext,
): void {
  if (existing.value instanceof Y.Map && value instanceof Y.Map) {
    uniteMaps(existing.value, [{ type: value, fresh }], context);
  }
}

/** Whether `json` stands more often in the source so far than in the target. */
function lacks(target: Y.Array<unknown>, json: Json, seen: readonly Json[]): boolean {
  const count = (values: readonly Json[]) => values.filter((value) => equalityDeep(value, json)).length;
  return count(seen) > count(elementsOf(target).map(({ value }) => jsonOf(value)));
}

/** Before what earlier unions took from sources of lower precedence, else at the end. */
function insert(
  target: Y.Array<unknown>,
  value: unknown,
  lower: readonly Source[],
  context: UnionContext,
): void {
  const taken = lower.flatMap(({ type }) => elementsOf(type).map((element) => jsonOf(element.value)));
  const index = elementsOf(target).findIndex(
    ({ client, value }) =>
      context.madeByUnion(client) && taken.some((json) => equalityDeep(json, jsonOf(value))),
  );
  target.insert(index < 0 ? target.length : index, [copyOf(value)]);
}
