import type { DeviceKey, UserId } from '../../../shared/names.js';
import { notSaved, SyncError } from '../../errors.js';
import { DISK_PATIENCE, DiskWatch, HANGS } from '../disk-watch.js';
import type { KeyRing } from '../encryption/key-ring.js';
import type { Vaults } from '../encryption/vault.js';
import { UserKeys } from '../format.js';
import { GroupReader } from '../group-reader.js';
import type {
  Commit,
  Deletion,
  Former,
  HistoryRow,
  RestRow,
  Snapshot,
  Store,
  StoreCopy,
  StoredDocument,
  StoreState,
} from '../store.js';
import { StoreCore } from '../store-core.js';
import { tryUntil } from '../try-until.js';
import { DatabaseAccess } from './access.js';
import { Copies } from './copies.js';
import { cantRead, type Database, type Operation, writeDurably } from './database.js';
import { listUsers, openDocument, type Raw, readFormer, readRaw, usersAfter } from './document.js';
import { openDatabase } from './folder.js';
import { openDeletions, readDeletions, readHistory } from './history.js';
import { Maintenance } from './maintenance.js';
import * as notes from './notes.js';
import { prepareDatabase } from './opening.js';
import type { LevelStoreOptions } from './options.js';
import {
  type Held,
  jobOf,
  operationsOf,
  type Plan,
  planCommit,
  planCompaction,
  planDevices,
  planPruning,
  planRest,
  probe,
  type WriteJob,
  withKey,
} from './plan.js';
import { Reads } from './reads.js';
import { readRests, readWhole, restingAfter } from './rest.js';
import { RestRows } from './rest-rows.js';
import { readSomeDevices, readVault, readViews } from './view.js';

export type { LevelStoreOptions } from './options.js';

/** From the start of a batch to the next, in ms, while there is something to write. */
const BATCH_INTERVAL = 8;
/** Documents in a LevelDB of y-leveldb's layout, with checksums or encrypted. Bytes that are handed over are copied at once. */
export class LevelStore implements Store {
  /** Of the users that are loaded. */
  private readonly held = new Map<UserId, Held>();
  private readonly core: StoreCore<WriteJob>;
  private readonly access = new DatabaseAccess();
  private readonly copies = new Copies();
  private readonly watch: DiskWatch;
  private readonly reads: Reads;
  private readonly maintenance: Maintenance;
  private readonly vaults: Vaults;
  private readonly views = this.reader(readViews);
  private readonly devices = this.reader(readSomeDevices);
  private readonly rests: RestRows;
  private readonly stop = new AbortController();
  private reopening: Promise<void> | null = null;
  private closing: Promise<void> | null = null;
  private readonly options: LevelStoreOptions;
  private db: Database;

  private constructor(options: LevelStoreOptions, db: Database, vaults: Vaults) {
    this.options = options;
    this.db = db;
    this.vaults = vaults;
    this.rests = new RestRows(options.restBudget ?? 0, {
      takesWork: () => this.core.takesWork,
      settled: (user) => this.core.settled(user),
      read: this.reader(readRests),
      list: (after, limit) =>
        this.reads.run(() => this.access.shared(() => restingAfter(this.db, after, limit))),
      vaults,
    });
    const onChange = (isSlow: boolean) => {
      if (this.core.takesWork) this.core.setState(isSlow ? 'slow' : 'ready');
    };
    this.watch = new DiskWatch({ ...(options.patience ?? DISK_PATIENCE), onChange });
    this.reads = new Reads(this.watch);
    this.maintenance = new Maintenance({
      folder: options.folder,
      access: this.access,
      db: () => this.db,
      write: (operations) => this.writeAlone(operations),
      reopen: () => this.openAnew(),
      endCopies: () => this.copies.end(),
      vaults,
    });
    this.core = new StoreCore<WriteJob>({
      write: (jobs) => this.access.shared(() => this.writeNow(operationsOf(jobs))),
      drop: (jobs) => this.drop(jobs),
      reopen: () => {
        this.reopening = this.reopen();
      },
      interval: BATCH_INTERVAL,
    });
  }

  /** Rejects with a sentence that names cause and cure; never puts an empty database over one that is damaged. */
  static async open(options: LevelStoreOptions): Promise<LevelStore> {
    const { db, vaults } = await prepareDatabase(options);
    return new LevelStore(options, db, vaults);
  }

  get state(): StoreState {
    return this.core.state;
  }

  get generation(): number {
    return this.core.generation;
  }

