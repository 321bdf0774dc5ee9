/** One connection of a JSON device, without its socket: messages in, messages out (L1–L11). */
import type * as Y from 'yjs';
import { SyncError } from '../../shared/errors.js';
import { knowsName } from '../../shared/known-names.js';
import type { DeviceId } from '../../shared/names.js';
import {
  type ChangeMessage,
  isAnswered,
  type JsonMessage,
  jsonMessages,
  refuseNewNames,
  SERVER_DEVICE,
} from '../../shared/protocol/json.js';
import type { DurableChange, Member, Origin, RecordChange } from '../documents/changes.js';
import type { DeviceView } from '../documents/device-view.js';
import { growthOfRecord } from '../documents/document-room.js';
import { applyMessage, neededFrom } from '../documents/json-changes.js';
import type { Judged } from '../documents/judged.js';
import { keyOf } from '../documents/record-key.js';
import { JsonDoor } from './json-door.js';
import { JsonLimit } from './json-limit.js';
import type { JsonSessionOptions } from './json-session-options.js';
import { Receipts } from './receipts.js';

const MAX_BAD_MESSAGES = 20;
const BAD_MESSAGE_WINDOW = 60_000;

/** The text of a change is made once, and encoded once, however many connections it goes to. */
const texts = new WeakMap<RecordChange, Buffer>();

export class JsonSession implements Member {
  readonly #options: JsonSessionOptions;
  readonly #origin: Origin;
  readonly #receipts: Receipts;
  readonly #door: JsonDoor;
  readonly #limit: JsonLimit;
  /** What the device may be looking at; from the first full sync on. */
  #view: DeviceView | null = null;
  /** The connection is gone. */
  #left = false;
  /** It is gone, or was told to go. */
  #ended = false;
  #fullSyncWaiting = false;
  /** The `ack` of each write that is not durable yet, in order. */
  readonly #unsaved: (string | undefined)[] = [];
  #badMessages: number[] = [];

  constructor(options: JsonSessionOptions) {
    this.#options = options;
    this.#origin = { via: 'json', device: options.device, actor: options.actor ?? null, member: this };
    this.#door = new JsonDoor({ user: options.document.user, maxDepth: options.maxDepth });
    this.#limit = new JsonLimit(options.maxMessage, () => this.#view?.device);
    this.#receipts = new Receipts((payload) => options.outbox.ping(payload));
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

  /** Takes a message: text, or the same text in bytes (L12). */
  receive(raw: string | Uint8Array): void {
    this.#options.document.enter(() => {
      // What came before the connection was lost counts all the same.
      if (this.#ended && !this.#left) return;
      this.#guard(() => this.#read(raw));
    });
  }

  #read(raw: string | Uint8Array): void {
    const incoming = this.#door.read(raw, this.#limit.bytes);
    if ('message' in incoming) {
      const { message } = incoming;
      this.#guard(() => {
        refuseNewNames(message, (name) => knowsName(this.#options.document.doc, name));
        this.#handle(message);
      }, message.ack);
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
    const since = now() - BAD_MESSAGE_WINDOW;
    this.#badMessages = [...this.#badMessages.filter((at) => at > since), now()];
    if (this.#badMessages.length >= MAX_BAD_MESSAGES) this.#end(new SyncError('TOO_MANY_BAD_MESSAGES'));
  }

  deliver({ origin, revision, records }: DurableChange): void {
    if (origin.member === this) return;
    for (const change of records) this.#sendChange(change, origin.device, revision);
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
    const received = this.#receipts.confirm(payload);
    if (received === null) return;
    this.#view?.acknowledged(received.number, received.revision, this.#options.now());
  }

  /** The connection is gone. */
  leave(): void {
    const { document, now } = this.#options;
    this.#left = !this.#ended;
    this.#ended = true;
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
    const judged = this.#view?.judge(message, now());
    if (judged === undefined || this.#isErased(message, judged)) return;
    document.withHistory(neededFrom(document.doc, message, judged), () =>
      this.#guard(() => {
        this.#write(message, judged);
        this.#acknowledge(message);
      }, message.ack),
    );
  }

  /** Whether the write is from before an erasure: then the device is told, and has to clear first (P7). */
  #isErased({ ack }: ChangeMessage, judged: Judged): boolean {
    try {
      this.#options.document.erased?.checkWrite(judged);
      return false;
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      this.#send(jsonMessages.error(error, ack));
      this.#end(error);
      return true;
    }
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
      const crossed = endWatch();
      if (!corrected && !crossed) return;
      this.#view?.sentBack(message, outcome.revision, revision);
      this.#sendChange({ collection, id, record }, SERVER_DEVICE, revision);
    });
  }

  #fullSync(): void {
    if (this.#fullSyncWaiting) return;
    this.#fullSyncWaiting = true;
    const { document, device, now, log } = this.#options;
    const data = document.collections();
    const { revision } = document;
    const text = jsonMessages.fullSync(data, now());
    this.#limit.sendsAll(data, Buffer.byteLength(text));
    document.saveDevices('urgent');
    document.afterDurable(() => {
      if (!this.#ended) this.#options.outbox.answer(text, () => this.#fullSyncSent());
      this.#view?.sentFullSync(revision, now());
      this.#receipts.sent('everything', revision);
      const collections = Object.fromEntries(
        Object.entries(data).map(([name, { length }]) => [name, length]),
      );
      log('initialData', { user: document.user, device, collections });
    });
  }

  /** One that was asked for meanwhile is answered by it. */
  #fullSyncSent(): void {
    this.#fullSyncWaiting = false;
  }

  #sendChange(change: RecordChange, fromDevice: DeviceId, revision: number): void {
    const text = texts.get(change) ?? Buffer.from(this.#textOf(change, fromDevice));
    texts.set(change, text);
    this.#limit.sends(text.length);
    this.#send(text);
    if (fromDevice !== SERVER_DEVICE) this.#view?.sent(change, revision);
    this.#receipts.sent(change, revision);
  }

  #textOf({ collection, id, record }: RecordChange, fromDevice: DeviceId): string {
    const now = this.#options.now();
    if (record === null) return jsonMessages.dataDelete(collection, id, fromDevice, now);
    return jsonMessages.dataUpdate(collection, record, fromDevice, now);
  }

  #logBroadcast(): void {
    const { document, log } = this.#options;
    const others = [...document.members].filter((member) => member !== this);
    const devices = others.map(({ device }) => device);
    if (devices.length > 0) log('broadcast', { user: document.user, devices });
  }

  get device(): DeviceId {
    return this.#options.device;
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
