/** Names from before they were not allowed: what stands in a document stays, and can be changed and deleted (D6). */
import * as Y from 'yjs';
import { nameProblem } from './names.js';
import { isObject } from './records.js';

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

function oddNamesOf(doc: Y.Doc): ReadonlySet<string> {
  const found = new Set<string>();
  const note = (name: string): void => {
    if (!PLAIN.test(name)) found.add(name);
  };
  for (const name of doc.share.keys()) note(name);
  for (const structs of doc.store.clients.values()) {
    for (const struct of structs) {
      if (!(struct instanceof Y.Item)) continue;
      if (struct.parentSub !== null) note(struct.parentSub);
      if (struct.content instanceof Y.ContentAny)
        for (const value of struct.content.arr) noteKeys(value, note);
    }
  }
  return new Set([...found].filter((name) => nameProblem(name) !== null));
}

/** How deep plain values nest is bounded where they come in. */
function noteKeys(value: unknown, note: (name: string) => void): void {
  if (Array.isArray(value)) for (const each of value) noteKeys(each, note);
  if (!isObject(value)) return;
  for (const [key, each] of Object.entries(value)) {
    note(key);
    noteKeys(each, note);
  }
}
