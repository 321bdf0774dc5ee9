import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { SyncError } from '../../shared/errors.js';
import type { UserId } from '../../shared/names.js';
import { GroupWriter } from './group-writer.js';
import { type Database, del, type Operation, put, writeDurably } from './level-database.js';
import {
  adoptDatabase,
  listUsers,
  type Progress,
  type ReadDocument,
  readDocument,
} from './level-document.js';
import { openDatabase } from './level-folder.js';
import * as format from './level-format.js';
import { readDeletions, readHistory } from './level-history.js';
import {
  operationsOf,
  type Plan,
  planCommit,
  planCompaction,
  planPruning,
  sizeOf,
  type WriteJob,
} from './level-plan.js';
import type { Commit, Deletion, HistoryRow, Snapshot, Store, StoredDocument, StoreState } from './store.js';

export interface LevelStoreOptions {
  readonly folder: string;
  /** Called for each document while a database of y-leveldb gets its checksums, at the first open. */
  readonly onProgress?: Progress;
  /** An attempt to reopen failed; the next one comes after `delay` milliseconds. */
  readonly onRetry?: (cause: unknown, delay: number) => void;
  /** For tests: the pause between two attempts to reopen. */
  readonly wait?: (delay: number, signal: AbortSignal) => Promise<void>;
  /** For tests: how a batch is written. */
  readonly write?: (db: Database, operations: Operation[]) => Promise<void>;
}

const FIRST_DELAY = 100;
const LONGEST_DELAY = 5_000;
/** From the start of a batch to the next, in ms, while there is something to write. */
const BATCH_INTERVAL = 8;
const PROBE_SIZE = 64 * 1024;
/** Documents in a LevelDB of y-leveldb's layout, with checksums. Bytes that are handed over are copied at once. */
export class LevelStore implements Store {
  state: StoreState = 'ready';
  generation = 1;
  /** Of the users that are loaded: the row as it will be after everything that was handed over. */
  private readonly rows = new Map<UserId, format.Row>();
  private readonly loads = new Map<UserId, Promise<StoredDocument>>();
  /** The last change that was handed over, while it is not durable: a load comes after it. */
  private readonly pending = new Map<UserId, Promise<void>>();
  private readonly listeners = new Set<(state: StoreState, cause?: unknown) => void>();
  private readonly writer: GroupWriter<WriteJob>;
  private readonly stop = new AbortController();
  private reopening: Promise<void> | null = null;
  private closing: Promise<void> | null = null;
  private readonly options: LevelStoreOptions;
  private db: Database;

  private constructor(options: LevelStoreOptions, db: Database) {
    this.options = options;
    this.db = db;
    this.writer = new GroupWriter(
      (jobs) => this.write(operationsOf(jobs)),
      (jobs, cause) => this.fail(jobs, cause),
      BATCH_INTERVAL,
    );
  }

