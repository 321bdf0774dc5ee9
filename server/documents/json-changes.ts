/** What a message of a JSON device does to a document. */
import type * as Y from 'yjs';
import type { JsonMessage } from '../../shared/protocol/json.js';
import { type JsonObject, readRecord, recordMap, writeRecord } from '../../shared/records.js';

export type ChangeMessage = Exclude<JsonMessage, { type: 'REQUEST_SYNC' }>;

/**
 * Applies a change inside a transaction: a write changes only the fields that differ from the record as it is
 * (L2), a deletion of what is not there does nothing (L9).
 */
export function applyMessage(doc: Y.Doc, message: ChangeMessage): void {
  const { collection, id } = message;
  const current = recordMap(doc, collection, id);
  if (message.type === 'DATA_DELETE') {
    if (current !== null) doc.getMap(collection).delete(id);
    return;
  }
  const { id: sentId, ...fields } = message.document;
  const sameId = current !== null && String(readRecord(current, id).id) === String(sentId);
  writeRecord(doc, collection, id, (sameId ? fields : message.document) as JsonObject);
}
