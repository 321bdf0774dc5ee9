import { nameProblem } from './names.js';
import type { Json, JsonObject } from './records.js';

/** Levels of objects and arrays in a record that a server allows by default (`MAX_DEPTH`). */
export const DEFAULT_MAX_DEPTH = 64;

export interface FieldsProblem {
  readonly code: 'TOO_DEEP' | 'INVALID_NAME';
  readonly message: string;
}

/**
 * What is wrong with the names or the depth of a document, or `null`. Iterative: how deep the document is must
 * not decide how deep the stack gets.
 */
export function fieldsProblem(document: JsonObject, maxDepth: number): FieldsProblem | null {
  const open: { value: Json; depth: number }[] = [{ value: document, depth: 1 }];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    const { value, depth } = at;
    if (typeof value !== 'object' || value === null) continue;
    if (depth > maxDepth) {
      return { code: 'TOO_DEEP', message: `The document is nested deeper than ${maxDepth} levels.` };
    }
    for (const [key, field] of Object.entries(value)) {
      const problem = Array.isArray(value) ? null : nameProblem(key);
      if (problem !== null) return { code: 'INVALID_NAME', message: `A field name ${problem}.` };
      open.push({ value: field, depth: depth + 1 });
    }
  }
  return null;
}
