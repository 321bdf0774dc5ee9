/** A batch of changes over HTTP: read as a whole, then applied to the document that it belongs to (H2). */
import type * as Y from 'yjs';
import { isObject, type JsonRecord } from '../../../shared/json.js';
import { knowsName } from '../../../shared/known-names.js';
import type { UserId } from '../../../shared/names.js';
import { readRecord, recordMap } from '../../../shared/records.js';
import { growthOfDeletion, growthOfRecord } from '../../documents/intake/quota.js';
import type { Author } from '../../documents/json-devices/device-key.js';
import { applyMessage, neededFrom } from '../../documents/json-devices/merge-write.js';
import type { RequestView } from '../../documents/json-devices/request-view.js';
import type { WriteContext } from '../../documents/json-devices/write-context.js';
import { keyOf } from '../../documents/records/record-key.js';
import type { UserDocument } from '../../documents/user-document.js';
import { SyncError } from '../../errors.js';
import { type ChangeMessage, checkMessage, isAnswered, refuseNewNames } from '../../protocol/json.js';

const MAX_CHANGES = 1_000;

/** A change, and its place in the request. */
export interface Item {
  readonly message: ChangeMessage;
  readonly index: number;
}

/** @throws SyncError with the index of the first item that is no change of this user */
export function readChanges(body: unknown, user: UserId, maxDepth: number): Item[] {
  const changes = isObject(body) ? body.changes : undefined;
  if (!Array.isArray(changes))
    throw new SyncError('INVALID_MESSAGE', 'changes: must be an array of messages');
  if (changes.length > MAX_CHANGES) {
    throw new SyncError('INVALID_MESSAGE', `changes: must have at most ${MAX_CHANGES} messages`);
  }
  return changes.map((change, index) => ({
    index,
    message: withIndex(index, () => {
      const message = checkMessage(change, user, { maxDepth });
      if (message.type === 'REQUEST_SYNC') throw new SyncError('UNKNOWN_TYPE');
      return message;
    }),
  }));
}

/**
 * What of a batch belongs to one document, with the device that sent it.
 *
 * @example
 * const batch = new Batch(document, author, view, items);
 * await inOrder(document, () => { batch.mustFit(); batch.apply(now) }, batch.neededFrom(now));
 */
export class Batch {
  readonly document: UserDocument;
  readonly #author: Author;
  readonly #view: RequestView;
  readonly #items: readonly Item[];

  constructor(document: UserDocument, author: Author, view: RequestView, items: readonly Item[]) {
    this.document = document;
    this.#author = author;
    this.#view = view;
    this.#items = items;
  }

  /**
   * How far back the history is needed.
   *
   * @throws SyncError for an item with a name that may not be new, or from before an erasure
   */
  neededFrom(now: number): number {
    const { document } = this;
    const needed = this.#items.map(({ message, index }) => {
      withIndex(index, () => refuseNewNames(message, (name) => knowsName(document.doc, name)));
      const judged = this.#view.judge(message, now);
      document.erased?.checkWrite(judged, index);
      return neededFrom(document.doc, message, judged);
    });
    return Math.min(...needed);
  }

  /** All of it, or nothing. */
  mustFit(): void {
    const { document } = this;
    const sum = { bytes: 0, structs: 0 };
    for (const { message, index } of this.#items) {
      const current = document.record(message);
      const isUpdate = message.type === 'DATA_UPDATE';
      const growth = isUpdate ? growthOfRecord(current, message.document) : growthOfDeletion(current);
      sum.bytes += growth.bytes;
      sum.structs += growth.structs;
      if (isUpdate) document.room.mustTake(sum, index);
    }
  }

  /** Each change is compared with what the device may have been looking at, the ones before it included (L4–L9). */
  apply(now: number): void {
    const { document } = this;
    const view = this.#view;
    const applied: [ChangeMessage, WriteContext][] = [];
    const made = new Map<string, number>();
    const entries = document.write(
      { via: 'http', ...this.#author, subscriber: null },
      (doc) => {
        for (const { message } of this.#items) {
          const judged = view.judge(message, now);
          applyMessage(doc, message, currentOf(doc, message), judged, document.history);
          view.applied(message, judged, document.revision);
          applied.push([message, judged]);
          if (judged.madeAt !== null) made.set(keyOf(message), judged.madeAt);
        }
      },
      made,
    );
    for (const [message, judged] of applied) {
      const record = document.record(message);
      const revision = entries.find((entry) => keyOf(entry) === keyOf(message))?.revision ?? null;
      const outcome = { revision, record, corrected: !isAnswered(message, record) };
      view.wrote(message, judged, outcome, document.revision);
    }
    document.saveDevices('urgent'); // in one batch with the changes
  }
}

function currentOf(doc: Y.Doc, { collection, id }: ChangeMessage): JsonRecord | null {
  const map = recordMap(doc, collection, id);
  return map === null ? null : readRecord(map, id);
}

/** What is wrong with an item of a batch is told with its place. */
function withIndex<T>(index: number, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
    throw new SyncError(error.code, error.message, { index });
  }
}
