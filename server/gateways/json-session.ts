/** One connection of a JSON device, without its socket: messages in, messages out (L1–L11). */
import type * as Y from 'yjs';
import { SyncError } from '../../shared/errors.js';
import type { DeviceId } from '../../shared/names.js';
import {
  type ChangeMessage,
  isAnswered,
  type JsonMessage,
  jsonMessages,
  parseMessage,
  SERVER_DEVICE,
} from '../../shared/protocol/json.js';
import type { DurableChange, Member, Origin, RecordChange } from '../documents/changes.js';
import type { DeviceView } from '../documents/device-view.js';
import { growthOfRecord } from '../documents/document-room.js';
import { applyMessage, neededFrom } from '../documents/json-changes.js';
import type { Judged } from '../documents/judged.js';
import { keyOf } from '../documents/record-key.js';
import { BadMessages } from './bad-messages.js';
import { Pace } from './json-pace.js';
import { type RecordMessage, recordMessage, type Shown } from './json-record-message.js';
import type { JsonSessionOptions } from './json-session-options.js';
import { Receipts } from './receipts.js';

export class JsonSession implements Member {
  readonly device: DeviceId;
  readonly #options: JsonSessionOptions;
  readonly #origin: Origin;
  readonly #receipts: Receipts;
  readonly #pace: Pace<RecordMessage>;
  /** What the device may be looking at; from the first full sync on. */
  #view: DeviceView | null = null;
  /** The connection is gone. */
  #left = false;
  /** It is gone, or was told to go. */
  #ended = false;
  #fullSyncWaiting = false;
  /** The `ack` of each write that is not durable yet, in order. */
  readonly #unsaved: (string | undefined)[] = [];
  readonly #badMessages = new BadMessages();

