/**
 * The funnel: the only place where a user's document changes. Whatever comes in, by whichever protocol, becomes one
 * Yjs update, goes into one commit with its history, and is shown only once that commit is durable (N3).
 */
import * as Y from 'yjs';
import type { Collections, JsonRecord } from '../../shared/json.js';
import type { UserId } from '../../shared/names.js';
import type { SyncError } from '../errors.js';
import type { Dependency } from '../protocol/missing.js';
import type { StoredDocument } from '../store/store.js';
import type { Origin, Subscriber } from './changes.js';
import { Committer } from './committer.js';
import { DocumentCompaction } from './compaction/document-compaction.js';
import { StoredSize } from './compaction/stored-size.js';
import { type DocumentOptions, NO_LIMITS, type Saw } from './document-options.js';
import { DocumentRewriting } from './epochs/document-rewriting.js';
import type { Epoch } from './epochs/epoch.js';
import { Gate } from './gate.js';
import { DocumentPruning } from './history/document-pruning.js';
import type { HistoryEntry } from './history/history-entry.js';
import { type HistoryHead, HistoryLog } from './history/history-log.js';
import { HistoryReader } from './history/history-reader.js';
import { HistoryWindow, type TimesMade } from './history/history-window.js';
import { type ReceiveResult, UpdateIntake } from './intake/intake.js';
import type { PlainWrite } from './intake/plain-write.js';
import { DocumentQuota } from './intake/quota.js';
import { DeviceStates } from './json-devices/devices.js';
import type { MadeAt } from './later-wins/made-at.js';
import { type Encoded, encodeInSteps, lacksMuch } from './loading/encode-in-steps.js';
import type { Slices } from './loading/slices.js';
import type { RecordKey } from './records/record-key.js';
import { RecordTexts } from './records/record-texts.js';
import type { Replica } from './replica.js';
import { ReplicaHolder } from './replica-holder.js';
import { safelyWith } from './safely.js';
import { DocumentRest } from './sleep/document-rest.js';
import { Subscribers } from './subscribers.js';
import type { Tombstone } from './tombstone.js';
import { UserTurns } from './turns/user-turns.js';

/** Up to this size, in bytes as they are stored, the JSON of all records is made at once. */
const FEW_RECORDS = 256 * 1_024;

export class UserDocument {
  readonly user: UserId;
  readonly devices: DeviceStates;
  /** The last part of the history, in memory. */
  readonly history: HistoryWindow;
  /** All of it, as it is stored. */
  readonly historyLog: HistoryLog;
  readonly pruning: DocumentPruning;
  readonly quota: DocumentQuota;
  readonly compaction: DocumentCompaction;
  readonly rest: DocumentRest;
  readonly rewriting: DocumentRewriting;
  /** When something is done for the user. */
  readonly turns: UserTurns;
  readonly subscribers: ReadonlySet<Subscriber>;
  readonly #subscribers: Subscribers;
  readonly #committer: Committer;
  readonly #gate: Gate;
  readonly #replicas: ReplicaHolder;
  readonly #intake: UpdateIntake;
  readonly #slices: Slices | undefined;
  readonly #size: StoredSize;