  /** Rejects with a sentence that names cause and cure; never puts an empty database over one that is damaged. */
  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const db = await openDatabase(options.folder);
    try {
      await adoptDatabase(db, options.onProgress ?? (() => {}));
      return new LevelStore(options, db);
    } catch (error) {
      await db.close();
      throw error;
    }
  }

  load(user: UserId): Promise<StoredDocument> {
    if (this.state !== 'ready') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    const running = this.loads.get(user);
    if (running) return running;
    const load = this.read(user).finally(() => {
      if (this.loads.get(user) === load) this.loads.delete(user);
    });
    this.loads.set(user, load);
    return load;
  }

  commit(user: UserId, commit: Commit): Promise<void> {
    return this.change(user, (row) => planCommit(user, row, commit));
  }

  compact(user: UserId, snapshot: Snapshot): Promise<void> {
    return this.change(user, (row) => planCompaction(user, row, snapshot));
  }

  async history(user: UserId, range: { below: number; limit: number }): Promise<readonly HistoryRow[]> {
    await this.settled(user);
    return readHistory(this.db, user, range);
  }

  prune(user: UserId, upTo: number, deletions: readonly Deletion[]): Promise<void> {
    return this.change(user, (row) => planPruning(user, row, upTo, deletions));
  }

  async deletions(user: UserId): Promise<readonly Deletion[]> {
    await this.settled(user);
    return readDeletions(this.db, user);
  }

  forget(user: UserId): void {
    // A load that began with the row known must not answer one that has to bring the row back.
    if (this.rows.delete(user)) this.loads.delete(user);
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
    if (this.state !== 'ready') throw new SyncError('STORE_UNAVAILABLE');
    return (await listUsers(this.db)) as UserId[];
  }

  private async read(user: UserId): Promise<StoredDocument> {
    const known = this.rows.has(user);
    const { generation } = this;
    await this.settled(user);
    const document = await readDocument(this.db, user);
    await this.adopt(user, document);
    this.checkStill(generation);
    // Changes need the row, so where it was not known none can have been made since.
    if (!known) this.rows.set(user, document.row);
    return document.stored;
  }

  /** Resolves when everything of this user that was handed over is written. */
  private async settled(user: UserId): Promise<void> {
    const { generation } = this;
    this.checkStill(generation);
    await this.pending.get(user)?.catch(() => {});
    this.checkStill(generation);
  }

  private checkStill(generation: number): void {
    if (this.state === 'ready' && this.generation === generation) return;
    throw new SyncError('STORE_UNAVAILABLE');
  }

  /** y-leveldb wrote to a database of ours: what it added gets checksums before it is built upon. */
  private async adopt(user: UserId, document: ReadDocument): Promise<void> {
    if (document.adoption.length === 0) return;
    try {
      await this.add(user, { operations: document.adoption, row: document.row });
    } catch (cause) {
      throw new SyncError('STORE_UNAVAILABLE', undefined, { cause });
    }
  }

  private change(user: UserId, plan: (row: format.Row) => Plan): Promise<void> {
    if (this.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    try {
      const planned = plan(this.rowToChange(user));
      if (planned.row !== null) this.rows.set(user, planned.row);
      this.loads.delete(user);
      return this.add(user, planned);
    } catch (cause) {
      this.forget(user);
      return Promise.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    }
  }

  private rowToChange(user: UserId): format.Row {
    if (this.state !== 'ready') throw new Error('the store is being reopened');
    const row = this.rows.get(user);
    if (row === undefined) throw new Error('the document has to be loaded first');
    return row;
  }

  private add(user: UserId, plan: Plan): Promise<void> {
    const done = new Promise<void>((resolve, reject) => {
      this.writer.add({ ...plan, user, size: sizeOf(plan), resolve, reject });
    });
    const settled = (): void => {
      if (this.pending.get(user) === done) this.pending.delete(user);
    };
    this.pending.set(user, done);
    done.then(settled, settled);
    return done;
  }

  private write(operations: Operation[]): Promise<void> {
    return this.options.write?.(this.db, operations) ?? writeDurably(this.db, operations);
  }

  private fail(jobs: readonly WriteJob[], cause: unknown): void {
    for (const job of jobs) this.rows.delete(job.user);
    this.loads.clear();
    const reopens = this.state === 'ready';
    if (reopens) this.setState('reopening', cause);
    for (const job of jobs) job.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    if (reopens) this.reopening = this.reopen();
  }

  /** LevelDB stays failed after a failed write, until it is opened anew. */
  private async reopen(): Promise<void> {
    for (let delay = FIRST_DELAY; this.state === 'reopening'; delay = Math.min(delay * 2, LONGEST_DELAY)) {
      try {
        await this.tryReopen();
      } catch (cause) {
        if (this.state !== 'reopening') return;
        this.options.onRetry?.(cause, delay);
        await (this.options.wait ?? pause)(delay, this.stop.signal);
      }
    }
  }

  private async tryReopen(): Promise<void> {
    await this.db.close();
    this.db = await openDatabase(this.options.folder);
    await this.write([put(format.PROBE_KEY, randomBytes(PROBE_SIZE))]);
    await this.write([del(format.PROBE_KEY)]);
    if (this.state !== 'reopening') return;
    this.generation += 1;
    this.writer.resume();
    this.setState('ready');
  }

  private async shut(): Promise<void> {
    this.setState('closed');
    this.stop.abort();
    await this.writer.idle();
    await this.reopening;
    await this.db.close();
  }

  private setState(state: StoreState, cause?: unknown): void {
    this.state = state;
    for (const listener of this.listeners) listener(state, cause);
  }
}

/** Ends early, without an error, when the store closes. */
const pause = (delay: number, signal: AbortSignal): Promise<void> =>
  sleep(delay, undefined, { signal }).catch(() => {});