  constructor(options: JsonSessionOptions) {
    this.#options = options;
    this.device = options.device;
    this.#origin = { via: 'json', device: options.device, actor: options.actor ?? null, member: this };
    this.#pace = new Pace({
      gap: options.pace?.gap ?? 0,
      now: options.now,
      after: (ms, task) => options.pace?.after(ms, () => options.document.enter(task)) ?? (() => {}),
      send: (message) => this.#sendRecord(message),
      doubt: (what) => this.#view?.doubt(what, options.now()),
    });
    this.#receipts = new Receipts(
      (payload) => options.outbox.ping(payload),
      () => this.#pace.oldest,
    );
  }

  /** Sends everything, confirms the connection, and follows the document from here (L1). */
  start(): void {
    this.#options.document.enter(() => {
      if (!this.#ended) this.#greet();
    });
  }

  #greet(): void {
    const { document, device, now } = this.#options;
    this.#view = document.devices.connect(this.#origin, now(), document.revision);
    document.saveDevices('urgent');
    document.join(this);
    this.#fullSync();
    document.afterDurable(() => this.#send(jsonMessages.connectionConfirmed(document.user, device, now())));
  }

  /** Takes a message, `null` for a binary message. */
  receive(text: string | null): void {
    const { document, maxDepth, maxMessage } = this.#options;
    document.enter(() => {
      // What came before the connection was lost counts all the same.
      if (this.#ended && !this.#left) return;
      this.#guard(() => {
        if (text === null) throw new SyncError('INVALID_JSON', 'A binary message where text is expected.');
        if (Buffer.byteLength(text) > maxMessage) {
          throw new SyncError(
            'MESSAGE_TOO_LARGE',
            `The message is larger than MAX_JSON_MESSAGE, ${maxMessage} bytes.`,
          );
        }
        this.#handle(parseMessage(text, document.user, { maxDepth }));
      });
    });
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

  deliver({ origin, revision, records }: DurableChange): void {
    if (origin.member === this) return;
    const since = revision - records.length + 1;
    for (const change of records) this.#sendChange(change, origin.device, { revision, since, answers: null });
  }

  fail(error: SyncError): void {
    for (const ack of this.#unsaved) this.#send(jsonMessages.error(new SyncError('NOT_SAVED'), ack));
    this.#end(error);
  }

  pong(payload: string): void {
    // Not before the messages that came before it.
    this.#options.document.enter(() => this.#pong(payload));
  }

  #pong(payload: string): void {
    this.#view?.heard(this.#options.now());
    const received = this.#receipts.confirm(payload);
    if (received === null) return;
    this.#view?.acknowledged(received.number, received.revision, this.#options.now());
    this.#pace.arrived(received.number);
  }

  /** The connection is gone. */
  leave(): void {
    const { document, now } = this.#options;
    this.#left = !this.#ended;
    this.#ended = true;
    this.#pace.stop();
    document.leave(this);
    document.enter(() => {
      if (this.#view !== null) document.devices.disconnect(this.#view, now());
    });
  }

  #handle(message: JsonMessage): void {
    const { document, device, log } = this.#options;
    log('received', { user: document.user, device, type: message.type });
    if (message.type !== 'REQUEST_SYNC') {
      this.#change(message);
      return;
    }
    this.#view?.hearClock(message.sentAt, this.#options.now());
    this.#fullSync();
    this.#acknowledge(message);
  }

  /** Compares the write with what the device may have been looking at, which may have to be read first (L4–L9). */
  #change(message: ChangeMessage): void {
    const { document, now, readOnly } = this.#options;
    if (readOnly) {
      this.#send(jsonMessages.error(new SyncError('READ_ONLY'), message.ack));
      return;
    }
    this.#pace.written(message);
    const judged = this.#view?.judge(message, now());
    if (judged === undefined) return;
    // From before an erasure: the device is told, and has to clear first (P7).
    const refusal = document.erased?.refusalOf(judged) ?? null;
    if (refusal !== null) {
      this.#send(jsonMessages.error(refusal, message.ack));
      this.#end(refusal);
      return;
    }
    document.withHistory(neededFrom(document.doc, message, judged), () =>
      this.#guard(() => {
        this.#write(message, judged);
        this.#acknowledge(message);
      }, message.ack),
    );
  }

  #acknowledge({ ack }: JsonMessage): void {
    if (ack === undefined) return;
    this.#options.document.afterDurable(() => this.#send(jsonMessages.ack(ack)));
  }

  /**
   * The sender gets the record too when its own store would be left with something else: when the merge differs
   * from what it sent, or when something without its write was on its way to it (L3).
   */
  #write(message: ChangeMessage, judged: Judged): void {
    const { document, log, now } = this.#options;
    const { collection, id } = message;
    const made = new Map(judged.madeAt === null ? [] : [[keyOf(message), judged.madeAt]]);
    const isCrossed = this.#receipts.isOpen(message);
    const isFresh = this.#view?.isFresh(message, now()) ?? false;
    const endWatch = this.#receipts.watch(message);
    const current = document.record(message);
    if (message.type === 'DATA_UPDATE') document.room.mustTake(growthOfRecord(current, message.document));
    const apply = (doc: Y.Doc) => applyMessage(doc, message, current, judged, document.history);
    const entries = document.write(this.#origin, apply, made);
    const record = document.record(message);
    const corrected = !isAnswered(message, record);
    const { revision } = document;
    const outcome = { revision: entries.at(-1)?.revision ?? null, record, corrected };
    this.#view?.wrote(message, judged, outcome, isCrossed, document.history, now());
    document.saveDevices('urgent'); // in one batch with the write
    this.#unsaved.push(message.ack);
    document.afterDurable(() => {
      this.#unsaved.shift();
      if (entries.length > 0) {
        const event = message.type === 'DATA_UPDATE' ? 'updated' : 'deleted';
        log(event, { user: document.user, collection, record: id });
        this.#logBroadcast();
      }
      const written = outcome.revision;
      const change = { collection, id, record };
      const shown = { revision, since: written ?? revision, answers: { written } };
      if (endWatch() || corrected) {
        this.#sendChange(change, SERVER_DEVICE, shown);
        return;
      }
      const unsent = this.#pace.drop(message);
      if (unsent !== null) this.#view?.neverSent(message, unsent, document.history);
      if (isFresh) this.#pace.repeat(recordMessage(change, SERVER_DEVICE, shown, now()));
    });
  }

  /** One that was asked for meanwhile is answered by it. */
  #fullSync(): void {
    if (this.#fullSyncWaiting) return;
    this.#fullSyncWaiting = true;
    this.#pace.fullSync(() => this.#sendFullSync());
  }

  #sendFullSync(): void {
    const { document, device, now, log } = this.#options;
    const data = document.collections();
    const { revision } = document;
    const text = jsonMessages.fullSync(data, now());
    document.afterDurable(() => {
      const sent = () => {
        this.#fullSyncWaiting = false;
      };
      if (!this.#ended) this.#options.outbox.answer(text, sent);
      this.#view?.sentFullSync(revision, now());
      this.#pace.fullSyncLeaves(() => this.#receipts.sent('everything', revision));
      const collections = Object.fromEntries(
        Object.entries(data).map(([name, { length }]) => [name, length]),
      );
      log('initialData', { user: document.user, device, collections });
    });
  }

  #sendChange(change: RecordChange, fromDevice: DeviceId, shown: Shown): void {
    this.#pace.send(recordMessage(change, fromDevice, shown, this.#options.now()));
    const most = this.#options.pace?.mostBytes ?? Number.POSITIVE_INFINITY;
    if (this.#pace.bytes > most) this.#end(new SyncError('OVERLOADED'));
  }

  /** It leaves now; returns its number. */
  #sendRecord(message: RecordMessage): number {
    const { text, revision, answers } = message;
    this.#send(text);
    const now = this.#options.now();
    if (answers === null) this.#view?.sent(message, revision, now);
    else this.#view?.sentBack(message, answers.written, revision, now);
    return this.#receipts.sent(message, revision);
  }

  #logBroadcast(): void {
    const { document, log } = this.#options;
    const devices = [...document.members].filter((member) => member !== this).map(({ device }) => device);
    if (devices.length > 0) log('broadcast', { user: document.user, devices });
  }

  #send(text: string | Buffer): void {
    if (!this.#ended) this.#options.outbox.send(text);
  }

  #end(error: SyncError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#options.outbox.close(error);
  }
}
