/** One connection of a JSON device, without its socket: messages in, messages out (L1–L11). */

import type { CollectionName } from '../../../shared/names.js';
import { RecordsView } from '../../documents/records/records-view.js';
import { safelyWith } from '../../documents/safely.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import { whenShown } from '../../documents/sleep/when-shown.js';
import { SyncError } from '../../errors.js';
import { type ChangeMessage, type JsonMessage, jsonMessages } from '../../protocol/json.js';
import type { SharedAccess } from '../guard/shared-access.js';
import { pauseBefore } from './again.js';
import { BadMessages } from './bad-messages.js';
import { type ChannelOptions, JsonChannel } from './channel.js';
import { MessageReader } from './message-reader.js';
import type { JsonSessionOptions, Text } from './options.js';

/** What a channel of the connection has of its own. */
type Followed = Pick<
  ChannelOptions,
  'document' | 'actor' | 'readOnly' | 'shows' | 'isRemembered' | 'name' | 'failed'
>;

export class JsonSession {
  readonly #options: JsonSessionOptions;
  readonly #reader: MessageReader;
  readonly #own: JsonChannel;
  /** That of the shared document; `null` where there is none, or it can't be read. */
  readonly #shared: JsonChannel | null;
  /** The connection is gone. */
  #left = false;
  /** It is gone, or was told to go. */
  #ended = false;
  /** It is told to go once what came before was handled. */
  #isEnding = false;
  /** The user's own document has failed. */
  #isFailed = false;
  #fullSyncWaiting = false;
  /** What the device sent since a full sync is due: it waits for that, and nobody else does. */
  #behind: (() => void)[] | null = null;
  #isConfirmed = false;
  /** A full sync that is sent once more, not before this time, and how often it was before. */
  #again: { readonly at: number; readonly repeats: number; readonly stop: () => void } | null = null;
  /** How often the one that is sent next was sent before. */
  #repeats = 0;
  readonly #badMessages = new BadMessages();

