/**
 * One document as a JSON connection follows and changes it: that of its user, or the shared one (D8). What the
 * device may be looking at, what it has received and what it waits for is known for each by itself.
 */
import type * as Y from 'yjs';
import { SyncError } from '../../shared/errors.js';
import { knowsName } from '../../shared/known-names.js';
import type { DeviceId } from '../../shared/names.js';
import {
  type ChangeMessage,
  isAnswered,
  jsonMessages,
  refuseNewNames,
  SERVER_DEVICE,
} from '../../shared/protocol/json.js';
import type { Collections } from '../../shared/records.js';
import type { DurableChange, Member, Origin, RecordChange } from '../documents/changes.js';
import type { DeviceView } from '../documents/device-view.js';
import { growthOfRecord } from '../documents/document-room.js';
import { applyMessage, neededFrom } from '../documents/json-changes.js';
import type { Judged } from '../documents/judged.js';
import { keyOf } from '../documents/record-key.js';
import type { UserDocument } from '../documents/user-document.js';
import type { Log } from '../log.js';
import { JsonLimit } from './json-limit.js';
import { Receipts } from './receipts.js';

/** What a channel needs of its connection. */
export interface ChannelOptions {
  readonly document: UserDocument;
  readonly device: DeviceId;
  readonly actor: string | null;
  readonly readOnly: boolean;
  /** Whether it is remembered what the device has seen; where it can't write, that is of no use. */
  readonly isRemembered: boolean;
  /** Tells its pings from those of another channel of the connection. */
  readonly name: string;
  /** `MAX_JSON_MESSAGE`. */
  readonly maxMessage: number;
  readonly now: () => number;
  readonly log: Log;
  readonly send: (text: string | Buffer) => void;
  readonly ping: (payload: string) => void;
  /** Runs what a message asks for; what is wrong with the message is told to its sender. */
  readonly guard: (action: () => void, ack?: string) => void;
  readonly end: (error: SyncError) => void;
}

/** The text of a change is made once, and encoded once, however many connections it goes to. */
const texts = new WeakMap<RecordChange, Buffer>();

export class JsonChannel implements Member {
  readonly #options: ChannelOptions;
  readonly #origin: Origin;
  readonly #receipts: Receipts;
  readonly #limit: JsonLimit;
  /** What the device may be looking at; from the first full sync on. */
  #view: DeviceView | null = null;
  /** From the first full sync on, what changes is told. */
  #isFollowing = false;
  /** The `ack` of each write that is not durable yet, in order. */
  readonly #unsaved: (string | undefined)[] = [];

  constructor(options: ChannelOptions) {
    const { device, actor, name, ping } = options;
    this.#options = options;
    this.#origin = { via: 'json', device, actor, member: this };
    this.#receipts = new Receipts((payload) => ping(name + payload));
    this.#limit = new JsonLimit(options.maxMessage, () => this.#view?.device);
  }

  get device(): DeviceId {
    return this.#options.device;
  }

  /** Follows the document from here; what is shown of it first has to be durable from now on. */
  open(): void {
    const { document, isRemembered, now } = this.#options;
    if (isRemembered) {
      this.#view = document.devices.connect(this.#origin, now(), document.revision);
      document.saveDevices('urgent');
    }
    document.join(this);
  }

  /** In bytes; see `JsonLimit`. */
  get maxMessage(): number {
    return this.#limit.bytes;
  }

  /** These records will be in a full sync of this size. */
  showsAll(records: Collections, size: number): void {
    this.#limit.sendsAll(records, size);
    this.#options.document.saveDevices('urgent');
  }

  /** A full sync with the state at this revision was sent. */
  sentAll(revision: number): void {
    this.#isFollowing = true;
    this.#view?.sentFullSync(revision, this.#options.now());
    this.#receipts.sent('everything', revision);
  }

  hearClock(sentAt: number | null): void {
    this.#view?.hearClock(sentAt, this.#options.now());
  }

  pong(payload: string): void {
    const { document, name, now } = this.#options;
    if (!payload.startsWith(name)) return;
    // Not before the messages that came before it.
    document.enter(() => {
      const received = this.#receipts.confirm(payload.slice(name.length));
      if (received !== null) this.#view?.acknowledged(received.number, received.revision, now());
    });
  }

  deliver({ origin, revision, records }: DurableChange): void {
    if (origin.member === this || !this.#isFollowing) return;
    for (const change of records) this.#sendChange(change, origin.device, revision);
  }

  /** The document can't go on: writes that are not durable may be lost. */
  fail(error: SyncError): void {
    for (const ack of this.#unsaved) this.#options.send(jsonMessages.error(new SyncError('NOT_SAVED'), ack));
    this.#options.end(error);
  }

  /** The connection is gone. */
  leave(): void {
    const { document, now } = this.#options;
    document.leave(this);
    document.enter(() => {
      if (this.#view !== null) document.devices.disconnect(this.#view, now());
    });
  }

  /** Compares the write with what the device may have been looking at, which may have to be read first (L4–L9). */
  change(message: ChangeMessage): void {
    const { document, readOnly, send, guard } = this.#options;
    if (readOnly) send(jsonMessages.error(new SyncError('READ_ONLY'), message.ack));
    else
      document.enter(() =>
        guard(() => {
          refuseNewNames(message, (name) => knowsName(document.doc, name));
          this.#change(message);
        }, message.ack),
      );
  }

  #change(message: ChangeMessage): void {
    const { document, now, guard } = this.#options;
    const judged = this.#view?.judge(message, now());
    if (judged === undefined || this.#isErased(message, judged)) return;
    document.withHistory(neededFrom(document.doc, message, judged), () =>
      guard(() => {
        this.#write(message, judged);
        this.acknowledge(message.ack);
      }, message.ack),
    );
  }

  /** Once everything so far is durable. */
  acknowledge(ack: string | undefined): void {
    if (ack === undefined) return;
    const { document, send } = this.#options;
    document.afterDurable(() => send(jsonMessages.ack(ack)));
  }

  /** Whether the write is from before an erasure: then the device is told, and has to clear first (P7). */
  #isErased({ ack }: ChangeMessage, judged: Judged): boolean {
    const { document, send, end } = this.#options;
    try {
      document.erased?.checkWrite(judged);
      return false;
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      send(jsonMessages.error(error, ack));
      end(error);
      return true;
    }
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

  #sendChange(change: RecordChange, fromDevice: DeviceId, revision: number): void {
    const text = texts.get(change) ?? Buffer.from(this.#textOf(change, fromDevice));
    texts.set(change, text);
    this.#options.send(text);
    this.#limit.sends(text.length);
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
}
