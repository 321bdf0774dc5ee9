/** What a document lacks for good, since neither this device nor the server has it any more (C12). */
import * as Y from 'yjs';
import { nothingAt } from './nothing.js';

/** What is behind the gaps counts from here, as far as the server does not have what is missing. */
export async function closeGaps(
  replica: { readonly doc: Y.Doc; applyRemote(update: Uint8Array): Promise<void> },
  serverHas: Uint8Array,
): Promise<void> {
  const fill = fillOf(replica.doc, serverHas);
  if (fill !== null) await replica.applyRemote(fill);
}

/**
 * An update with nothing in the places that a server with this state vector lacks as well, so that what was made
 * behind them counts; null where there are none.
 */
export function fillOf(doc: Y.Doc, serverHas: Uint8Array): Uint8Array | null {
  const { pendingStructs, pendingDs } = doc.store;
  const has = Y.decodeStateVector(serverHas);
  const known = new Map<number, number>();
  const fills: Uint8Array[] = [];
  const reach = (client: number, from: number, to = from): void => {
    const begin = known.get(client) ?? Math.max(Y.getState(doc.store, client), has.get(client) ?? 0);
    if (from > begin) fills.push(nothingAt(client, begin, from - begin));
    known.set(client, Math.max(begin, to));
  };
  const waiting = pendingStructs === null ? [] : Y.decodeUpdateV2(pendingStructs.update).structs;
  const structs = waiting.filter((struct) => !(struct instanceof Y.Skip));
  for (const { id, length } of structs) reach(id.client, id.clock, id.clock + length);
  for (const struct of structs) {
    if (!(struct instanceof Y.Item)) continue;
    for (const id of [struct.origin, struct.rightOrigin, struct.parent])
      if (id instanceof Y.ID) reach(id.client, id.clock + 1);
  }
  const deletions = pendingDs === null ? [] : Y.decodeUpdateV2(pendingDs).ds.clients;
  for (const [client, ranges] of deletions) for (const { clock, len } of ranges) reach(client, clock + len);
  return fills.length > 0 ? Y.mergeUpdates(fills) : null;
}
