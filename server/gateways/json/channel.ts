/**
 * One document as a JSON connection follows and changes it: that of its user, or the shared one (D8). What the
 * device may be looking at, what it has received and what it waits for is known for each by itself.
 */
import type { CollectionName, DeviceId } from '../../../shared/names.js';
import type { DurableChange, Origin, RecordChange } from '../../documents/changes.js';
import { JsonWriter } from '../../documents/json-devices/json-writer.js';
import { neededFrom } from '../../documents/json-devices/merge-write.js';
import { Receipts } from '../../documents/json-devices/receipts.js';
import type { MaybeLost } from '../../documents/json-devices/sent-messages.js';
import type { Served, SocketView } from '../../documents/json-devices/socket-view.js';
import type { WriteContext } from '../../documents/json-devices/write-context.js';
import type { RecordKey } from '../../documents/records/record-key.js';
import type { RecordsView } from '../../documents/records/records-view.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { Follower } from '../../documents/sleep/follower.js';
import { whenAwake, whenKnown } from '../../documents/sleep/when-shown.js';
import type { UserDocument } from '../../documents/user-document.js';
import { SyncError } from '../../errors.js';
import type { Log } from '../../log.js';
import { type ChangeMessage, jsonMessages, SERVER_DEVICE } from '../../protocol/json.js';
import { JsonLimit } from './limit.js';
import type { JsonSessionOptions } from './options.js';
import { Pace } from './pace.js';
import { type RecordMessage, recordMessage, type Shown } from './record-message.js';

/** What a channel needs of its connection. */
export interface ChannelOptions {
  readonly document: FollowedDocument;
  readonly device: DeviceId;
  readonly actor: string | null;
  readonly readOnly: boolean;
  /** Whether it is remembered what the device has seen; where it can't write, that is of no use. */
  readonly isRemembered: boolean;
  /** Whether a collection of the document is the device's business: a shared one comes from the shared document. */
  readonly shows: (collection: CollectionName) => boolean;
  /** Tells its pings from those of another channel of the connection. */
  readonly name: string;
  /** `MAX_JSON_MESSAGE`. */
  readonly maxMessage: number;
  readonly now: () => number;
  /** How messages are paced; left out: not at all. */
  readonly pace: JsonSessionOptions['pace'];
  readonly log: Log;
  readonly send: (text: string | Buffer) => void;
  readonly ping: (payload: string) => void;
  /** Runs a task behind what has come in over the connection. */
  readonly behind: (task: () => void) => void;
  /** What `work` sends leaves in one write. */
  readonly together: <Result>(work: () => Result) => Result;
  /** Runs what a message asks for; what is wrong with the message is told to its sender. */
  readonly guard: (action: () => void, ack?: string) => void;
  /** The document can't go on, or can't be had. */
  readonly failed: (error: SyncError) => void;
  readonly end: (error: SyncError) => void;
  /** The app may have lost the last full sync, which had been sent once more so often. */
  readonly syncAgain: (repeats: number) => void;
}

export class JsonChannel implements Follower, Served {
  readonly #options: ChannelOptions;
  readonly #origin: Origin;
  readonly #receipts: Receipts;
  readonly #pace: Pace<RecordMessage>;
  /** The oldest revision of a change of which some records are still to be sent, or to wait. */
  #undelivered = Number.POSITIVE_INFINITY;
  readonly #limit: JsonLimit;
  /** What the device may be looking at; from the first full sync on. */
  #view: SocketView | null = null;
  /** From the first full sync on, what changes is told. */
  #isFollowing = false;
  #hasLeft = false;
  /** Up to which revision, once nothing waits to be sent. */
  #sentUpTo = 0;
  /** The `ack` of each write that is not durable yet, in order. */
  readonly #unsaved: (string | undefined)[] = [];

