/**
 * A write of a JSON device, or a batch that is written whole, by whichever way it came: what it may not bring, whether
 * it fits, what it becomes beside what others wrote, and what became of it (L4–L9).
 */
import type * as Y from 'yjs';
import type { JsonRecord } from '../../../shared/json.js';
import { knowsName } from '../../../shared/known-names.js';
import { readRecord, recordMap } from '../../../shared/records.js';
import { type ChangeMessage, isAnswered, refuseNewNames } from '../../protocol/json.js';
import type { Origin } from '../changes.js';
import type { WriteTime } from '../history/history-window.js';
import { growthOfDeletion, growthOfRecord } from '../intake/quota.js';
import { keyOf } from '../records/record-key.js';
import type { UserDocument } from '../user-document.js';
import { applyMessage } from './merge-write.js';
import type { WriteContext, WrittenMessage } from './write-context.js';

/** A message, and its place where it is one of a batch. */
export interface Item {
  readonly message: ChangeMessage;
  readonly index?: number | undefined;
}

export class JsonWriter {
  readonly document: UserDocument;
  readonly #origin: Origin;

  constructor(document: UserDocument, origin: Origin) {
    this.document = document;
    this.#origin = origin;
  }

  /** @throws SyncError `INVALID_NAME` for a name that the document does not have yet, and may not get */
  mustKnowNames(message: ChangeMessage): void {
    refuseNewNames(message, (name) => knowsName(this.document.doc, name));
  }

  /** @throws SyncError `DOCUMENT_FULL`, with the index of the first item that does not fit behind those before it */
  mustFit(items: readonly Item[]): void {
    const sum = { bytes: 0, structs: 0 };
    for (const { message, index } of items) {
      const current = this.document.record(message);
      const isUpdate = message.type === 'DATA_UPDATE';
      const growth = isUpdate ? growthOfRecord(current, message.document) : growthOfDeletion(current);
      sum.bytes += growth.bytes;
      sum.structs += growth.structs;
      if (isUpdate) this.document.quota.mustTake(sum, index);
    }
  }

  /**
   * Writes them in one change; the history has to be there as far back as `neededFrom` said.
   *
   * @param contextOf what is known of a message, once those before it are written
   * @param onWritten tells of each message before the next one is looked at
   */
  write(
    messages: readonly ChangeMessage[],
    contextOf: (message: ChangeMessage) => WriteContext,
    onWritten: (message: ChangeMessage, context: WriteContext) => void = () => {},
  ): WrittenMessage[] {
    const { document } = this;
    const { history } = document;
    const contexts = new Map<ChangeMessage, WriteContext>();
    const made = new Map<string, WriteTime>();
    const touched = new Set<string>();
    const apply = (doc: Y.Doc) => {
      for (const message of messages) {
        const key = keyOf(message);
        const context = contextOf(message);
        const current = touched.has(key) ? readFrom(doc, message) : document.record(message);
        // The last one that changes the record counts.
        if (applyMessage(doc, { message, context, history, current })) made.set(key, context);
        onWritten(message, context);
        contexts.set(message, context);
        touched.add(key);
      }
    };
    const entries = document.write(this.#origin, apply, made);
    return [...contexts].map(([message, context]) => {
      const record = document.record(message);
      const revision = entries.findLast((entry) => keyOf(entry) === keyOf(message))?.revision ?? null;
      return { message, context, outcome: { revision, record, corrected: !isAnswered(message, record) } };
    });
  }
}

function readFrom(doc: Y.Doc, { collection, id }: ChangeMessage): JsonRecord | null {
  const map = recordMap(doc, collection, id);
  return map === null ? null : readRecord(map, id);
}
