/**
 * What a JSON device writes is mostly plain values over plain values that are there. That needs no transaction of Yjs:
 * the server knows what it writes, so the update is written by hand, to the byte as Yjs would write it.
 */
import * as encoding from 'lib0/encoding';
import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import type { JsonObject } from '../../../shared/json.js';
import { encoded } from '../../protocol/bytes.js';
import { integratePlainEdit, isPlainField, PLAIN_BEHIND, type PlainEdit } from './plain-edit.js';

/** Fields of one record that are written over, in this order. */
export type PlainWrite = Pick<PlainEdit, 'old' | 'values'>;

/**
 * The plain write that makes `json` of a record; `null` where it takes more, or nothing is to be written.
 *
 * @param known the record as it is
 */
export function plainWrite(map: Y.Map<unknown>, json: JsonObject, known: JsonObject): PlainWrite | null {
  const [old, values]: [Y.Item[], unknown[]] = [[], []];
  for (const field of Object.keys(json)) {
    const value = json[field];
    if (field === 'id' || value === known[field]) continue;
    if (typeof value === 'object' && value !== null) {
      if (!equalityDeep(value, known[field])) return null;
      continue;
    }
    const item = map._map.get(field);
    if (item === undefined || !isPlainField(item)) return null;
    old.push(item);
    values.push(value);
  }
  if (Object.keys(known).some((field) => field !== 'id' && !Object.hasOwn(json, field))) return null;
  return old.length === 0 ? null : { old, values };
}

/** Does it to the document under this client id; the update is the one that Yjs would make of it. */
export function writePlain(doc: Y.Doc, client: number, { old, values }: PlainWrite): Uint8Array {
  const edit = { client, clock: Y.getState(doc.store, client), old, values };
  const update = encodeEdit(edit);
  integratePlainEdit(doc, edit);
  return update;
}

function encodeEdit({ client, clock, old, values }: PlainEdit): Uint8Array {
  return encoded((encoder) => {
    for (const number of [1, old.length, client, clock]) encoding.writeVarUint(encoder, number);
    for (const [index, { id }] of old.entries()) {
      encoding.write(encoder, PLAIN_BEHIND);
      for (const number of [id.client, id.clock, 1]) encoding.writeVarUint(encoder, number);
      encoding.writeAny(encoder, values[index] as string | number | boolean | null);
    }
    writeDeletions(encoder, old);
  });
}

/** Of the highest client first, as Yjs does. */
function writeDeletions(encoder: encoding.Encoder, old: readonly Y.Item[]): void {
  const deleted = Y.createDeleteSet();
  for (const { id } of old) {
    const ranges = deleted.clients.get(id.client) ?? [];
    deleted.clients.set(id.client, ranges);
    ranges.push({ clock: id.clock, len: 1 });
  }
  const { clients } = old.length === 1 ? deleted : Y.mergeDeleteSets([deleted]);
  encoding.writeVarUint(encoder, clients.size);
  for (const [client, ranges] of [...clients].sort(([a], [b]) => b - a)) {
    encoding.writeVarUint(encoder, client);
    encoding.writeVarUint(encoder, ranges.length);
    for (const { clock, len } of ranges) {
      encoding.writeVarUint(encoder, clock);
      encoding.writeVarUint(encoder, len);
    }
  }
}
