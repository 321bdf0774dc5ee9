import * as Y from 'yjs';

/** Whether an update that can be applied has a struct, or deletes one, that the document has not. */
export function bringsNews(doc: Y.Doc, update: Uint8Array): boolean {
  const { structs, ds } = Y.decodeUpdate(update);
  const { store } = doc;
  const isNew = ({ id, length }: Y.Item | Y.GC | Y.Skip) => id.clock + length > Y.getState(store, id.client);
  if (structs.some((struct) => !(struct instanceof Y.Skip) && isNew(struct))) return true;
  for (const [client, ranges] of ds.clients) {
    const present = store.clients.get(client) ?? [];
    if (ranges.some(({ clock, len }) => hasLiving(present, clock, clock + len))) return true;
  }
  return false;
}

function hasLiving(structs: readonly (Y.Item | Y.GC)[], from: number, to: number): boolean {
  if (structs.length === 0) return false;
  for (let index = Y.findIndexSS(structs as (Y.Item | Y.GC)[], from); index < structs.length; index++) {
    const struct = structs[index];
    if (struct === undefined || struct.id.clock >= to) return false;
    if (!struct.deleted) return true;
  }
  return false;
}