  load(user: UserId): Promise<StoredDocument> {
    if (!this.core.takesWork) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    const [known, { generation }] = [this.held.has(user), this];
    const read = () => this.readSettled(user, () => readRaw(this.db, user, this.vaults));
    const open = (raw: Raw) => this.open(user, raw, known, generation);
    return this.rests.noticing(user, this.reads.load(user, read, open));
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
    const read = () => readDeletions(this.db, user, this.vaults);
    return this.reads.inTime(this.readSettled(user, read)).then(openDeletions);
  }

  putToRest(user: UserId, row: RestRow, view?: Uint8Array): Promise<void> {
    return this.change(user, (held) => planRest(user, held, row, view));
  }

  async rest(user: UserId): Promise<RestRow | null> {
    return this.restAtHand(user) ?? (await this.reads.inTime(this.rests.read(user)));
  }

  restAtHand(user: UserId): RestRow | null {
    return this.rests.atHand(user)?.rest ?? null;
  }

  /** After a start all come back at once: what is noted of them is read before, as far as there is room for it. */
  readAhead(): Promise<void> {
    return this.rests.readAhead();
  }

  whole(user: UserId, revision: number): Promise<Uint8Array | null> {
    const read = () => readWhole(this.db, { user, revision, known: this.rests.atHand(user) }, this.vaults);
    return this.reads.inTime(this.rests.noticing(user, this.readSettled(user, read)));
  }

  async view(user: UserId, revision: number): Promise<Uint8Array | null> {
    const read = (isNoted: boolean) =>
      this.views.read({ user, revision, needsRow: !isNoted || this.vaults.ring !== null });
    const reading = this.core.settled(user).then(() => this.rests.asNoted(user, read));
    const found = await this.reads.inTime(reading);
    if (found instanceof SyncError) throw found;
    return found;
  }

  device(user: UserId, device: DeviceKey): Promise<Uint8Array | null> {
    return this.reads.inTime(this.core.settled(user).then(() => this.devices.read({ user, device })));
  }

  saveDevices(user: UserId, devices: ReadonlyMap<DeviceKey, Uint8Array | null>): Promise<void> {
    return this.addUnloaded(user, planDevices(user, devices, this.vaults.ring === null));
  }

  seen(user: UserId): Promise<Uint8Array | null> {
    return this.reads.inTime(this.readSettled(user, () => notes.readSeen(this.db, user, this.vaults)));
  }

  noteSeen(user: UserId, seen: Uint8Array): Promise<void> {
    const copy = new Uint8Array(seen);
    return this.addUnloaded(user, (vault) => ({ operations: [notes.putSeen(user, vault, copy)], row: null }));
  }

  /** Of a user who need not be loaded: what encrypts for them is read where it is not at hand. */
  private addUnloaded(user: UserId, plan: (vault: Held['vault']) => Plan): Promise<void> {
    const refusal = this.state === 'closed' ? 'STORE_UNAVAILABLE' : 'NOT_SAVED';
    if (!this.core.takesWork) return Promise.reject(new SyncError(refusal));
    const vault = this.vaults.ring === null ? this.vaults.none : this.held.get(user)?.vault;
    if (vault !== undefined) return this.add(user, vault, plan(vault));
    const saved = this.readSettled(user, () => readVault(this.db, user, this.vaults))
      .then((read) => this.add(user, read, plan(read)))
      .catch((cause) => Promise.reject(notSaved(cause)));
    this.core.pending.add(user, saved);
    return saved;
  }

  erase(user: UserId, tombstone: Uint8Array): Promise<void> {
    if (!this.core.takesWork) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    const before = Promise.allSettled([this.core.pending.settled(user), this.reads.of(user)]);
    this.rests.drop(user);
    this.held.delete(user);
    this.reads.forget(user);
    const erased = before.then(() => {
      this.held.delete(user); // of a load that was under way
      return this.maintenance.erase(user, tombstone);
    });
    this.core.pending.add(user, erased);
    return erased;
  }

  changeKeys(ring: KeyRing): Promise<void> {
    return this.maintenance.changeKeys(ring);
  }

  copy(): Promise<StoreCopy> {
    this.core.mustWork();
    return this.access.shared(async () => this.copies.begin(this.db));
  }

  note(name: string): Promise<Uint8Array | null> {
    return this.access.shared(() => notes.readNote(this.db, name));
  }

  setNote(name: string, value: Uint8Array): Promise<void> {
    return this.writeAlone([notes.putNote(name, value)]);
  }

  former(user: UserId): Promise<Former> {
    return this.reads.inTime(this.readSettled(user, () => readFormer(this.db, user, this.vaults)));
  }

  plainVisit(user: UserId): Promise<number | null> {
    return this.reads.inTime(this.readSettled(user, () => notes.readPlainVisit(this.db, user)));
  }

