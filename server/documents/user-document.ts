/**
 * The funnel: the only place where a user's document changes. Whatever comes in, by whichever protocol, becomes
 * one Yjs update, goes into one commit, and is shown to anybody only once that commit is durable (N3).
 */
import * as Y from 'yjs';
import { ERRORS, SyncError } from '../../shared/errors.js';
import type { CollectionName, UserId } from '../../shared/names.js';
import { STANDARD_COLLECTIONS } from '../../shared/names.js';
import { type Dependency, firstMissing, scanUpdate, type UpdateScan } from '../../shared/protocol/scan.js';
import {
  type Collections,
  collectionNames,
  type JsonRecord,
  readCollection,
  readRecord,
  recordMap,
} from '../../shared/records.js';
import type { StoredDocument } from '../store/store.js';
import { AwarenessRoom } from './awareness.js';
import type { DurableChange, Member, Origin } from './changes.js';
import { CommitQueue } from './commit-queue.js';
import type { DocumentOptions, ReceiveResult } from './document-options.js';
import { type RecordKey, Replica, UnionFailed, type Written } from './replica.js';

export class UserDocument {
  readonly user: UserId;
  readonly awareness = new AwarenessRoom();
  readonly #options: DocumentOptions;
  readonly #members = new Set<Member>();
  #replica: Replica;
  #revision: number;
  readonly #commits = new CommitQueue((action) => this.#safely(action));
  /** What waits for the document to be rebuilt; `null` when it is in order. */
  #inbox: (() => void)[] | null = null;
  #failure: SyncError | null = null;
  #updates: number;
  #bytes: number;

  constructor(user: UserId, stored: StoredDocument, options: DocumentOptions) {
    this.user = user;
    this.#options = options;
    this.#replica = new Replica(stored, options);
    this.#revision = stored.revision;
    this.#updates = stored.updates.length;
    this.#bytes = stored.updates.reduce((sum, { length }) => sum + length, 0);
  }

  /** The user's change counter, commits under way included. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether something of it is not durable yet. */
  get isBusy(): boolean {
    return !this.#commits.isEmpty || this.#inbox !== null;
  }

  get failure(): SyncError | null {
    return this.#failure;
  }

  get members(): ReadonlySet<Member> {
    return this.#members;
  }

  join(member: Member): void {
    this.#members.add(member);
  }

  leave(member: Member): void {
    this.#members.delete(member);
  }

