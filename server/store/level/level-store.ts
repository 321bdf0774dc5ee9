import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import { DISK_PATIENCE, DiskWatch, HANGS } from '../disk-watch.js';
import type { KeyRing } from '../encryption/key-ring.js';
import { GroupWriter } from '../group-writer.js';
import type { Commit, Deletion, HistoryRow, Snapshot, Store, StoredDocument, StoreState } from '../store.js';
import { takesWork } from '../store.js';
import { DatabaseAccess, LastOf } from './access.js';
import type { Vaults } from './cipher.js';
import { cantRead, type Database, type Operation, writeDurably } from './database.js';
import { listUsers, readDocument } from './document.js';
import { openDatabase } from './folder.js';
import { readDeletions, readHistory } from './history.js';
import { Maintenance } from './maintenance.js';
import { putNote, readNote } from './notes.js';
import { prepareDatabase } from './opening.js';
import { type LevelStoreOptions, tryUntil } from './options.js';
import {
  type Held,
  operationsOf,
  type Plan,
  planCommit,
  planCompaction,
  planPruning,
  probe,
  sizeOf,
  type WriteJob,
  withKey,
} from './plan.js';
import { Reads } from './reads.js';

export type { LevelStoreOptions } from './options.js';

/** From the start of a batch to the next, in ms, while there is something to write. */
const BATCH_INTERVAL = 8;
/** Documents in a LevelDB of y-leveldb's layout, with checksums or encrypted. Bytes that are handed over are copied at once. */
export class LevelStore implements Store {
  state: StoreState = 'ready';
  generation = 1;
  /** Of the users that are loaded. */
  private readonly held = new Map<UserId, Held>();
  /** The last change that was handed over, while it is not durable: a load comes after it. */
  private readonly pending = new LastOf<UserId>();
  private readonly listeners = new Set<(state: StoreState, cause?: unknown) => void>();
  private readonly writer: GroupWriter<WriteJob>;
  private readonly access = new DatabaseAccess();
  private readonly watch: DiskWatch;
  private readonly reads: Reads;
  private readonly maintenance: Maintenance;
  private readonly vaults: Vaults;
  private readonly stop = new AbortController();
  private reopening: Promise<void> | null = null;
  private closing: Promise<void> | null = null;
  private readonly options: LevelStoreOptions;
  private db: Database;

  private constructor(options: LevelStoreOptions, db: Database, vaults: Vaults) {
    this.options = options;
    this.db = db;
    this.vaults = vaults;
    const onChange = (isSlow: boolean) => this.changeSpeed(isSlow);
    this.watch = new DiskWatch({ ...(options.patience ?? DISK_PATIENCE), onChange });
    this.reads = new Reads(this.watch);
    this.maintenance = new Maintenance({
      folder: options.folder,
      access: this.access,
      db: () => this.db,
      write: (operations) => this.writeAlone(operations),
      reopen: () => this.openAnew(),
      vaults,
    });
    this.writer = new GroupWriter(
      (jobs) => this.write(operationsOf(jobs)),
      (jobs, cause) => this.fail(jobs, cause),
      BATCH_INTERVAL,
    );
  }

