/**
 * The funnel: the only place where a user's document changes. Whatever comes in, by whichever protocol, becomes one
 * Yjs update, goes into one commit with its history, and is shown only once that commit is durable (N3).
 */
import * as Y from 'yjs';
import type { Collections, JsonRecord } from '../../shared/json.js';
import { SHARED_DOCUMENT, type UserId } from '../../shared/names.js';
import { notSaved, SyncError } from '../errors.js';
import type { Dependency } from '../protocol/missing.js';
import { type StoredDocument, takesWork } from '../store/store.js';
import { AwarenessStates } from './awareness.js';
import type { Written } from './changes.js';
import { durableChange, type Origin, type Subscriber } from './changes.js';
import { CommitQueue } from './commit-queue.js';
import { DocumentCompaction } from './compaction/document-compaction.js';
import { StoredSize } from './compaction/stored-size.js';
import { type DocumentOptions, NO_LIMITS, type Saw } from './document-options.js';
import { Gate } from './gate.js';
import { encodeEntry, type HistoryEntry } from './history/history-entry.js';
import { type HistoryHead, HistoryLog } from './history/history-log.js';
import { HistoryReader } from './history/history-reader.js';
import { HistoryWindow, type TimesMade, timesOf } from './history/history-window.js';
import type { ReceiveResult } from './intake/intake.js';
import { type IntakeDocument, UpdateIntake } from './intake/intake.js';
import { DocumentQuota } from './intake/quota.js';
import { DeviceStates } from './json-devices/devices.js';
import type { MadeAt } from './later-wins/made-at.js';
import type { RecordKey } from './records/record-key.js';
import { Replica } from './replica.js';
import { Subscribers } from './subscribers.js';
import type { Tombstone } from './tombstone.js';
import { UserTurns } from './turns/user-turns.js';

export class UserDocument {
  readonly user: UserId;
  readonly awareness: AwarenessStates;
  readonly devices: DeviceStates;
  /** The last part of the history, in memory. */
  readonly history: HistoryWindow;
  /** All of it, as it is stored. */
  readonly historyLog: HistoryLog;
  readonly room: DocumentQuota;
  readonly compaction: DocumentCompaction;
  /** When something is done for the user. */
  readonly turns: UserTurns;
  readonly #options: DocumentOptions;
  readonly #subscribers = new Subscribers((action) => this.#safely(action));
  readonly subscribers: ReadonlySet<Subscriber> = this.#subscribers.all;
  #replica: Replica;
  readonly #commits: CommitQueue;
  readonly #gate: Gate;
  readonly #intake: UpdateIntake;
  readonly #reader: HistoryReader;
  #failure: SyncError | null = null;
  readonly #size: StoredSize;