  constructor(options: ChannelOptions) {
    const { document, device, actor, name, ping, together, pace, now } = options;
    this.#options = options;
    this.#origin = { via: 'json', device, actor, subscriber: this };
    this.#pace = new Pace({
      gap: pace?.gap ?? 0,
      now,
      after: (ms, task) => pace?.after(ms, () => document.whenReady(task)) ?? (() => {}),
      send: (message, repeats) => together(() => this.#sendRecord(message, repeats)), // and the ping behind it
      doubt: (what) => this.#view?.doubt(what, now()),
    });
    this.#receipts = new Receipts(
      (payload) => ping(name + payload),
      () => Math.min(this.#pace.oldest, this.#undelivered),
    );
    this.#limit = new JsonLimit(options.maxMessage, () => this.#view?.device);
  }

  get device(): DeviceId {
    return this.#options.device;
  }

  /** No full sync is under way, and nothing waits to be sent, or to be durable. */
  get isQuiet(): boolean {
    return this.#unsaved.length === 0 && this.#pace.isQuiet;
  }

  /** Up to which revision the device was sent the document; `null` where something still waits. */
  get sentRevision(): number | null {
    return this.#isFollowing && this.isQuiet ? this.#sentUpTo : null;
  }

  /** A JSON device has records, which are the same. */
  readonly takesRewrites = true;
  rewritten(): void {}

  /** Who is there, JSON devices are not told. */
  tell(): void {}

  /** Runs `task` when what is known of the device is there: `open` needs it. */
  whenKnown(task: () => void): void {
    const { document, isRemembered, end } = this.#options;
    if (isRemembered) whenKnown(document, this.#origin, task, end);
    else document.whenReady(task);
  }

  /** Follows the document from here; what is shown of it first has to be durable from now on. */
  open(): void {
    const { document, isRemembered, now } = this.#options;
    if (isRemembered) {
      this.#view = document.devices.connect(this.#origin, now(), document.revision, this);
      document.saveDevices('urgent');
    }
    document.join(this);
  }

  /** In bytes; see `JsonLimit`. */
  get maxMessage(): number {
    return this.#limit.bytes;
  }

  /** These records will be in a full sync of this size. */
  showsAll(records: RecordsView, size: number): void {
    this.#limit.sendsAll(records, size);
    this.#options.document.saveDevices('urgent');
  }

  /** Calls `make` when a full sync may go; nothing else leaves before `sentAll`. */
  beforeAll(make: () => void): void {
    this.#pace.fullSync(make);
  }

  /** A full sync with the state at this revision was sent; the same had been sent once more so often before. */
  sentAll(revision: number, repeats: number): void {
    this.#isFollowing = true;
    this.#sentUpTo = Math.max(this.#sentUpTo, revision);
    this.#view?.sentFullSync(revision, this.#options.now(), repeats);
    this.#pace.fullSyncLeaves(() => this.#receipts.sent('everything', revision));
  }

  hearClock(sentAt: number | null): void {
    this.#view?.hearClock(sentAt, this.#options.now());
  }

  pong(payload: string): void {
    const { document, name, now } = this.#options;
    if (!payload.startsWith(name)) return;
    // Not before the messages that came before it.
    document.whenReady(() => {
      this.#view?.heard(now());
      const received = this.#receipts.confirm(payload.slice(name.length));
      if (received === null) return;
      this.#view?.acknowledged(received.number, received.revision, now());
      this.#pace.arrived(received.number);
    });
  }

  deliver({ origin, revision, records }: DurableChange): void {
    if (!this.#isFollowing) return;
    this.#sentUpTo = revision;
    if (origin.subscriber === this) return;
    const since = revision - records.length + 1;
    const shown = records.filter(({ collection }) => this.#options.shows(collection));
    for (const [index, change] of shown.entries()) {
      // The first one may leave at once: its pong tells nothing of those behind it.
      this.#undelivered = index + 1 < shown.length ? since : Number.POSITIVE_INFINITY;
      this.#sendChange(change, origin.device, { revision, since, answers: null });
    }
  }

  /** The document can't go on: writes that are not durable may be lost. */
  fail(error: SyncError): void {
    for (const ack of this.#unsaved) this.#options.send(jsonMessages.error(new SyncError('NOT_SAVED'), ack));
    this.#options.failed(error);
  }

  /** The connection is gone. */
  leave(): void {
    const { document, now } = this.#options;
    this.#hasLeft = true;
    this.#pace.stop();
    document.leave(this);
    document.whenReady(() => {
      if (this.#view !== null) document.disconnect(this.#view, now());
    });
  }

  /** Compares the write with what the device may have been looking at, which may have to be read first (L4–L9). */
  change(message: ChangeMessage): void {
    const { document, readOnly, send, guard, failed } = this.#options;
    if (readOnly) {
      send(jsonMessages.error(new SyncError('READ_ONLY'), message.ack));
      return;
    }
    const notSaved = (error: SyncError) => {
      send(jsonMessages.error(new SyncError('NOT_SAVED'), message.ack));
      failed(error);
    };
    const change = (awake: UserDocument) => guard(() => this.#change(message, awake), message.ack);
    whenAwake(document, change, notSaved);
  }

  #change(message: ChangeMessage, document: UserDocument): void {
    const { now, guard, send } = this.#options;
    const writer = new JsonWriter(document, this.#origin);
    writer.mustKnowNames(message);
    writer.takeUp(message);
    if (this.#view === null) throw new Error('A write came before the channel was opened.');
    const context = this.#view.contextOf(message, { now: now(), revision: document.revision });
    if (this.#isErased(message, context, document)) return;
    this.#repeatLost(message, context, document);
    document.withHistory(neededFrom(document, message, context), () => {
      // The history could not be read, or somebody's commit failed: its connections are about to end.
      const isUnavailable = document.failure?.code === 'STORE_UNAVAILABLE';
      if (isUnavailable) send(jsonMessages.error(new SyncError('NOT_SAVED'), message.ack));
      else
        guard(() => {
          this.#write(message, context, writer);
          this.acknowledge(message.ack);
        }, message.ack);
    });
  }

  /** What the app may have lost when it made this write is sent once more. */
  #repeatLost(message: ChangeMessage, context: WriteContext, document: UserDocument): void {
    const { pace, now } = this.#options;
    if (pace === undefined || pace.gap === 0) return;
    for (const { what, repeats } of this.#view?.overwrote(message, context, now()) ?? []) {
      if (what === 'everything') this.#options.syncAgain(repeats);
      else this.#whenShown(what, document, (again) => this.#pace.repeat(again, repeats));
    }
  }

  /**
   * An answer over HTTP has gone out: what it lacks of what the device had is sent behind it (L3). What has come in by
   * now is of what the device had.
   */
  answeredOverHttp(revision: number): void {
    const { document, behind } = this.#options;
    behind(() => document.whenReady(() => this.#replacedBy(revision)));
  }

  #replacedBy(revision: number): void {
    const { document, now } = this.#options;
    const lost = this.#view?.replacedBy(revision, now()) ?? [];
    if (lost.length === 0 || this.#hasLeft) return;
    document.saveDevices('urgent');
    const sendAll = (awake: UserDocument): void => {
      for (const each of lost) this.#sendBehind(each, awake);
    };
    whenAwake(document, sendAll, () => {}); // where it has failed, the connection ends
  }

  #sendBehind({ what, repeats }: MaybeLost, document: UserDocument): void {
    const { syncAgain } = this.#options;
    if (what === 'everything') syncAgain(repeats);
    else
      this.#whenShown(what, document, (message) => {
        if (!this.#pace.behindAnswer(message, repeats)) syncAgain(repeats);
      });
  }

  /** Calls `send` with the record as it is now, once that may be shown. */
  #whenShown(key: RecordKey, document: UserDocument, send: (message: RecordMessage) => void): void {
    const { collection, id } = key;
    const { revision } = document;
    const shown = { revision, since: revision, answers: null };
    const change = { collection, id, record: document.record(key) };
    document.afterConfirmed(() => send(recordMessage(change, SERVER_DEVICE, shown, this.#options.now())));
  }

  /** Once everything so far is durable. Where a write changes nothing, that it is confirmed counts as that. */
  acknowledge(ack: string | undefined): void {
    if (ack === undefined) return;
    const { document, send } = this.#options;
    document.afterDurable(() => send(jsonMessages.ack(ack)));
  }

  /** Whether the write is from before an erasure: then the device is told, and has to clear first (P7). */
  #isErased({ ack }: ChangeMessage, context: WriteContext, document: UserDocument): boolean {
    const { send, end } = this.#options;
    const refusal = document.erased?.refusalOf(context) ?? null;
    if (refusal === null) return false;
    send(jsonMessages.error(refusal, ack));
    end(refusal);
    return true;
  }

  /**
   * The sender gets the record too when its own store would be left with something else: when the merge differs
   * from what it sent, or when something without its write was on its way to it (L3).
   */
  #write(message: ChangeMessage, context: WriteContext, writer: JsonWriter): void {
    const { now } = this.#options;
    const { document } = writer;
    const { collection, id } = message;
    const isCrossed = this.#receipts.isOpen(message);
    const fresh = this.#view?.fresh(message, context, now()) ?? null;
    const endWatch = this.#receipts.watch(message);
    writer.mustFit([{ message }]);
    const written = writer.write(message, context);
    const { outcome } = written;
    const { record, corrected } = outcome;
    const { revision } = document;
    const mayLack = this.#view?.wrote(written, isCrossed, document.history, now()) ?? false;
    document.saveDevices('urgent'); // in one batch with the write
    this.#unsaved.push(message.ack);
    const told = (): void => {
      this.#unsaved.shift();
      if (outcome.revision !== null) this.#logBroadcast();
      const change = { collection, id, record };
      const shown = { revision, since: outcome.revision ?? revision, answers: { written: outcome.revision } };
      if (endWatch() || corrected) {
        this.#sendChange(change, SERVER_DEVICE, shown);
        return;
      }
      const unsent = this.#pace.drop(message);
      if (unsent !== null) this.#view?.neverSent(message, unsent, document.history);
      const asItIs = () => recordMessage(change, SERVER_DEVICE, shown, now());
      if (fresh !== null) {
        const isSent = this.#pace.repeat(asItIs(), fresh.repeats);
        // Else nothing would tell which of the two its app is left with, however long ago that was.
        if (!isSent && mayLack) this.#sendChange(change, SERVER_DEVICE, shown);
        return;
      }
      this.#pace.renew(message, asItIs);
      if (this.#receipts.isEmpty && this.#pace.bytes === 0) this.#view?.hasAll(revision, now());
    };
    // A commit fails where another server has the user; a write that changes nothing commits nothing.
    if (outcome.revision === null) document.afterConfirmed(told);
    else document.afterDurable(told);
  }

  #sendChange(change: RecordChange, fromDevice: DeviceId, shown: Shown): void {
    this.#send(recordMessage(change, fromDevice, shown, this.#options.now()));
  }

  #send(message: RecordMessage): void {
    const { pace, end } = this.#options;
    this.#pace.send(message);
    if (this.#pace.bytes > (pace?.mostBytes ?? Number.POSITIVE_INFINITY)) end(new SyncError('OVERLOADED'));
  }

  /** It leaves now; returns its number. */
  #sendRecord(message: RecordMessage, repeats: number): number {
    const { text, revision, answers } = message;
    const now = this.#options.now();
    this.#options.send(text);
    this.#limit.sends(text.length);
    this.#view?.sent(message, revision, now, repeats);
    if (answers !== null) this.#view?.sentBack(message, answers.written);
    return this.#receipts.sent(message, revision);
  }

  #logBroadcast(): void {
    const { document, log } = this.#options;
    const others = [...document.followers].filter((follower) => follower !== this);
    const devices = others.map(({ device }) => device);
    if (devices.length > 0) log('broadcast', { user: document.user, devices });
  }
}