  /** Rejects with a sentence that names cause and cure; never puts an empty database over one that is damaged. */
  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const { db, vaults } = await prepareDatabase(options);
    return new LevelStore(options, db, vaults);
  }

  load(user: UserId): Promise<StoredDocument> {
    if (!takesWork(this.state)) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    return this.reads.load(user, () => this.read(user));
  }

  commit(user: UserId, commit: Commit): Promise<void> {
    return this.change(user, (held) => planCommit(user, held, commit));
  }

  compact(user: UserId, snapshot: Snapshot): Promise<void> {
    return this.change(user, (held) => planCompaction(user, held, snapshot));
  }

  history(user: UserId, range: { below: number; limit: number }): Promise<readonly HistoryRow[]> {
    return this.reads.inTime(this.readSettled(user, () => readHistory(this.db, user, this.vaults, range)));
  }

  prune(user: UserId, upTo: number, deletions: readonly Deletion[]): Promise<void> {
    return this.change(user, (held) => planPruning(user, held, upTo, deletions));
  }

  deletions(user: UserId): Promise<readonly Deletion[]> {
    return this.reads.inTime(this.readSettled(user, () => readDeletions(this.db, user, this.vaults)));
  }

  erase(user: UserId, tombstone: Uint8Array): Promise<void> {
    if (!takesWork(this.state)) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    const before = Promise.allSettled([this.pending.settled(user), this.reads.of(user)]);
    this.held.delete(user);
    this.reads.forget(user);
    const erased = before.then(() => {
      this.held.delete(user); // of a load that was under way
      return this.maintenance.erase(user, tombstone);
    });
    this.pending.add(user, erased);
    return erased;
  }

  /**
   * From here on these are the master keys: what was made with others is made anew, while everything goes on.
   * Resolves when only the current one is in use.
   *
   * @throws SyncError with a sentence, where one that is in use is missing
   */
  changeKeys(ring: KeyRing): Promise<void> {
    return this.maintenance.changeKeys(ring);
  }

  note(name: string): Promise<Uint8Array | null> {
    return this.access.shared(() => readNote(this.db, name));
  }

  setNote(name: string, value: Uint8Array): Promise<void> {
    return this.writeAlone([putNote(name, value)]);
  }

  forget(user: UserId): void {
    // A load that began with the row known must not answer one that has to bring the row back.
    if (this.held.delete(user)) this.reads.forget(user);
  }

  onState(listener: (state: StoreState, cause?: unknown) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  /** Every user that has a document, damaged ones included. */
  async users(): Promise<UserId[]> {
    if (!takesWork(this.state)) throw new SyncError('STORE_UNAVAILABLE');
    return (await this.access.shared(() => listUsers(this.db))) as UserId[];
  }

  private async read(user: UserId): Promise<StoredDocument> {
    const known = this.held.has(user);
    const { generation } = this;
    const document = await this.readSettled(user, () => readDocument(this.db, user, this.vaults));
    const { adoption: operations, row, vault } = document;
    // y-leveldb wrote to a database of ours: what it added gets checksums before it is built upon.
    if (operations.length > 0) await this.add(user, vault, { operations, row }).catch(cantRead);
    this.checkStill(generation);
    // Changes need the row, so where it was not known none can have been made since.
    if (!known) this.held.set(user, { row, vault });
    return document.stored;
  }

  /** Reads when everything of this user that was handed over is written. */
  private async readSettled<T>(user: UserId, read: () => Promise<T>): Promise<T> {
    await this.settled(user);
    return this.reads.run(() => this.access.shared(read));
  }

  /** Resolves when everything of this user that was handed over is written. */
  private async settled(user: UserId): Promise<void> {
    const { generation } = this;
    this.checkStill(generation);
    await this.pending.settled(user);
    this.checkStill(generation);
  }

  private checkStill(generation: number): void {
    if (takesWork(this.state) && this.generation === generation) return;
    throw new SyncError('STORE_UNAVAILABLE');
  }

  private change(user: UserId, plan: (held: Held) => Plan): Promise<void> {
    if (this.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    try {
      const held = this.heldToChange(user);
      const { vault } = held;
      const planned = withKey(user, held, plan(held));
      if (planned.row !== null) this.held.set(user, { row: planned.row, vault });
      this.reads.forget(user);
      return this.add(user, vault, planned);
    } catch (cause) {
      this.forget(user);
      return Promise.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    }
  }

  private heldToChange(user: UserId): Held {
    const held = takesWork(this.state) ? this.held.get(user) : undefined;
    if (held === undefined) throw new Error('the document has to be loaded first');
    return held;
  }

  private add(user: UserId, vault: Held['vault'], plan: Plan): Promise<void> {
    const done = this.enqueue(user, vault, plan);
    this.pending.add(user, done);
    return done;
  }

  private enqueue(user: UserId, vault: Held['vault'], plan: Plan): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      this.writer.add({ ...plan, user, vault, size: sizeOf(plan), resolve, reject });
    });
    // It may be there after all when the disk has answered: as after a failed sync, a load tells.
    this.watch.follow(done, () => this.writer.giveUp(new Error(HANGS)));
    return done;
  }

  /** What belongs to no user that is loaded, in the order of the other changes. */
  private writeAlone(operations: Operation[]): Promise<void> {
    if (!takesWork(this.state)) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    return this.enqueue('' as UserId, this.vaults.none, { operations, row: null });
  }

  private write(operations: Operation[]): Promise<void> {
    return this.access.shared(() => this.writeNow(operations));
  }

  private writeNow(operations: Operation[]): Promise<void> {
    return this.options.write?.(this.db, operations) ?? writeDurably(this.db, operations);
  }

  private fail(jobs: readonly WriteJob[], cause: unknown): void {
    for (const job of jobs) this.held.delete(job.user);
    this.reads.forgetAll();
    const reopens = takesWork(this.state);
    if (reopens) this.setState('reopening', cause);
    for (const job of jobs) job.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    if (reopens) this.reopening = this.reopen();
  }

  private changeSpeed(isSlow: boolean): void {
    if (takesWork(this.state)) this.setState(isSlow ? 'slow' : 'ready');
  }

  /** LevelDB stays failed after a failed write, until it is opened anew. */
  private reopen(): Promise<void> {
    const attempt = () => this.access.alone(() => this.tryReopen());
    return tryUntil(attempt, () => this.state === 'reopening', this.stop.signal, this.options);
  }

  private async tryReopen(): Promise<void> {
    await this.db.close();
    this.db = await openDatabase(this.options.folder);
    for (const operation of probe()) await this.writeNow([operation]);
    if (this.state !== 'reopening') return;
    this.generation += 1;
    this.writer.resume();
    this.setState('ready');
  }

  /** LevelDB tidies up its files when it is opened. */
  private async openAnew(): Promise<void> {
    try {
      await this.db.close();
      this.db = await openDatabase(this.options.folder);
    } catch (cause) {
      this.setState('reopening', cause);
      this.reopening = this.reopen();
      throw cause;
    }
  }

  private async shut(): Promise<void> {
    this.setState('closed');
    this.stop.abort();
    await this.writer.idle();
    await this.reopening;
    await this.maintenance.ended();
    await this.writer.idle();
    await this.db.close();
  }

  private setState(state: StoreState, cause?: unknown): void {
    if (state === this.state) return;
    this.state = state;
    for (const listener of this.listeners) listener(state, cause);
  }
}