  /** Runs `task` when the document is in order: at once, or after a rebuild that is under way. */
  enter(task: () => void): void {
    if (this.#inbox !== null) this.#inbox.push(task);
    else task();
  }

  /**
   * Applies an update of a native device. Nothing of it is applied when it throws `MALFORMED_UPDATE` or misses
   * dependencies.
   *
   * @param saw the author's state vector before the update, where it is known
   */
  receive(origin: Origin, update: Uint8Array, saw: ReadonlyMap<number, number> | null): ReceiveResult {
    this.#mustWork();
    const { maxDepth } = this.#options;
    const scan = scanUpdate(update, { maxDepth });
    if (scan.empty) return { missing: null };
    this.#refuseOwnIds(scan);
    const missing = firstMissing(scan, (client) => this.#state(client));
    if (missing !== null) return { missing };
    try {
      this.#commit(origin, this.#replica.receive(update, saw));
    } catch (error) {
      this.#rebuild(error);
      if (error instanceof UnionFailed) this.#inbox?.push(() => this.#receiveAlone(origin, update, saw));
      else if (error instanceof SyncError) throw error;
      else throw new SyncError('MALFORMED_UPDATE', undefined, { cause: error });
    }
    return { missing: null };
  }

  /** Whether the document has this clock of this client. */
  has({ client, clock }: Dependency): boolean {
    return this.#state(client) > clock;
  }

  /** Writes on behalf of a device that speaks JSON; returns the records that it changed. */
  write(origin: Origin, change: (doc: Y.Doc) => void): readonly RecordKey[] {
    this.#mustWork();
    try {
      const written = this.#replica.write(change);
      this.#commit(origin, written);
      return written.records;
    } catch (error) {
      this.#rebuild(error);
      throw error;
    }
  }

  /** Calls `done` once everything that the document has now is durable; in the order of the calls. */
  afterDurable(done: () => void, failed?: (error: SyncError) => void): void {
    if (this.#failure !== null) failed?.(this.#failure);
    else if (this.#inbox !== null) this.#inbox.push(() => this.afterDurable(done, failed));
    else this.#commits.after({ done, failed });
  }

  /** The same as a promise, for a request that has to wait. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => this.afterDurable(resolve, reject));
  }

  stateVector(): Uint8Array {
    return Y.encodeStateVector(this.#replica.doc);
  }

  /** What a client with this state vector lacks. */
  diff(stateVector: Uint8Array): Uint8Array {
    return Y.encodeStateAsUpdate(this.#replica.doc, stateVector);
  }

  /** All records: the four standard collections always, every other one that ever had a record (D7). */
  collections(): Collections {
    const { doc } = this.#replica;
    const names = new Set<CollectionName>([...STANDARD_COLLECTIONS, ...collectionNames(doc)]);
    return Object.fromEntries([...names].map((name) => [name, readCollection(doc, name)]));
  }

  record({ collection, id }: RecordKey): JsonRecord | null {
    const map = recordMap(this.#replica.doc, collection, id);
    return map === null ? null : readRecord(map, id);
  }

  /** Number of records, for the statistics. */
  countRecords(): number {
    const { doc } = this.#replica;
    return collectionNames(doc).reduce((sum, name) => sum + doc.getMap(name).size, 0);
  }

  /** Writes the whole document as one update when enough has come together since the last time. */
  compact(minimumUpdates: number): void {
    if (this.#updates < Math.max(2, minimumUpdates) || this.#failure !== null || this.#inbox !== null) return;
    const before = { updates: this.#updates, bytesBefore: this.#bytes };
    const update = Y.encodeStateAsUpdate(this.#replica.doc);
    this.#updates = 1;
    this.#bytes = update.length;
    const snapshot = {
      update,
      stateVector: this.stateVector(),
      revision: this.#revision,
      memory: this.#replica.memory(),
    };
    const report = () => this.#options.onCompacted(this, { ...before, bytesAfter: update.length });
    this.#await(this.#options.store.compact(this.user, snapshot), report);
  }

  #state(client: number): number {
    return Y.getState(this.#replica.doc.store, client);
  }

  /** What this server writes under its own ids nobody else can know before the server has it. */
  #refuseOwnIds({ ranges }: UpdateScan): void {
    const { writes, unions } = this.#options.ids();
    const forged = ranges.some(
      ({ client, to }) => (client === writes || client === unions) && to > this.#state(client),
    );
    if (forged) throw new SyncError('MALFORMED_UPDATE', 'The update writes under a client id of the server.');
  }

  /** A union that fails is not the author's fault: its update is taken as plain Yjs takes it. */
  #receiveAlone(origin: Origin, update: Uint8Array, saw: ReadonlyMap<number, number> | null): void {
    try {
      this.#commit(origin, this.#replica.receive(update, saw, 'no union'));
    } catch (error) {
      this.#rebuild(error);
    }
  }

  #mustWork(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#inbox !== null) throw new SyncError('INTERNAL', 'The document is being rebuilt.');
  }

  #commit(origin: Origin, { incoming, made, records, memory }: Written): void {
    const update = incoming !== null && made !== null ? Y.mergeUpdates([incoming, made]) : (incoming ?? made);
    if (update === null) return;
    this.#revision += records.length;
    this.#updates += 1;
    this.#bytes += update.length;
    const change: DurableChange = {
      origin,
      revision: this.#revision,
      update,
      made,
      records: this.#wantsRecords(origin)
        ? records.map((key) => ({ ...key, record: this.record(key) }))
        : null,
    };
    const commit = this.#options.store.commit(this.user, { update, revision: this.#revision, memory });
    // Who joins from here on has this change in what it asks for; it must not come before that (N2, L1).
    const members = [...this.#members];
    this.#await(commit, () => this.#deliver(change, members));
    if (this.#updates >= this.#options.compactUpdates || this.#isLarge(update)) this.compact(2);
  }

  /** Many bytes in many updates; one large update alone gains nothing from compaction. */
  #isLarge = ({ length }: Uint8Array): boolean =>
    this.#updates > 8 && this.#bytes - length > this.#options.compactBytes;

  #wantsRecords({ member: author }: Origin): boolean {
    for (const member of this.#members) if (member.wantsRecords && member !== author) return true;
    return false;
  }

  #await(commit: Promise<void>, done: () => void): void {
    this.#commits.add({ done });
    commit.then(
      () => this.#commits.settle(),
      (error) => this.#fail(toSyncError(error)),
    );
  }

  #deliver(change: DurableChange, to: readonly Member[]): void {
    for (const member of to) if (this.#members.has(member)) this.#safely(() => member.deliver(change));
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
    this.#options.onFailed(this, error);
    this.#commits.fail(error);
    for (const member of [...this.#members]) this.#safely(() => member.fail(error));
    this.#open();
  }

  /**
   * Yjs may have been left halfway: the document in memory is thrown away and loaded again, when everything
   * that was accepted is durable. What arrives meanwhile waits; other connections notice nothing (S1).
   */
  #rebuild(cause: unknown): void {
    if (this.#inbox !== null || this.#failure !== null) return;
    this.#inbox = [];
    this.#options.onRebuilt(this, cause);
    new Promise<void>((done, failed) => this.#commits.after({ done, failed }))
      .then(() => this.#options.store.load(this.user))
      .then((stored) => {
        this.#replica = new Replica(stored, this.#options);
        this.#open();
      })
      .catch((error: unknown) => this.#fail(toSyncError(error)));
  }

  #open(): void {
    const tasks = this.#inbox ?? [];
    this.#inbox = null;
    for (const task of tasks) this.enter(() => this.#safely(task));
  }
}

function toSyncError(error: unknown): SyncError {
  return error instanceof SyncError
    ? error
    : new SyncError('NOT_SAVED', ERRORS.NOT_SAVED.message, { cause: error });
}