  constructor(user: UserId, stored: StoredDocument, options: DocumentOptions) {
    this.user = user;
    this.awareness = new AwarenessStates(user !== SHARED_DOCUMENT);
    this.#options = options;
    this.turns = new UserTurns(user, options.turns);
    this.#commits = new CommitQueue((action) => this.#safely(action), this.turns);
    this.#gate = new Gate((task) => this.#safely(task), this.turns);
    this.#replica = new Replica(stored, options, (key, path) => this.history.lastChange(key, path));
    const limits = options.limits ?? NO_LIMITS;
    this.devices = new DeviceStates(user, stored.devices, stored.revision, limits.maxDevices);
    this.history = new HistoryWindow(stored, (key) => this.#replica.images.get(key), options.times?.past);
    this.historyLog = new HistoryLog(user, options);
    const damaged = () => options.onHistoryDamaged(user, this.history.floor);
    this.#reader = new HistoryReader(this.history, this.historyLog, options.now, damaged);
    this.#size = new StoredSize(stored.updates);
    this.room = new DocumentQuota(() => this.#replica.doc, this.#size, limits, options.now);
    this.#intake = this.#openIntake();
    this.compaction = new DocumentCompaction(this.#size, options, {
      isInOrder: () => this.#failure === null && !this.#gate.isClosed,
      snapshot: () => ({ ...this.#replica.snapshot(), revision: this.revision }),
      load: () => options.store.load(user),
      enter: (task) => this.enter(task),
      store: (snapshot, sizes) =>
        this.#await(options.store.compact(user, snapshot), () => options.onCompacted(user, sizes)),
    });
  }

  /** The user's change counter, commits under way included. */
  get revision(): number {
    return this.history.revision;
  }

  /** Whether something of it is not durable yet. */
  get isBusy(): boolean {
    return !this.#commits.isEmpty || this.#gate.isClosed;
  }

  /** Whether anything of its user is there. */
  get hasData(): boolean {
    return this.#replica.doc.store.clients.size > 0 || this.devices.keys.length > 0;
  }

  get isPaused(): boolean {
    return this.#gate.isClosed;
  }

  get failure(): SyncError | null {
    return this.#failure;
  }

  /** What is left of what was erased before. */
  get erased(): Tombstone | null {
    return this.#replica.erased;
  }

  /** Who had to wait, and comes when the document has failed, is told as those are who were there. */
  join = (subscriber: Subscriber): void =>
    this.#failure === null ? this.#subscribers.add(subscriber) : subscriber.fail(this.#failure);

  leave = (subscriber: Subscriber): void => this.#subscribers.delete(subscriber);

  /** Runs `task` when the document is in order: at once, or after a rebuild that is under way. */
  enter = (task: () => void): void => this.#gate.enter(task);

  /** Runs `task` when the history since `revision` is in memory: now, or after it was read, before what came later. */
  withHistory(revision: number, task: () => void): void {
    this.#gate.enter(() => {
      if (!this.history.covers(revision)) void this.#pause(() => this.#reader.backTo(revision));
      this.#gate.enter(task);
    });
  }

  /** Does `work` when everything so far is durable, before anything that comes in. The document fails with it. */
  alone = (work: () => Promise<void>): Promise<void> =>
    new Promise((ended) => this.#gate.enter(() => void this.#pause(work).then(ended)));

  /**
   * Applies an update of a native device. Nothing of it is applied when it throws `MALFORMED_UPDATE` or
   * `DOCUMENT_FULL`, or misses dependencies.
   *
   * @param saw the author's state vector before the update, where it is known
   * @param madeAt when its author made it
   */
  receive(origin: Origin, update: Uint8Array, saw: Saw, madeAt: MadeAt = null): ReceiveResult {
    this.#mustWork();
    return this.#intake.receive({ origin, update, saw, madeAt });
  }

  /** Whether an update would change the document; throws `MALFORMED_UPDATE`. */
  wouldChange = (update: Uint8Array): boolean => this.#replica.wouldChange(update);

  /** Whether the document has this clock of this client. */
  has = (dependency: Dependency): boolean => this.#replica.has(dependency);

  /**
   * Writes on behalf of a device that speaks JSON; returns the changes of records that came of it.
   * @param made when the changes were made, where it was not now
   */
  write(origin: Origin, change: (doc: Y.Doc) => void, made?: TimesMade): readonly HistoryEntry[] {
    this.#mustWork();
    try {
      return this.#commit(origin, this.#replica.write(change), made);
    } catch (error) {
      this.#rebuild(error);
      throw error;
    }
  }

  /** Makes durable what must not wait for the next change, or all that is not durable yet, of the devices. */
  saveDevices(which: 'urgent' | 'all'): void {
    // Where there is nothing to be seen, nothing has to be remembered of who saw it.
    if (this.#failure !== null || this.revision === 0) return;
    // While nothing can be saved, whoever only reads goes on; it is saved with the next change.
    if (!takesWork(this.#options.store.state)) return;
    if (which === 'urgent' && !this.devices.hasUrgent) return;
    // Of who is being erased, nothing may be saved.
    if (this.isPaused) this.enter(() => this.saveDevices(which));
    else this.#saveDevices(which);
  }

  #saveDevices(which: 'urgent' | 'all'): void {
    const devices = this.devices.take(this.#options.now(), which === 'all' ? 'all' : 'due');
    if (devices === undefined) return;
    this.#await(this.#options.store.commit(this.user, { update: null, revision: this.revision, devices }));
  }

  /** Calls `done` once everything that the document has now is durable; in the order of the calls. */
  afterDurable(done: () => void, failed?: (error: SyncError) => void): void {
    if (this.#failure !== null) failed?.(this.#failure);
    else if (this.#gate.isClosed) this.#gate.enter(() => this.afterDurable(done, failed));
    else this.#commits.after({ done, failed });
  }

  /** The same as a promise, for a request that has to wait. */
  durable = (): Promise<void> => new Promise((resolve, reject) => this.afterDurable(resolve, reject));

  stateVector = (): Uint8Array => Y.encodeStateVector(this.#replica.doc);

  /** What a client with this state vector lacks. */
  diff = (stateVector: Uint8Array): Uint8Array => Y.encodeStateAsUpdate(this.#replica.doc, stateVector);

  /** The Yjs document, to be read only. */
  get doc(): Y.Doc {
    return this.#replica.doc;
  }

  /** All records: the four standard collections always, every other one that ever had a record (D7). */
  collections = (): Collections => this.#replica.images.collections();

  record = (key: RecordKey): JsonRecord | null => this.#replica.images.get(key)?.json ?? null;

  /** The document as it is, to read the history back from; that has to be durable first. */
  historyHead(): HistoryHead {
    const { revision, floor } = this.history;
    return { revision, floor, images: new Map(this.#replica.images.complete()) };
  }

  countRecords = (): number => this.#replica.images.complete().size;

  compact = (): void => this.compaction.run();

  #openIntake(): UpdateIntake {
    const document: IntakeDocument = {
      replica: () => this.#replica,
      mustTake: (update) => this.room.mustTakeUpdate(update),
      load: () => this.#options.store.load(this.user),
      commit: (origin, written, madeAt) => void this.#commit(origin, written, timesOf(madeAt)),
      remembers: (time) => this.history.reaches(time),
      recall: this.#reader.backToTime,
      pause: (work) => void this.#pause(work),
      enter: (task) => this.enter(task),
      rebuild: (cause) => this.#rebuild(cause),
      rebuildNow: async (cause) => {
        this.#options.onRebuilt(this.user, cause);
        await this.#allDurable();
        await this.#reload();
      },
    };
    return new UpdateIntake(document, this.#options);
  }

  #mustWork(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#gate.isClosed) throw new SyncError('INTERNAL', 'The document is being rebuilt.');
  }

  #commit(origin: Origin, written: Written, made?: TimesMade): readonly HistoryEntry[] {
    const { update, memory } = written;
    if (this.#failure !== null) throw this.#failure;
    if (update === null) {
      if (memory !== undefined)
        this.#await(this.#options.store.commit(this.user, { update, revision: this.revision, memory }));
      return [];
    }
    const now = this.#options.now();
    const overruled = this.history.enterOverruled(written.lost, origin, now, made?.get('') ?? now);
    const entries = this.history.enter(written.records, origin, now, made);
    this.history.trim(now, () => this.devices.liveFrom(now));
    this.#size.add(update);
    const { revision } = this;
    const history = [...overruled, ...entries].map(encodeEntry);
    const parts = { history, devices: this.devices.take(now, 'due') };
    const commit = this.#options.store.commit(this.user, { update, revision, memory, ...parts });
    const change = durableChange(origin, revision, written, entries);
    // Who joins from here on has this change in what it asks for; it must not come before that (N2, L1).
    const subscribers = [...this.#subscribers.all];
    this.#await(commit, () => this.#subscribers.deliver(change, subscribers));
    this.compaction.runIfDue();
    return entries;
  }

  #await(commit: Promise<void>, done: () => void = () => {}): void {
    this.#commits.add({ done });
    commit.then(
      () => this.#commits.settle(),
      (error) => this.#fail(notSaved(error)),
    );
  }

  #safely(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.onUnexpected(error);
    }
  }

  /** Nothing after the last durable commit may be shown to anybody: everybody has to start anew. */
  #fail(error: SyncError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#options.onFailed(this.user, error);
    this.#commits.fail(error);
    this.#subscribers.fail(error);
    this.#gate.open();
  }

  /** Lets what comes in wait until everything so far is durable and `work` is done. */
  #pause(work: () => Promise<void>): Promise<void> {
    this.#gate.close();
    return this.#allDurable()
      .then(work)
      .then(() => this.#gate.open())
      .catch((error: unknown) => this.#fail(notSaved(error)));
  }

  #allDurable = (): Promise<void> => new Promise((done, failed) => this.#commits.after({ done, failed }));

  /**
   * Yjs may have been left halfway: the document in memory is thrown away and loaded again, when everything
   * that was accepted is durable. What arrives meanwhile waits; other connections notice nothing (S1).
   */
  #rebuild(cause: unknown): void {
    if (this.#gate.isClosed || this.#failure !== null) return;
    this.#options.onRebuilt(this.user, cause);
    void this.#pause(() => this.#reload());
  }

  async #reload(): Promise<void> {
    const stored = await this.#options.store.load(this.user);
    this.#replica = new Replica(stored, this.#options, (key, path) => this.history.lastChange(key, path));
    this.history.backTo(stored.revision);
  }
}
