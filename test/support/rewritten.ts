import * as Y from 'yjs';

/** The same records as another document has, under one new client id, and nothing of its past. */
export function rewritten(doc: Y.Doc): Y.Doc {
  const next = new Y.Doc();
  next.transact(() => {
    for (const name of doc.share.keys())
      for (const [key, value] of doc.getMap(name))
        next.getMap(name).set(key, value instanceof Y.AbstractType ? value.clone() : value);
  });
  return next;
}
