/**
 * A write of a JSON device, or a batch that is written whole, by whichever way it came: what it may not bring, whether
 * it fits, what it becomes beside what others wrote, and what became of it (L4–L9).
 */
import type * as Y from 'yjs';
import type { Json, JsonRecord } from '../../../shared/json.js';
import { knowsName } from '../../../shared/known-names.js';
import { readRecord, recordMap } from '../../../shared/records.js';
import { type ChangeMessage, isAnswered, refuseNewNames } from '../../protocol/json.js';
import type { Origin } from '../changes.js';
import { growthOfDeletion, growthOfRecord } from '../intake/quota.js';
import { sameJson } from '../records/patch.js';
import { keyOf } from '../records/record-key.js';
import type { UserDocument } from '../user-document.js';
import { mergeMessage, plainlyMerged, writeMerged } from './merge-write.js';
import { later, takenAs, type WriteContext, type WrittenMessage } from './write-context.js';

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

  /**
   * Most of a whole record is what is there already: values that are alike become the very same ones, so that all who
   * compare them see that at once, and what is kept of the write takes no memory of its own.
   */
  takeUp(message: ChangeMessage): void {
    if (message.type !== 'DATA_UPDATE') return;
    const { document } = message;
    const known = this.document.record(message);
    if (known === null) return;
    for (const name of Object.keys(known)) {
      const value = known[name] as Json;
      if (Object.hasOwn(document, name) && sameJson(document[name] as Json, value)) document[name] = value;
    }
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
    const latest = new Map<string, WriteContext>();
    const touched = new Set<string>();
    const merge = (doc: Y.Doc, message: ChangeMessage) => {
      const key = keyOf(message);
      const context = contextOf(message);
      const current = touched.has(key) ? readFrom(doc, message) : document.record(message);
      const merged = mergeMessage(doc, { message, context, history, current });
      onWritten(message, context);
      contexts.set(message, context);
      touched.add(key);
      // Of those that change the record the latest counts.
      if (merged !== undefined) latest.set(key, later(latest.get(key), context));
      return { merged, current };
    };
    const [message] = messages;
    // Of one message it is known before a transaction begins, which a plain write does without.
    const only = message !== undefined && messages.length === 1 ? merge(document.doc, message) : null;
    const apply = (doc: Y.Doc) => {
      for (const message of messages) {
        const { merged, current } = only ?? merge(doc, message);
        writeMerged(doc, message, merged, current);
      }
    };
    const made = { get: (key: string) => takenAs(latest.get(key)) };
    const plain = only && message && plainlyMerged(document.doc, message, only.merged, only.current);
    const entries = document.write(this.#origin, apply, made, plain);
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
