import type { Json, JsonObject } from './json.js';
import { isReservedName, nameProblem, wellFormedText } from './names.js';

/** Levels of objects and arrays in a record that a server allows by default (`MAX_DEPTH`). */
export const DEFAULT_MAX_DEPTH = 64;

export interface FieldsProblem {
  readonly code: 'TOO_DEEP' | 'INVALID_NAME';
  readonly message: string;
}

/**
 * What is wrong with the names or the depth of a document, or `null`. Iterative: how deep the document is must
 * not decide how deep the stack gets.
 *
 * @param knows whether a name that could not be new is there already, and so may stay
 */
export function fieldsProblem(
  document: JsonObject,
  maxDepth: number,
  knows: (name: string) => boolean = () => false,
): FieldsProblem | null {
  const open: { value: JsonObject | Json[]; depth: number }[] = [{ value: document, depth: 1 }];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { value, depth } = at;
    if (depth > maxDepth) {
      return { code: 'TOO_DEEP', message: `The document is nested deeper than ${maxDepth} levels.` };
    }
    for (const key of Object.keys(value)) {
      const problem = Array.isArray(value) ? null : nameProblem(key);
      if (problem !== null && (isReservedName(key) || !knows(key)))
        return { code: 'INVALID_NAME', message: `A field name ${problem}.` };
      const field = (value as JsonObject)[key];
      if (typeof field === 'object' && field !== null) open.push({ value: field, depth: depth + 1 });
    }
  }
  return null;
}

/** The same document with U+FFFD for each half of a character in its texts, as bytes will have it (D6). */
export function wellFormed<Value extends Json>(value: Value): Value;
export function wellFormed(value: Json): Json {
  if (typeof value === 'string') return wellFormedText(value);
  if (typeof value !== 'object' || value === null) return value;
  const isList = Array.isArray(value);
  let changed: Json[] | JsonObject | null = null;
  for (const key of Object.keys(value)) {
    const field = (value as JsonObject)[key] as Json;
    const better = wellFormed(field);
    if (better === field) continue;
    changed ??= isList ? [...value] : { ...value };
    (changed as JsonObject)[key] = better;
  }
  return changed ?? value;
}
