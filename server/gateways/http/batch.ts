/** A batch of changes over HTTP: read as a whole, then applied to the document that it belongs to (H2). */
import { isObject } from '../../../shared/json.js';
import type { UserId } from '../../../shared/names.js';
import type { Origin } from '../../documents/changes.js';
import { JsonWriter } from '../../documents/json-devices/json-writer.js';
import { neededFrom } from '../../documents/json-devices/merge-write.js';
import type { OwnWrite } from '../../documents/json-devices/own-write.js';
import { type RequestView, sentBefore } from '../../documents/json-devices/request-view.js';
import { keyOf } from '../../documents/records/record-key.js';
import type { UserDocument } from '../../documents/user-document.js';
import { SyncError } from '../../errors.js';
import { type ChangeMessage, checkMessage } from '../../protocol/json.js';

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
 * const batch = new Batch(document, origin, view, items);
 * await inOrder(document, () => { batch.mustFit(); return batch.apply(now) }, batch.neededFrom(now));
 */
export class Batch {
  readonly #document: UserDocument;
  readonly #writer: JsonWriter;
  readonly #view: RequestView;
  readonly #items: readonly Item[];

  constructor(document: UserDocument, origin: Origin, view: RequestView, items: readonly Item[]) {
    this.#document = document;
    this.#writer = new JsonWriter(document, origin);
    this.#view = view;
    this.#items = items;
  }

  /**
   * How far back the history is needed.
   *
   * @throws SyncError for an item with a name that may not be new, or from before an erasure
   */
  neededFrom(now: number): number {
    const document = this.#document;
    this.#view.begin(now);
    const needed = this.#items.map(({ message, index }) => {
      withIndex(index, () => this.#writer.mustKnowNames(message));
      this.#writer.takeUp(message);
      const context = this.#view.contextOf(message, { now, revision: document.revision });
      document.erased?.checkWrite(context, index);
      return neededFrom(document, message, context);
    });
    return Math.min(...needed);
  }

  /** All of it, or nothing. */
  mustFit(): void {
    this.#writer.mustFit(this.#items);
  }

  /**
   * Each change is compared with what the device may have been looking at, the ones before it included (L4–L9). Of a
   * large one, that is done in steps.
   *
   * @param isAnswered whether it is known which device will be shown what came of it, once it is durable
   */
  apply(now: number, isAnswered = false): void | Promise<void> {
    const document = this.#document;
    const view = this.#view;
    const { revision } = document;
    const before = new Map<string, OwnWrite>();
    return this.#writer.writeAll(
      this.#items.map(({ message }) => message),
      (message) => {
        const context = view.contextOf(message, { now, revision }, before);
        before.set(keyOf(message), sentBefore(message, context, revision));
        return context;
      },
      (written) => {
        for (const each of written) view.wrote(each, document.revision, revision);
        if (isAnswered) view.device.asked(document.revision, now);
        document.saveDevices('urgent'); // in one batch with the changes
      },
    );
  }
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
