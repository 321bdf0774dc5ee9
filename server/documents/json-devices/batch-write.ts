/** A batch of a JSON device, as one change of its document (H2). */
import type * as Y from 'yjs';
import type { JsonRecord } from '../../../shared/json.js';
import { readRecord, recordMap } from '../../../shared/records.js';
import { type ChangeMessage, isAnswered } from '../../protocol/json.js';
import type { HistoryEntry } from '../history/history-entry.js';
import { keyOf } from '../records/record-key.js';
import type { UserDocument } from '../user-document.js';
import { mergeMessage, writeMerged } from './merge-write.js';
import { later, takenAs, type WriteContext, type WrittenMessage } from './write-context.js';

export class BatchWrite {
  readonly #document: UserDocument;
  readonly #messages: readonly ChangeMessage[];
  readonly #contextOf: (message: ChangeMessage) => WriteContext;
  readonly #contexts = new Map<ChangeMessage, WriteContext>();
  /** By the records that were written, of those that changed them the latest. */
  readonly #latest = new Map<string, WriteContext | undefined>();
  /** When its changes were made. */
  readonly made = { get: (key: string) => takenAs(this.#latest.get(key)) };

  /** @param contextOf what is known of a message, once those before it are written */
  constructor(
    document: UserDocument,
    messages: readonly ChangeMessage[],
    contextOf: (message: ChangeMessage) => WriteContext,
  ) {
    this.#document = document;
    this.#messages = messages;
    this.#contextOf = contextOf;
  }

  /** Inside a transaction; a message in a step. */
  *change(doc: Y.Doc): Generator<void> {
    for (const message of this.#messages) {
      this.#write(doc, message);
      yield;
    }
  }

  #write(doc: Y.Doc, message: ChangeMessage): void {
    const { history } = this.#document;
    const key = keyOf(message);
    const context = this.#contextOf(message);
    const current = this.#latest.has(key) ? readFrom(doc, message) : this.#document.record(message);
    const merged = mergeMessage(doc, { message, context, history, current });
    const latest = this.#latest.get(key);
    this.#latest.set(key, merged === undefined ? latest : later(latest, context));
    this.#contexts.set(message, context);
    writeMerged(doc, message, merged, current);
  }

  /** What became of each. */
  written(entries: readonly HistoryEntry[]): WrittenMessage[] {
    const revisions = new Map(entries.map((entry) => [keyOf(entry), entry.revision]));
    return [...this.#contexts].map(([message, context]) => {
      const revision = revisions.get(keyOf(message)) ?? null;
      return writtenAs({ message, context, revision, record: this.#document.record(message) });
    });
  }
}

interface Made extends Pick<WrittenMessage, 'message' | 'context'> {
  /** `null`: nothing changed. */
  readonly revision: number | null;
  readonly record: JsonRecord | null;
}

export const writtenAs = ({ message, context, revision, record }: Made): WrittenMessage => ({
  message,
  context,
  outcome: { revision, record, corrected: !isAnswered(message, record) },
});

function readFrom(doc: Y.Doc, { collection, id }: ChangeMessage): JsonRecord | null {
  const map = recordMap(doc, collection, id);
  return map === null ? null : readRecord(map, id);
}
