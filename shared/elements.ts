/**
 * Lines up two versions of an array. Objects that carry an `id` are matched by it (one id is one element, D3);
 * other elements by equality; what is left between two matches is paired in place where both sides are objects
 * or both are arrays, so that a change inside an element stays a change inside it.
 */
import { equalityDeep } from 'lib0/function';
import type { Json, JsonObject } from './json.js';

export type ElementStep =
  | { readonly kind: 'keep'; readonly value: Json; readonly sameId: boolean }
  | { readonly kind: 'insert'; readonly value: Json }
  | { readonly kind: 'delete' };

/** Above this many comparisons, the middle of two arrays is aligned by ids alone. */
const MAX_COMPARISONS = 250_000;

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
function commonPairs(from: readonly Json[], to: readonly Json[]): (readonly [number, number])[] {
  const at = (list: readonly Json[], index: number) => list[index] as Json;
  const most = Math.min(from.length, to.length);
  let start = 0;
  while (start < most && same(at(from, start), at(to, start))) start++;
  let end = 0;
  while (end < most - start && same(at(from, from.length - 1 - end), at(to, to.length - 1 - end))) end++;
  const head = Array.from({ length: start }, (_, k) => [k, k] as const);
  const tail = Array.from({ length: end }, (_, k) => [from.length - end + k, to.length - end + k] as const);
  const middle = alignMiddle(from.slice(start, from.length - end), to.slice(start, to.length - end));
  return [...head, ...middle.map(([a, b]) => [a + start, b + start] as const), ...tail];
}

function alignMiddle(from: readonly Json[], to: readonly Json[]): (readonly [number, number])[] {
  if (from.length * to.length > MAX_COMPARISONS) return alignById(from, to);
  const width = to.length + 1;
  const lengths = new Uint32Array((from.length + 1) * width);
  const length = (i: number, j: number) => lengths[i * width + j] as number;
  for (let i = from.length - 1; i >= 0; i--) {
    for (let j = to.length - 1; j >= 0; j--) {
      lengths[i * width + j] = same(from[i] as Json, to[j] as Json)
        ? length(i + 1, j + 1) + 1
        : Math.max(length(i + 1, j), length(i, j + 1));
    }
  }
  const pairs: (readonly [number, number])[] = [];
  for (let i = 0, j = 0; i < from.length && j < to.length; ) {
    if (same(from[i] as Json, to[j] as Json)) pairs.push([i++, j++]);
    else if (length(i + 1, j) >= length(i, j + 1)) i++;
    else j++;
  }
  return pairs;
}

/** What elements with an id keep their place: the longest run of them that is in the same order on both sides. */
function alignById(from: readonly Json[], to: readonly Json[]): (readonly [number, number])[] {
  const places = new Map<string, number>();
  for (const [index, element] of from.entries()) {
    const id = elementId(element);
    if (id !== null && !places.has(id)) places.set(id, index);
  }
  const pairs: (readonly [number, number])[] = [];
  for (const [index, element] of to.entries()) {
    const id = elementId(element);
    const place = id === null ? undefined : places.get(id);
    if (place !== undefined) pairs.push([place, index]);
    if (id !== null) places.delete(id);
  }
  return longestRising(pairs);
}

interface Run {
  readonly pair: readonly [number, number];
  readonly before: Run | undefined;
}

/** The longest part of the pairs, which are in the order of their second numbers, in which the first ones rise too. */
function longestRising(pairs: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  /** Of all runs of one length the one that ends lowest, by length. */
  const ends: Run[] = [];
  for (const pair of pairs) {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] as Run).pair[0] < pair[0]) low = middle + 1;
      else high = middle;
    }
    ends[low] = { pair, before: ends[low - 1] };
  }
  const longest: (readonly [number, number])[] = [];
  for (let run = ends.at(-1); run !== undefined; run = run.before) longest.push(run.pair);
  return longest.reverse();
}
