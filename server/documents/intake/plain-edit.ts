/**
 * Most updates write plain values over plain values that are there, in fields that nobody else wrote meanwhile. All
 * that a check would find of such a one is known beforehand: it is cheap, meets nothing, and leaves nothing to unite.
 */
import * as decoding from 'lib0/decoding';
import * as Y from 'yjs';
import { ByteReader } from '../../protocol/bytes.js';
import { MAX_CLOCK } from '../../protocol/scan.js';
import { HAS_ORIGIN, HAS_PARENT_SUB } from '../../protocol/struct-table.js';
import type { SharedType } from '../union/lost-types.js';
import { structAt } from './check.js';

/** The first byte of a plain value behind another one in a map, without a right neighbour. */
export const PLAIN_BEHIND = HAS_ORIGIN | HAS_PARENT_SUB | 8;
const MAX_BYTES = 16 * 1_024;
const MAX_FIELDS = 8;

/** What a plain edit writes. */
export interface PlainEdit {
  readonly client: number;
  /** Of the first value. */
  readonly clock: number;
  /** What is written over. */
  readonly old: readonly Y.Item[];
  readonly values: readonly unknown[];
}

/**
 * The plain edit that an update is; `null` leaves it to the check, whatever it is. Reads as the scan does.
 *
 * @throws SyncError `MALFORMED_UPDATE`
 */
export function readPlainEdit(doc: Y.Doc, update: Uint8Array, mostFields: number): PlainEdit | null {
  if (update.length > MAX_BYTES) return null;
  const reader = new ByteReader(update);
  if (reader.uint() !== 1) return null;
  const fields = reader.uint();
  const client = reader.uint();
  if (fields < 1 || fields > Math.min(MAX_FIELDS, mostFields)) return null;
  const clock = reader.uint();
  if (!hasJust(doc, client, clock) || clock + fields > MAX_CLOCK) return null;
  const old: Y.Item[] = [];
  const values: unknown[] = [];
  for (let left = fields; left > 0; left--) {
    const item = overwritten(doc, reader);
    if (item === null || old.includes(item)) return null;
    const value = plainValue(reader);
    if (value === NOT_PLAIN) return null;
    old.push(item);
    values.push(value);
  }
  const isWhole = deletesJust(old, reader) && reader.pos === update.length;
  return isWhole ? { client, clock, old, values } : null;
}

/** Of a transaction, what Yjs itself looks at while it puts in a plain edit. */
type Integration = Pick<Y.Transaction, 'doc' | 'deleteSet'> & {
  readonly beforeState: Pick<Y.Transaction['beforeState'], 'get'>;
};

/** Of what is new Yjs does not note that it has changed, which the edit tells itself. */
const NOTHING = { get: () => 0 };

/**
 * Does to the document what `Y.applyUpdate` does with the edit, as long as nobody follows its transactions: the same
 * structs are put in by Yjs itself, and what they were written over is collected. Left out is what a transaction costs
 * beside: among it two state vectors, each as long as the document has clients.
 */
export function integratePlainEdit(doc: Y.Doc, { client, clock, old, values }: PlainEdit): void {
  const integration: Integration = { doc, deleteSet: Y.createDeleteSet(), beforeState: NOTHING };
  for (const [index, left] of old.entries()) {
    const id = Y.createID(client, clock + index);
    const content = new Y.ContentAny([values[index]]);
    const parent = left.parent as SharedType;
    const item = new Y.Item(id, left, left.id, null, null, parent, left.parentSub, content);
    item.integrate(integration as Y.Transaction, 0);
  }
  const { deleteSet } = integration;
  Y.tryGc(old.length === 1 ? deleteSet : Y.mergeDeleteSets([deleteSet]), doc.store, doc.gcFilter);
}

/** The maps that the edit writes to, each with its fields. */
export function writtenBy({ old }: Pick<PlainEdit, 'old'>): [type: SharedType, fields: Set<string>][] {
  const written: [SharedType, Set<string>][] = [];
  for (const { parent, parentSub } of old) {
    const known = written.find(([type]) => type === parent);
    if (known === undefined) written.push([parent as SharedType, new Set([parentSub as string])]);
    else known[1].add(parentSub as string);
  }
  return written;
}

/** Whether the document has this client, and its next clock is this one. */
const hasJust = (doc: Y.Doc, client: number, clock: number): boolean =>
  clock > 0 && Y.getState(doc.store, client) === clock;

/** The plain value in a record that the next struct is written over; `null` where that is anything else. */
function overwritten(doc: Y.Doc, reader: ByteReader): Y.Item | null {
  if (reader.byte() !== PLAIN_BEHIND) return null;
  const item = structAt(doc, reader.uint(), reader.uint());
  return item instanceof Y.Item && isPlainField(item) ? item : null;
}

/** Whether it is a plain value of a record, or of an object in one, and the last one there. */
export function isPlainField(item: Y.Item): boolean {
  if (item.deleted || item.right !== null || item.parentSub === null) return false;
  const isField = item.parent instanceof Y.Map && item.parent._item !== null;
  return isField && item.length === 1 && item.content instanceof Y.ContentAny;
}

const NOT_PLAIN = Symbol('not plain');

/** One value that holds no others. */
function plainValue(reader: ByteReader): unknown {
  if (reader.uint() !== 1) return NOT_PLAIN;
  const start = reader.pos;
  switch (reader.byte()) {
    case 126:
      return null;
    case 121:
      return false;
    case 120:
      return true;
    case 119:
      return reader.text();
    case 125:
      reader.skipInt();
      break;
    case 124: // float32
      reader.skip(4);
      break;
    case 123: // float64
      reader.skip(8);
      break;
    default:
      return NOT_PLAIN;
  }
  const decoder = decoding.createDecoder(reader.bytes);
  decoder.pos = start;
  return decoding.readAny(decoder);
}

/** Whether what is deleted is what was written over, and nothing else. */
function deletesJust(all: readonly Y.Item[], reader: ByteReader): boolean {
  const old = [...all];
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
