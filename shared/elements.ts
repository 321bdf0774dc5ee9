/**
 * Lines up two versions of an array. Objects that carry an `id` are matched by it (one id is one element, D3);
 * other elements by equality; what is left between two matches is paired in place where both sides are objects
 * or both are arrays, so that a change inside an element stays a change inside it.
 */
import { equalityDeep } from 'lib0/function';
import type { Json, JsonObject } from './json.js';
import { commonEnds, longestCommon, longestRising, MAX_COMPARISONS, type Pair } from './longest.js';

export type ElementStep =
  | { readonly kind: 'keep'; readonly value: Json; readonly sameId: boolean }
  | { readonly kind: 'insert'; readonly value: Json }
  | { readonly kind: 'delete' };

/** The id of an element, typed (1 and "1" differ here only in type: both key the same element), or `null`. */
export function elementId(value: unknown): string | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const id = (value as JsonObject).id;
  return typeof id === 'string' || typeof id === 'number' ? String(id) : null;
}

function same(a: Json, b: Json): boolean {
  const id = elementId(a);
  return id !== null || elementId(b) !== null ? id === elementId(b) : equalityDeep(a, b);
}

/** The steps that turn `from` into `to`, in order of position. */
export function matchElements(from: readonly Json[], to: readonly Json[]): ElementStep[] {
  const steps: ElementStep[] = [];
  let i = 0;
  let j = 0;
  for (const [a, b] of [...commonPairs(from, to), [from.length, to.length] as const]) {
    replaceRun(steps, from.slice(i, a), to.slice(j, b));
    const value = to[b];
    if (value !== undefined) steps.push({ kind: 'keep', value, sameId: elementId(value) !== null });
    i = a + 1;
    j = b + 1;
  }
  return steps;
}

/** Between two matches: pairs of the same shape are kept and written inside, the rest goes and comes. */
function replaceRun(steps: ElementStep[], gone: readonly Json[], come: readonly Json[]): void {
  for (const [index, value] of come.entries()) {
    const old = gone[index];
    const pairs = old !== undefined && sameShape(old, value);
    if (old !== undefined && !pairs) steps.push({ kind: 'delete' });
    steps.push(pairs ? { kind: 'keep', value, sameId: false } : { kind: 'insert', value });
  }
  for (let index = come.length; index < gone.length; index++) steps.push({ kind: 'delete' });
}

function sameShape(a: Json, b: Json): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  return Array.isArray(a) === Array.isArray(b) && elementId(a) === null && elementId(b) === null;
}

/** Pairs of positions of a longest common subsequence. */
function commonPairs(from: readonly Json[], to: readonly Json[]): Pair[] {
  const [start, end] = commonEnds(from, to, same);
  const head = Array.from({ length: start }, (_, k): Pair => [k, k]);
  const tail = Array.from({ length: end }, (_, k): Pair => [from.length - end + k, to.length - end + k]);
  const middle = alignMiddle(from.slice(start, from.length - end), to.slice(start, to.length - end));
  return [...head, ...middle.map(([a, b]): Pair => [a + start, b + start]), ...tail];
}

/** Where that is too much, by ids alone. */
const alignMiddle = (from: readonly Json[], to: readonly Json[]): Pair[] =>
  from.length * to.length > MAX_COMPARISONS ? alignById(from, to) : longestCommon(from, to, same);

/** What elements with an id keep their place: the longest run of them that is in the same order on both sides. */
function alignById(from: readonly Json[], to: readonly Json[]): Pair[] {
  const places = new Map<string, number>();
  for (const [index, element] of from.entries()) {
    const id = elementId(element);
    if (id !== null && !places.has(id)) places.set(id, index);
  }
  const pairs: Pair[] = [];
  for (const [index, element] of to.entries()) {
    const id = elementId(element);
    const place = id === null ? undefined : places.get(id);
    if (place !== undefined) pairs.push([place, index]);
    if (id !== null) places.delete(id);
  }
  return longestRising(pairs, 0);
}
