/** Patches: what turns one JSON value into another, small when little differs. */
import { isObject, type Json, type JsonObject } from '../../../shared/json.js';
import { textEdit } from '../../../shared/text-edits.js';

/**
 * By form: `[value]` replaces; `[index, remove, text]` edits a string; `[index, remove, elements, inside?]`
 * edits an array, after what `inside` does to its elements; an object alone edits inside an object, or inside
 * the elements of an array at these indexes.
 *
 * @example makePatch({ a: 1, b: 2, c: [1, 2] }, { b: 3, c: [1, 2, 4] }) // { a: 0, b: [3], c: [2, 0, [4]] }
 */
export type Patch =
  | readonly [value: Json]
  | readonly [index: number, remove: number, text: string]
  | readonly [index: number, remove: number, elements: readonly Json[], inside?: PatchInside]
  | PatchInside;

/** By key or index; `0` removes a key. */
export interface PatchInside {
  readonly [key: string]: Patch | 0;
}

/** Whether both are the same JSON; the order of keys does not matter. */
export function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return (
      Array.isArray(b) && a.length === b.length && a.every((each, index) => sameJson(each, b[index] as Json))
    );
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key] as Json, b[key] as Json))
  );
}

/** `null` when both are equal. */
export function makePatch(from: Json, to: Json): Patch | null {
  if (from === to) return null;
  if (typeof from === 'string' && typeof to === 'string') return patchText(from, to);
  if (Array.isArray(from) && Array.isArray(to)) return patchArray(from, to);
  return isObject(from) && isObject(to) ? patchObject(from, to) : [to];
}

function patchText(from: string, to: string): Patch {
  const { index, remove, insert } = textEdit(from, to);
  return `${index},${remove},${insert}`.length < to.length ? [index, remove, insert] : [to];
}

function patchObject(from: JsonObject, to: JsonObject): Patch | null {
  const steps: [key: string, step: Patch | 0][] = [];
  let shared = 0;
  for (const key of Object.keys(to)) {
    const isShared = Object.hasOwn(from, key);
    if (isShared) shared++;
    const step = isShared ? makePatch(from[key] as Json, to[key] as Json) : ([to[key] as Json] as const);
    if (step !== null) steps.push([key, step]);
  }
  const old = Object.keys(from);
  if (old.length > shared) for (const key of old) if (!Object.hasOwn(to, key)) steps.push([key, 0]);
  if (steps.length === 0) return null;
  const inside = Object.fromEntries(steps);
  // Only then can writing it anew be much shorter, so that it is worth measuring.
  return old.length > shared || steps.length >= shared ? smaller(inside, [to]) : inside;
}

function patchArray(from: readonly Json[], to: Json[]): Patch | null {
  const { start, end } = commonEnds(from, to);
  const remove = from.length - start - end;
  const elements = to.slice(start, to.length - end);
  if (remove === 0 && elements.length === 0) return null;
  const splice: Patch = start + end === 0 ? [to] : [start, remove, elements];
  if (remove === 0 || elements.length === 0) return smaller(splice, [to]);
  return smaller(patchInPlace(from, start, remove, elements), splice);
}

/** How many elements are the same at the start of both, and how many of the others at the end. */
export function commonEnds(
  from: readonly Json[],
  to: readonly Json[],
): { readonly start: number; readonly end: number } {
  const same = (i: number, j: number) => sameJson(from[i] as Json, to[j] as Json);
  const most = Math.min(from.length, to.length);
  let start = 0;
  while (start < most && same(start, start)) start++;
  let end = 0;
  while (end < most - start && same(from.length - 1 - end, to.length - 1 - end)) end++;
  return { start, end };
}

/** Pairs what is left between common ends, element by element; what has no partner comes or goes behind. */
function patchInPlace(
  from: readonly Json[],
  start: number,
  remove: number,
  elements: readonly Json[],
): Patch {
  const pairs = Math.min(remove, elements.length);
  const steps: [string, Patch][] = [];
  for (let index = 0; index < pairs; index++) {
    const step = makePatch(from[start + index] as Json, elements[index] as Json);
    if (step !== null) steps.push([String(start + index), step]);
  }
  const inside = Object.fromEntries(steps);
  const isWhole = remove === elements.length;
  return isWhole ? inside : [start + pairs, remove - pairs, elements.slice(pairs), inside];
}

const smaller = (a: Patch, b: Patch): Patch => (JSON.stringify(a).length <= JSON.stringify(b).length ? a : b);

/** Throws an Error if the patch does not fit the value. Never mutates; unchanged parts are shared with `value`. */
export function applyPatch(value: Json, patch: Patch): Json {
  if (!isList(patch)) return applyInside(value, patch);
  if (patch.length === 1) return patch[0];
  const [index, remove, content, inside] = patch;
  if (typeof content === 'string') {
    if (typeof value !== 'string' || !isRange(index, remove, value)) return misfit();
    return value.slice(0, index) + content + value.slice(index + remove);
  }
  if (!Array.isArray(value) || !Array.isArray(content) || !isRange(index, remove, value)) return misfit();
  const elements = inside === undefined ? value : applyToElements(value, inside);
  return elements.slice(0, index).concat(content, elements.slice(index + remove));
}

function applyInside(value: Json, inside: PatchInside): Json {
  if (Array.isArray(value)) return applyToElements(value, inside);
  return isObject(value) && isObject(inside) ? applyToFields(value, inside) : misfit();
}

function applyToElements(value: readonly Json[], inside: PatchInside): Json[] {
  const result = [...value];
  for (const [key, step] of Object.entries(inside)) {
    const index = Number(key);
    if (step === 0 || !isRange(index, 1, value)) return misfit();
    result[index] = applyPatch(value[index] as Json, step);
  }
  return result;
}

function applyToFields(value: JsonObject, inside: PatchInside): JsonObject {
  const fields = new Map(Object.entries(value));
  for (const [key, step] of Object.entries(inside)) {
    const old = fields.get(key);
    if (step !== 0 && isList(step) && step.length === 1) fields.set(key, step[0]);
    else if (old === undefined) misfit();
    else if (step === 0) fields.delete(key);
    else fields.set(key, applyPatch(old, step));
  }
  return Object.fromEntries(fields);
}

export const isList = (patch: Patch): patch is Exclude<Patch, PatchInside> => Array.isArray(patch);

const isRange = (index: number, count: number, whole: { readonly length: number }): boolean =>
  Number.isSafeInteger(index) &&
  Number.isSafeInteger(count) &&
  index >= 0 &&
  count >= 0 &&
  index + count <= whole.length;

function misfit(): never {
  throw new Error('The patch does not fit the value.');
}