  notePlainVisit(user: UserId, at: number): Promise<void> {
    if (!this.core.takesWork) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    return this.add(user, this.vaults.none, { operations: [notes.putPlainVisit(user, at)], row: null });
  }

  forget(user: UserId): void {
    // A load that began with the row known must not answer one that has to bring the row back.
    if (this.held.delete(user)) this.reads.forget(user);
  }

  onState(listener: (state: StoreState, cause?: unknown) => void): () => void {
    return this.core.onState(listener);
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  /** Every user that has a document, damaged ones included. */
  async allUsers(): Promise<UserId[]> {
    this.core.mustWork();
    return (await this.access.shared(() => listUsers(this.db))) as UserId[];
  }

  async users(after: UserId | null, limit: number): Promise<readonly UserId[]> {
    this.core.mustWork();
    const reading = this.reads.run(() => this.access.shared(() => usersAfter(this.db, after, limit)));
    return (await this.reads.inTime(reading)) as UserId[];
  }

  async check(user: UserId): Promise<Pick<StoredDocument, 'revision' | 'historyFrom'>> {
    const read = () => readRaw(this.db, user, this.vaults);
    const opened = this.reads.inTime(this.readSettled(user, read)).then(openDocument);
    const { row } = await this.rests.noticing(user, opened);
    return { revision: row.revision, historyFrom: row.historyFrom };
  }

  /** Nobody waits for this at the disk: what was read is opened in turns with others. */
  private async open(user: UserId, raw: Raw, known: boolean, generation: number): Promise<StoredDocument> {
    const { adoption: operations, row, vault, stored } = await openDocument(raw);
    // y-leveldb wrote to a database of ours: what it added gets checksums before it is built upon.
    if (operations.length > 0) await this.add(user, vault, { operations, row }).catch(cantRead);
    this.core.mustStill(generation);
    // Changes need the row, so where it was not known none can have been made since.
    if (!known) this.held.set(user, { row, vault, keys: new UserKeys(user) });
    return stored;
  }

  private reader<Key, Value>(
    readAll: (db: Database, keys: readonly Key[], vaults: Vaults) => Promise<readonly Value[]>,
  ): GroupReader<Key, Value> {
    return new GroupReader((keys) =>
      this.reads.run(() => this.access.shared(() => readAll(this.db, keys, this.vaults))),
    );
  }

  /** Reads when everything of this user that was handed over is written. */
  private async readSettled<T>(user: UserId, read: () => Promise<T>): Promise<T> {
    await this.core.settled(user);
    return this.reads.run(() => this.access.shared(read));
  }

  private change(user: UserId, plan: (held: Held) => Plan): Promise<void> {
    if (this.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    try {
      const held = this.core.takesWork ? this.held.get(user) : undefined;
      if (held === undefined) throw new Error('the document has to be loaded first');
      const { vault, keys } = held;
      const planned = withKey(user, held, plan(held));
      this.rests.drop(user);
      if (planned.row !== null) this.held.set(user, { row: planned.row, vault, keys });
      this.reads.forget(user);
      return this.add(user, vault, planned);
    } catch (cause) {
      this.forget(user);
      return Promise.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    }
  }

  private add(user: UserId, vault: Held['vault'], plan: Plan): Promise<void> {
    return this.follow(this.core.addChange(jobOf(plan, user, vault)));
  }

  /** It may be there after all when the disk has answered: as after a failed sync, a load tells. */
  private follow(done: Promise<void>): Promise<void> {
    this.watch.follow(done, () => this.core.giveUp(new Error(HANGS)));
    return done;
  }

  /** What belongs to no user that is loaded, in the order of the other changes. */
  private writeAlone(operations: Operation[]): Promise<void> {
    if (!this.core.takesWork) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    const job = jobOf({ operations, row: null }, '' as UserId, this.vaults.none);
    return this.follow(this.core.add(job));
  }

  private writeNow(operations: Operation[]): Promise<void> {
    return this.options.write?.(this.db, operations) ?? writeDurably(this.db, operations);
  }

  private drop(jobs: readonly WriteJob[]): void {
    for (const job of jobs) this.held.delete(job.user);
    this.rests.clear();
    this.reads.forgetAll();
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
    this.rests.clear();
    this.core.recovered();
  }

  /** LevelDB tidies up its files when it is opened. */
  private async openAnew(): Promise<void> {
    try {
      await this.db.close();
      this.db = await openDatabase(this.options.folder);
    } catch (cause) {
      this.core.setState('reopening', cause);
      this.reopening = this.reopen();
      throw cause;
    }
  }

  private async shut(): Promise<void> {
    this.core.setState('closed');
    this.stop.abort();
    await this.core.idle();
    await this.reopening;
    await this.maintenance.ended();
    await this.core.idle();
    await this.db.close();
  }
}
