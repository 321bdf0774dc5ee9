/** Names from before they were not allowed: what stands in a document stays, and can be changed and deleted (D6). */
import * as Y from 'yjs';
import { nameProblem } from './names.js';

/** Most names, and no others, at little cost. */
const PLAIN = /^[\x20-\x7e]{1,128}$/;

const known = new WeakMap<Y.Doc, ReadonlySet<string>>();

/**
 * Whether the document has somewhere a name that no new record may have. It is looked through once: from then on no
 * such name comes in where this is asked.
 */
export function knowsName(doc: Y.Doc, name: string): boolean {
  const names = known.get(doc) ?? oddNamesOf(doc);
  known.set(doc, names);
  return names.has(name);
}

/** To be called where names come in by another way. */
export const lookAgain = (doc: Y.Doc): void => void known.delete(doc);

/** Names come again and again, and most values are plain: neither is looked at twice. */
function oddNamesOf(doc: Y.Doc): ReadonlySet<string> {
  const found = new Set<string>(doc.share.keys());
  for (const structs of doc.store.clients.values()) {
    for (const struct of structs) {
      if (!(struct instanceof Y.Item)) continue;
      if (struct.parentSub !== null) found.add(struct.parentSub);
      if (struct.content instanceof Y.ContentAny) addKeys(struct.content.arr, found);
    }
  }
  return new Set([...found].filter((name) => !PLAIN.test(name) && nameProblem(name) !== null));
}

/** How deep plain values nest is bounded where they come in. */
function addKeys(value: unknown, found: Set<string>): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if (!Array.isArray(value)) for (const key of Object.keys(value)) found.add(key);
  for (const inner of Array.isArray(value) ? value : Object.values(value)) addKeys(inner, found);
}
