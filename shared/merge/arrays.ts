/**
 * Three-way merge of arrays. An object with an id is the element of that id, whatever else it holds; any other
 * element is a value, equal to those of the same content.
 */
import { elementId } from '../elements.js';
import { isObject, type Json } from '../json.js';
import { mergeOrder } from './order.js';
import { nearest, type Tokens } from './sequences.js';

type Value = Json | undefined;

/** What becomes of the element of an id; `undefined` where it is not there, or is to go. */
export type MergeElement = (id: string, incoming: Value, current: Value, seen: readonly Value[]) => Value;

export interface ArraysToMerge {
  /** What stood there in the versions seen; what is no array counts as an empty one. */
  readonly seen: readonly Value[];
  readonly incoming: readonly Json[];
  readonly current: Json[];
}

/**
 * Elements with an id are merged one by one, values as a sequence; insertions, removals and moves of both
 * sides survive. The very array `current` where nothing changes.
 *
 * @example mergeArrays({ seen: [['a']], incoming: ['a', 'x'], current: ['b', 'a'] }, merge) // ['b', 'a', 'x']
 */
export function mergeArrays({ seen, incoming, current }: ArraysToMerge, merge: MergeElement): Json[] {
  const lists = seen.map((value) => listOf(Array.isArray(value) ? value : []));
  const [i, c] = [listOf(incoming, 'last'), listOf(current)];
  const base = nearest(distinct(lists), i.tokens, c.tokens);
  const values = new Map<string, Value>([...i.values, ...c.values]);
  for (const [token, value] of values) {
    if (!isElement(token)) continue;
    const merged = merge(idOf(token), i.values.get(token), c.values.get(token), versions(lists, token));
    if (merged !== value) values.set(token, merged);
  }
  const decided = (token: string) => (isElement(token) ? values.get(token) !== undefined : undefined);
  const tokens = mergeOrder(base, i.tokens, c.tokens, decided);
  return isSame(tokens, c, values, current) ? current : tokens.map((token) => values.get(token) ?? null);
}

/** An array as tokens, each id once, and what they stand for. */
interface List {
  readonly tokens: Tokens;
  readonly values: ReadonlyMap<string, Json>;
}

const ELEMENT = '#';
const VALUE = '=';
const isElement = (token: string): boolean => token.startsWith(ELEMENT);
const idOf = (token: string): string => token.slice(ELEMENT.length);

/** Of elements with one id the first one counts, or the last one's content in the first one's place. */
function listOf(array: readonly Json[], counts: 'first' | 'last' = 'first'): List {
  const tokens: string[] = [];
  const values = new Map<string, Json>();
  for (const value of array) {
    const id = elementId(value);
    const token = id === null ? VALUE + canonical(value) : ELEMENT + id;
    const isAgain = id !== null && values.has(token);
    if (!isAgain) tokens.push(token);
    if (!isAgain || counts === 'last') values.set(token, value);
  }
  return { tokens, values };
}

/** JSON with its keys in order: equal values have equal texts. */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const fields = Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}:${canonical(part)}`);
  return `{${fields.sort().join()}}`;
}

/** Each sequence once, at its last place. */
function distinct(lists: readonly List[]): Tokens[] {
  const latest = new Map<string, Tokens>();
  for (const { tokens } of lists) {
    const key = JSON.stringify(tokens);
    latest.delete(key);
    latest.set(key, tokens);
  }
  return [...latest.values()];
}

const versions = (lists: readonly List[], token: string): Value[] =>
  lists.map(({ values }) => values.get(token));

/** An element that an array has twice is a change: the result has it once. */
const isSame = (
  tokens: Tokens,
  c: List,
  values: ReadonlyMap<string, Value>,
  current: readonly Json[],
): boolean =>
  tokens.length === current.length &&
  tokens.every((token, k) => token === c.tokens[k] && values.get(token) === c.values.get(token));