  constructor(user: UserId, stored: StoredDocument, options: DocumentOptions) {
    const { limits = NO_LIMITS, now, times } = options;
    const safely = safelyWith(options.onUnexpected);
    const size = new StoredSize(stored.updates, stored.rest?.isWhole);
    const damaged = () => options.onHistoryDamaged(user, this.history.floor);
    this.user = user;
    this.#slices = options.slices;
    this.#size = size;
    this.turns = new UserTurns(user, options.turns);
    this.devices = options.devices ?? new DeviceStates(user, limits.maxDevices);
    this.devices.learn(stored.devices, stored.revision);
    this.history = new HistoryWindow(stored, (key) => this.#replica.images.get(key), times?.past);
    this.historyLog = new HistoryLog(user, options);
    this.#subscribers = new Subscribers(safely);
    this.subscribers = this.#subscribers.all;
    const { turns, history, devices } = this;
    const told = { user, safely, turns, history, devices, size, subscribers: this.#subscribers };
    this.#committer = new Committer(told, options);
    const committer = this.#committer;
    const reader = new HistoryReader(history, this.historyLog, now, damaged);
    this.#gate = new Gate({ committer, reader, safely, turns });
    const gate = this.#gate;
    this.#replicas = new ReplicaHolder(stored, { user, committer, gate, history }, options);
    const replicas = this.#replicas;
    this.quota = new DocumentQuota(() => this.doc, size, limits, now);
    this.#intake = new UpdateIntake({ gate, committer, replicas, quota: this.quota, reader }, options);
    this.compaction = new DocumentCompaction({ user, committer, gate, replicas, history, size }, options);
    const { compaction } = this;
    const parts = { user, committer, compaction, gate, history, replicas, size };
    this.rest = new DocumentRest(stored.rest, parts, options.store);
    const { historyLog } = this;
    const head = () => this.#durableHead();
    this.pruning = new DocumentPruning({ user, gate, history, historyLog, devices, head }, options);
    this.rewriting = new DocumentRewriting({ ...parts, rest: this.rest }, options);
  }

  get #replica(): Replica {
    return this.#replicas.current;
  }

  /** Until then, it has no content; a large one is loaded step by step. */
  get loaded(): Promise<void> {
    return this.#replicas.loaded;
  }

  /** The user's change counter, commits under way included. */
  get revision(): number {
    return this.history.revision;
  }

  /** Whether something of it is not durable yet. */
  get isBusy(): boolean {
    return !this.#committer.isIdle || this.#gate.isClosed;
  }

  /** Whether anything of its user is there. */
  get hasData(): boolean {
    return this.#replica.doc.store.clients.size > 0 || this.devices.keys.length > 0;
  }

  /** Whatever is under way, it is not to be used any more. */
  fail = (error: SyncError): void => this.#committer.fail(error);

  get isPaused(): boolean {
    return this.#gate.isClosed;
  }

  get failure(): SyncError | null {
    return this.#committer.failure;
  }

  /** What is left of what was erased before. */
  get erased(): Tombstone | null {
    return this.#replica.erased;
  }

  /** What is left of the documents that this one took the place of. */
  get epoch(): Epoch | null {
    return this.#replica.epoch;
  }

  /** Refuses a device that has something of what was erased, or of a document before this one. */
  checkStateVector = (stateVector: ReadonlyMap<number, number>): void =>
    this.#replica.checkStateVector(stateVector);

  /** A connection that had to wait, and joins when the document has failed, is told so as the others were. */
  join = (subscriber: Subscriber): void =>
    this.failure === null ? this.#subscribers.add(subscriber) : subscriber.fail(this.failure);

  leave = (subscriber: Subscriber): void => this.#subscribers.delete(subscriber);

  /** Runs `task` when the document is in order: at once, or after a rebuild that is under way. */
  whenReady = (task: () => void): void => this.#gate.whenReady(task);

  /** Runs `task` when the history since `revision` is in memory: now, or after it was read, before what came later. */
  withHistory = (revision: number, task: () => void): void => this.#gate.withHistory(revision, task);

  /** Does `work` when everything so far is durable, before anything that comes in. The document fails with it. */
  exclusive = (work: () => Promise<void>): Promise<void> => this.#gate.exclusive(work);

  /**
   * Applies an update of a native device. Nothing of it is applied when it throws `MALFORMED_UPDATE` or
   * `DOCUMENT_FULL`, or misses dependencies.
   *
   * @param saw the author's state vector before the update, where it is known
   * @param madeAt when its author made it
   */
  receive(origin: Origin, update: Uint8Array, saw: Saw, madeAt: MadeAt = null): ReceiveResult {
    const result = this.#intake.receive({ origin, update, saw, madeAt });
    this.#gate.whenReady(() => this.compaction.runIfDue()); // also behind one that is tried first
    return result;
  }

  /** Whether an update would change the document; throws `MALFORMED_UPDATE`. */
  wouldChange = (update: Uint8Array): boolean => this.#replica.wouldChange(update);

  /** Whether the document has this clock of this client. */
  has = (dependency: Dependency): boolean => this.#replica.has(dependency);

  /**
   * Writes on behalf of a device that speaks JSON; returns the changes of records that came of it.
   *
   * @param made when the changes were made, where it was not now
   * @param plain what `change` does, where that is a plain write
   */
  write(
    origin: Origin,
    change: (doc: Y.Doc) => void,
    made?: TimesMade,
    plain?: PlainWrite | null,
  ): readonly HistoryEntry[] {
    this.#gate.mustBeInOrder();
    try {
      const entries = this.#committer.commit(origin, this.#replica.write(change, plain), made);
      this.compaction.runIfDue();
      return entries;
    } catch (error) {
      this.#replicas.rebuild(error);
      throw error;
    }
  }

  /**
   * The same in steps; whatever else enters the document waits until it is handed to the store.
   *
   * @param then what becomes of the changes, before anything else does
   */
  async writeInSteps(
    origin: Origin,
    change: (doc: Y.Doc) => Generator<void>,
    made: TimesMade,
    then: (entries: readonly HistoryEntry[]) => void,
  ): Promise<void> {
    this.#gate.mustBeInOrder();
    await this.#gate.alone(async () => {
      try {
        const written = await this.turns.inSteps(this.#replica.writeInSteps(change));
        then(this.#committer.commit(origin, written, made));
        this.#committer.saveDevices('urgent'); // in one batch with the changes
      } catch (error) {
        await this.#replicas.rebuildNow(error);
        throw error;
      }
    });
    this.#gate.whenReady(() => this.compaction.runIfDue()); // which leaves alone what is not in order yet
  }

  /** Makes durable what must not wait for the next change, or all that is not durable yet, of the devices. */
  saveDevices(which: 'urgent' | 'all'): void {
    // Of a user who is being erased, nothing may be saved.
    this.#gate.whenReady(() => this.#committer.saveDevices(which));
  }

  /** What was handed to the store while the document slept counts as a commit of it. */
  follow = (saving: Promise<void>): void => this.#committer.follow(saving);

  /** Calls `done` once everything that the document has now is durable; in the order of the calls. */
  afterDurable(done: () => void, failed?: (error: SyncError) => void): void {
    if (this.failure !== null) failed?.(this.failure);
    else this.#gate.whenReady(() => this.#committer.afterDurable(done, failed));
  }

  /** The same, where what the document has is shown: where several servers share the store, they are asked first (N2). */
  afterConfirmed(done: () => void, failed?: (error: SyncError) => void): void {
    if (this.failure !== null) failed?.(this.failure);
    else this.#gate.whenReady(() => this.#committer.afterConfirmed(done, failed));
  }

  /** The same as a promise, for a request that has to wait. */
  durable = (): Promise<void> => new Promise((resolve, reject) => this.afterConfirmed(resolve, reject));

  stateVector = (): Uint8Array => Y.encodeStateVector(this.#replica.doc);

  /** What a client with this state vector lacks. */
  diff = (stateVector: Uint8Array): Uint8Array => Y.encodeStateAsUpdate(this.#replica.doc, stateVector);

  /**
   * The same; where that is much, others have their turns meanwhile, and it is durable when it is there.
   *
   * @param isWanted whether somebody still waits for it
   */
  diffInSteps(stateVector: Uint8Array, isWanted?: () => boolean): Uint8Array | Promise<Uint8Array> {
    const has = Y.decodeStateVector(stateVector);
    if (this.#slices === undefined || !lacksMuch(this.doc, has)) return this.diff(stateVector);
    const { doc } = this;
    const encoded = this.#slices.run(this.user, this.#encodedWhole(doc, has), 'awaited', isWanted);
    return this.#diffOnce(encoded, doc, () => this.diffInSteps(stateVector, isWanted));
  }

  /** `null` where it came to begin while something was half written: its first step says what will be in it. */
  *#encodedWhole(doc: Y.Doc, has: ReadonlyMap<number, number>): Generator<void, Encoded | null> {
    return this.#gate.isInOrder ? yield* encodeInSteps(doc, has) : null;
  }

  /** @param anew where it was left halfway, it was thrown away */
  async #diffOnce(
    encoded: Promise<Encoded | null>,
    doc: Y.Doc,
    anew: () => Uint8Array | Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const whole = await encoded;
    await new Promise<void>((ready) => this.whenReady(ready));
    if (this.failure !== null) throw this.failure; // it is never in order again: anew would be for ever
    const diff = doc === this.doc && whole !== null ? whole.update : await anew();
    await this.durable();
    return diff;
  }

  /** The Yjs document, to be read only. */
  get doc(): Y.Doc {
    return this.#replica.doc;
  }

  /**
   * The JSON of all records, made before all of them are asked for, so that others have their turns meanwhile; `null`
   * where it takes no time.
   *
   * @param isWanted whether somebody still waits for it
   */
  writeRecords(isWanted?: () => boolean): Promise<RecordTexts> | null {
    if (this.#slices === undefined || this.#size.bytes <= FEW_RECORDS) return null;
    const texts = new RecordTexts();
    const written = this.#slices.run(this.user, texts.write(this.collections()), 'awaited', isWanted);
    return written.then(() => texts);
  }

  /** All records: the four standard collections always, every other one that ever had a record (D7). */
  collections = (): Collections => this.#replica.images.collections();

  record = (key: RecordKey): JsonRecord | null => this.#replica.images.get(key)?.json ?? null;

  /** The document as it is, to read the history back from; that has to be durable first. */
  historyHead(): HistoryHead {
    const { revision, floor } = this.history;
    return { revision, floor, images: new Map(this.#replica.images.complete()) };
  }

  /** The same, once that is so. */
  async #durableHead(): Promise<HistoryHead> {
    await new Promise<void>((ready) => this.whenReady(ready));
    const head = this.historyHead();
    await this.durable();
    return head;
  }

  countRecords = (): number => this.#replica.images.complete().size;

  compact = (): void => this.compaction.run();
}
