/** By how much an update would make a document larger: what it brings that is new, less what its deletions free. */
import * as encoding from 'lib0/encoding';
import * as Y from 'yjs';
import { ByteReader } from '../../shared/protocol/bytes.js';
import { scanUpdate } from '../../shared/protocol/scan.js';

const NO_LIMITS = { maxDepth: Number.POSITIVE_INFINITY };

export function growthBy(
  update: Uint8Array,
  doc: Y.Doc,
): { readonly bytes: number; readonly structs: number } {
  const fresh = Y.diffUpdate(update, Y.encodeStateVector(doc));
  const { structs, ranges } = scanUpdate(fresh, NO_LIMITS);
  if (ranges.length === 0) return { bytes: 0, structs: 0 };
  const all = new Map<number, number>();
  for (const { client, to } of ranges) all.set(client, Math.max(to, all.get(client) ?? 0));
  // The same update without its structs: what is left are its deletions.
  const deletions = Y.diffUpdate(fresh, Y.encodeStateVector(all));
  return { bytes: fresh.length - deletions.length - freedBy(deletions, doc), structs };
}

/** The content of what is deleted, and was not before. */
function freedBy(deletions: Uint8Array, doc: Y.Doc): number {
  const freed = new Map<Y.Item, number>();
  const reader = new ByteReader(deletions);
  reader.uint(); // no structs
  for (let left = reader.count(); left > 0; left--) {
    const structs = doc.store.clients.get(reader.uint()) ?? [];
    for (let ranges = reader.count(); ranges > 0; ranges--) {
      const from = reader.uint();
      for (const [item, share] of itemsIn(structs, from, from + reader.uint())) {
        if (!freed.has(item)) freed.set(item, share * contentSize(item));
      }
    }
  }
  let sum = 0;
  for (const size of freed.values()) sum += size;
  return Math.floor(sum);
}

/** Items that are there, with the part of each that lies between two clocks. */
function* itemsIn(structs: readonly (Y.Item | Y.GC)[], from: number, to: number): Iterable<[Y.Item, number]> {
  const last = structs.at(-1);
  if (last === undefined || from >= last.id.clock + last.length) return;
  for (let index = Y.findIndexSS(structs as Y.Item[], from); index < structs.length; index++) {
    const struct = structs[index];
    if (struct === undefined || struct.id.clock >= to) return;
    if (!(struct instanceof Y.Item) || struct.deleted) continue;
    const overlap = Math.min(to, struct.id.clock + struct.length) - Math.max(from, struct.id.clock);
    yield [struct, overlap / struct.length];
  }
}

function contentSize({ content }: Y.Item): number {
  const encoder = new Y.UpdateEncoderV1();
  content.write(encoder, 0);
  return encoding.length(encoder.restEncoder);
}
