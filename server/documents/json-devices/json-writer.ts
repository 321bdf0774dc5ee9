/**
 * A write of a JSON device, or a batch that is written whole, by whichever way it came: what it may not bring, whether
 * it fits, what it becomes beside what others wrote, and what became of it (L4–L9).
 */
import type * as Y from 'yjs';
import type { Json } from '../../../shared/json.js';
import { knowsName } from '../../../shared/known-names.js';
import { type ChangeMessage, refuseNewNames } from '../../protocol/json.js';
import type { Origin } from '../changes.js';
import type { HistoryEntry } from '../history/history-entry.js';
import { growthOfDeletion, growthOfRecord } from '../intake/quota.js';
import { sameJson } from '../records/patch.js';
import { keyOf } from '../records/record-key.js';
import type { UserDocument } from '../user-document.js';
import { BatchWrite, writtenAs } from './batch-write.js';
import { mergeMessage, plainlyMerged, writeMerged } from './merge-write.js';
import { takenAs, type WriteContext, type WrittenMessage } from './write-context.js';

/** So many messages are written at once. */
const FEW = 16;

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

  /** Writes it in a change of its own; the history has to be there as far back as `neededFrom` said. */
  write(message: ChangeMessage, context: WriteContext): WrittenMessage {
    const { document } = this;
    const { doc, history } = document;
    const current = document.record(message);
    // Before a transaction begins, which a plain write does without.
    const merged = mergeMessage(doc, { message, context, history, current });
    const key = keyOf(message);
    const made = { get: (of: string) => (of === key ? takenAs(context) : undefined) };
    const plain = plainlyMerged(doc, message, merged, current);
    const apply = (to: Y.Doc) => writeMerged(to, message, merged, current);
    const entries = document.write(this.#origin, apply, made, plain);
    const revision = entries.findLast((entry) => keyOf(entry) === key)?.revision ?? null;
    return writtenAs({ message, context, revision, record: document.record(message) });
  }

  /**
   * Writes them in one change, in steps where they are many.
   *
   * @param contextOf what is known of a message, once those before it are written
   * @param then told of all of them at once, before anything else enters the document
   */
  writeAll(
    messages: readonly ChangeMessage[],
    contextOf: (message: ChangeMessage) => WriteContext,
    then: (written: readonly WrittenMessage[]) => void,
  ): void | Promise<void> {
    const { document } = this;
    const [only] = messages;
    if (only !== undefined && messages.length === 1) return then([this.write(only, contextOf(only))]);
    const batch = new BatchWrite(document, messages, contextOf);
    const told = (entries: readonly HistoryEntry[]) => then(batch.written(entries));
    if (messages.length > FEW)
      return document.writeInSteps(this.#origin, (doc) => batch.change(doc), batch.made, told);
    const atOnce = (doc: Y.Doc) => {
      for (const _rest of batch.change(doc));
    };
    told(document.write(this.#origin, atOnce, batch.made));
  }
}
