/**
 * Most updates write plain values over plain values that are there, in fields that nobody else wrote meanwhile. All
 * that a check would find of such a one is known beforehand: it is cheap, meets nothing, and leaves nothing to unite.
 */
import * as Y from 'yjs';
import { ByteReader } from '../../protocol/bytes.js';
import { MAX_CLOCK } from '../../protocol/scan.js';
import { HAS_ORIGIN, HAS_PARENT_SUB } from '../../protocol/struct-table.js';
import { structAt } from './check.js';

/** The first byte of a plain value behind another one in a map, without a right neighbour. */
const PLAIN_BEHIND = HAS_ORIGIN | HAS_PARENT_SUB | 8;
const MAX_BYTES = 16 * 1_024;
const MAX_FIELDS = 8;

/**
 * The Yjs client whose plain edit an update is; `null` leaves it to the check, whatever it is. Reads as the scan does.
 *
 * @throws SyncError `MALFORMED_UPDATE`
 */
export function plainAuthor(doc: Y.Doc, update: Uint8Array, mostFields: number): number | null {
  if (update.length > MAX_BYTES) return null;
  const reader = new ByteReader(update);
  if (reader.uint() !== 1) return null;
  const fields = reader.uint();
  const client = reader.uint();
  if (fields < 1 || fields > Math.min(MAX_FIELDS, mostFields)) return null;
  const clock = reader.uint();
  if (!hasJust(doc, client, clock) || clock + fields > MAX_CLOCK) return null;
  const old: Y.Item[] = [];
  for (let left = fields; left > 0; left--) {
    const item = overwritten(doc, reader);
    if (item === null || old.includes(item) || !skipPlain(reader)) return null;
    old.push(item);
  }
  return deletesJust(old, reader) && reader.pos === update.length ? client : null;
}

/** Whether the document has this client, and its next clock is this one. */
const hasJust = (doc: Y.Doc, client: number, clock: number): boolean =>
  clock > 0 && Y.getState(doc.store, client) === clock;

/** The plain value in a record that the next struct is written over; `null` where that is anything else. */
function overwritten(doc: Y.Doc, reader: ByteReader): Y.Item | null {
  if (reader.byte() !== PLAIN_BEHIND) return null;
  const item = structAt(doc, reader.uint(), reader.uint());
  if (!(item instanceof Y.Item) || item.deleted || item.right !== null || item.parentSub === null)
    return null;
  const isField = item.parent instanceof Y.Map && item.parent._item !== null;
  return isField && item.length === 1 && item.content instanceof Y.ContentAny ? item : null;
}

/** Passes one value that holds no others. */
function skipPlain(reader: ByteReader): boolean {
  if (reader.uint() !== 1) return false;
  switch (reader.byte()) {
    case 126: // null
    case 121: // false
    case 120: // true
      return true;
    case 125:
      reader.skipInt();
      return true;
    case 124: // float32
      reader.skip(4);
      return true;
    case 123: // float64
      reader.skip(8);
      return true;
    case 119:
      reader.skipText();
      return true;
    default:
      return false;
  }
}

/** Whether what is deleted is what was written over, and nothing else. */
function deletesJust(old: Y.Item[], reader: ByteReader): boolean {
  for (let clients = reader.uint(); clients > 0; clients--) {
    const client = reader.uint();
    const count = reader.uint();
    if (count === 0) return false;
    for (let ranges = count; ranges > 0; ranges--) {
      const clock = reader.uint();
      const length = reader.uint();
      if (length === 0) return false;
      for (let at = clock; at < clock + length; at++) {
        const index = old.findIndex(({ id }) => id.client === client && id.clock === at);
        if (index < 0) return false;
        old.splice(index, 1);
      }
    }
  }
  return old.length === 0;
}