  constructor(options: JsonSessionOptions) {
    this.#options = options;
    const { document, device, actor = null, readOnly = false, outbox, now, log, shared = null } = options;
    this.#reader = new MessageReader({ user: document.user, maxDepth: options.maxDepth });
    // Not spread, as it is for each connection: that is a call into V8's runtime.
    const channel = (followed: Followed): JsonChannel =>
      new JsonChannel({
        document: followed.document,
        actor: followed.actor,
        readOnly: followed.readOnly,
        shows: followed.shows,
        isRemembered: followed.isRemembered,
        name: followed.name,
        failed: followed.failed,
        device,
        maxMessage: options.maxMessage,
        now,
        pace: options.pace,
        log,
        send: (text: Text) => this.#send(text),
        ping: (payload: string) => outbox.ping(payload),
        behind: (task: () => void) => outbox.behind(() => this.whenReady(() => this.#guard(task))),
        together: <Result>(work: () => Result) => outbox.together(work),
        guard: (action: () => void, ack?: string) => this.#guard(action, ack),
        end: (error: SyncError) => this.#end(error),
        syncAgain: (repeats: number) => this.#syncAgain(repeats, now() + pauseBefore(repeats)),
      });
    const shows = (name: CollectionName) => !shared?.collections.has(name);
    const failed = (error: SyncError) => this.#endFailed(error);
    this.#own = channel({ document, actor, readOnly, shows, isRemembered: true, name: '', failed });
    const everybodys = shared?.document ?? null;
    const sharedFailed = (error: SyncError) => this.#endLast(error);
    this.#shared =
      shared === null || everybodys === null ? null : channel(ofEverybody(shared, everybodys, sharedFailed));
  }

  /** Sends everything, confirms the connection, and follows the document from here (L1). */
  start(): void {
    this.#options.document.whenReady(() => this.#own.whenKnown(() => this.#greet()));
  }

  #greet(): void {
    if (this.#ended) return;
    this.#own.open();
    this.#followShared(() => this.#fullSync());
  }

  /**
   * What of the shared document is not durable yet has to be, before the first full sync shows it. What the device
   * sends meanwhile waits for that sync, or until the device is gone.
   */
  #followShared(then: () => void): void {
    const document = this.#options.shared?.document ?? null;
    if (document === null) {
      then();
      return;
    }
    this.#behind = [];
    this.#shared?.open();
    document.afterDurable(() => this.#options.document.whenReady(() => this.#ended || then()));
  }

  /** Takes a message: text, or the same text in bytes (L12). */
  receive(raw: string | Uint8Array): void {
    this.whenReady(() => {
      // What came before the connection was lost counts all the same.
      if (this.#ended && !this.#left) return;
      this.#guard(() => this.#read(raw));
    });
  }

  /** Whether what comes in has to wait. */
  get isPaused(): boolean {
    return this.#behind !== null;
  }

  /** Runs `task` behind what came in before: at once, or when the document is in order, and the full sync was made. */
  whenReady(task: () => void): void {
    if (this.#behind !== null) this.#behind.push(task);
    else this.#options.document.whenReady(task);
  }

  /** One of them may ask for the next full sync: then the rest waits on, in its order. One that throws ends none of it. */
  #goOn(): void {
    const tasks = this.#behind ?? [];
    this.#behind = null;
    const failures: unknown[] = [];
    const collect = safelyWith((error) => failures.push(error));
    for (const task of tasks) collect(() => this.whenReady(task));
    if (failures.length > 0) throw failures[0];
  }

  #read(raw: string | Uint8Array): void {
    const limit = Math.max(this.#own.maxMessage, this.#shared?.maxMessage ?? 0);
    const incoming = this.#reader.read(raw, limit);
    if ('message' in incoming) {
      this.#guard(() => this.#handle(incoming.message), incoming.message.ack);
      return;
    }
    const { error, ack, isOldNews, isFatal } = incoming;
    if (!isOldNews) this.#refuse(error, ack);
    else if (ack !== undefined) this.#send(jsonMessages.error(error, ack));
    if (isFatal) this.#end(error);
  }

  #guard(action: () => void, ack?: string): void {
    try {
      action();
    } catch (error) {
      if (error instanceof SyncError) {
        this.#refuse(error, ack);
        return;
      }
      this.#end(new SyncError('INTERNAL'));
      throw error;
    }
  }

  /** Answers a bad message; the connection stays open, unless there are too many of them (L10). */
  #refuse(error: SyncError, ack?: string): void {
    const { document, device, log, now } = this.#options;
    log('messageRefused', {
      user: document.user,
      device,
      via: 'json',
      code: error.code,
      reason: error.message,
    });
    this.#send(jsonMessages.error(error, ack));
    // There is nothing wrong with the message, and a queue may hold many of them.
    if (error.code === 'DOCUMENT_FULL') return;
    if (this.#badMessages.areTooMany(now())) this.#end(new SyncError('TOO_MANY_BAD_MESSAGES'));
  }

  /** As of its channel; of the user's document. */
  get sentRevision(): number | null {
    return this.#own.sentRevision;
  }

  pong(payload: string): void {
    // Not before the messages that came before it.
    this.whenReady(() => {
      if (payload.startsWith(SHARED)) this.#shared?.pong(payload);
      else this.#own.pong(payload);
    });
  }

  /** The connection is gone. */
  leave(): void {
    this.#goOn();
    this.#left = !this.#ended;
    this.#ended = true;
    this.#again?.stop();
    this.#own.leave();
    this.#shared?.leave();
  }

  #handle(message: JsonMessage): void {
    const { document, device, log } = this.#options;
    log('received', { user: document.user, device, type: message.type });
    if (message.type !== 'REQUEST_SYNC') {
      this.#change(message);
      return;
    }
    this.#own.hearClock(message.sentAt);
    this.#shared?.hearClock(message.sentAt);
    this.#fullSync();
    this.#own.acknowledge(message.ack);
  }

  #change(message: ChangeMessage): void {
    const { shared } = this.#options;
    if (this.#again !== null) this.#syncAgain(this.#again.repeats, this.#again.at);
    if (shared == null || !shared.collections.has(message.collection)) this.#own.change(message);
    else if (this.#shared === null) this.#refuse(new SyncError('DOCUMENT_CORRUPT'), message.ack);
    else this.#shared.change(message);
  }

  /**
   * The shared collections are shown as they are durable when the sync leaves, so that it need not be waited for. How
   * large the records are that the device may send back is saved before it has them.
   */
  #fullSync(): void {
    if (this.#fullSyncWaiting) return;
    this.#fullSyncWaiting = true;
    this.#own.beforeAll(() => {
      if (this.#shared === null) this.#sendFullSync();
      else this.#shared.beforeAll(() => this.#sendFullSync());
    });
  }

  /** From that time on, once the user writes nothing any more: the app might lose that one, too. */
  #syncAgain(repeats: number, at: number): void {
    const { document, pace, now } = this.#options;
    this.#again?.stop();
    this.#again = null;
    if (this.#ended || pace === undefined) return;
    const sync = () => {
      this.#again = null;
      if (this.#ended) return;
      this.#repeats = repeats + 1;
      document.whenReady(() => this.#fullSync());
    };
    const stop = pace.after(Math.max(SYNC_AGAIN_AFTER, at - now()), sync);
    this.#again = { at, repeats, stop };
  }

  #sendFullSync(): void {
    if (this.#ended) return;
    this.#behind ??= [];
    const send = (records: RecordsView) => {
      if (!this.#ended) this.#sendRecords(records);
      this.#goOn();
    };
    const failed = (error: SyncError) => this.#endLast(error);
    whenShown(this.#options.document, send, failed, () => !this.#ended);
  }

  /** @param records of the user's document, as it is now */
  #sendRecords(records: RecordsView): void {
    const { document, shared, now } = this.#options;
    const repeats = this.#repeats;
    this.#repeats = 0;
    // What a user has from before a collection was shared is not mistaken for it, not even while that is damaged.
    const own = shared == null ? records : records.without(shared.collections);
    const { revision } = document;
    const text = fullSync(own, now());
    this.#own.showsAll(own, text.length);
    document.afterConfirmed(() => {
      const everybodys = shared?.records?.view(shared.collections) ?? RecordsView.of({});
      const all = shared == null ? own : own.with(everybodys);
      const message = shared == null ? text : fullSync(all, now());
      this.#options.outbox.together(() => {
        if (!this.#ended) this.#options.outbox.answer(message, () => this.#fullSyncSent());
        this.#own.sentAll(revision, repeats);
        this.#shared?.showsAll(everybodys, message.length);
        this.#shared?.sentAll(shared?.records?.revision ?? 0, repeats);
        this.#confirm();
      });
      this.#logSync(all);
    });
  }

  /** Once, behind the first full sync (L1). */
  #confirm(): void {
    if (this.#isConfirmed) return;
    this.#isConfirmed = true;
    const { document, device, now } = this.#options;
    this.#send(jsonMessages.connectionConfirmed(document.user, device, now()));
  }

  #logSync({ counts }: RecordsView): void {
    const { document, device, log } = this.#options;
    log('initialData', { user: document.user, device, collections: counts });
  }

  /** One that was asked for meanwhile is answered by it. */
  #fullSyncSent(): void {
    this.#fullSyncWaiting = false;
  }

  #send(text: Text): void {
    if (!this.#ended) this.#options.outbox.send(text);
  }

  /**
   * Ends it once what came before was handled, and is durable: that counts all the same, and is answered. Where it
   * can't be saved, the user's own document fails, which ends it, too.
   */
  #endLast(error: SyncError): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const { document } = this.#options;
    this.#goOn();
    document.enter(() => document.afterDurable(() => this.#end(error)));
  }

  /** Ends it once who sent what waits was told that it is not saved (N3). */
  #endFailed(error: SyncError): void {
    if (this.#isFailed) return;
    this.#isFailed = true;
    this.#goOn();
    this.#options.document.whenReady(() => this.#end(error));
  }

  #end(error: SyncError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.outbox.close(error);
  }
}

/** So long after the last write a full sync is sent once more, in ms. */
const SYNC_AGAIN_AFTER = 5_000;

/** Marks the pings of the shared document. */
const SHARED = 's';

function fullSync(records: RecordsView, now: number): Buffer {
  const { before, behind } = jsonMessages.fullSync(now);
  return records.toJson(before, behind);
}

const ofEverybody = (
  { actor, readOnly }: SharedAccess,
  document: FollowedDocument,
  failed: Followed['failed'],
): Followed => ({
  document,
  actor,
  readOnly,
  shows: () => true,
  isRemembered: !readOnly,
  name: SHARED,
  failed,
});
