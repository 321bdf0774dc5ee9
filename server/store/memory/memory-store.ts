import type { DeviceKey, UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import { byBytes } from '../../protocol/bytes.js';
import type {
  Commit,
  Deletion,
  Former,
  HistoryRow,
  RestRow,
  Snapshot,
  Store,
  StoredDocument,
  StoreState,
} from '../store.js';
import { type ChangeJob, StoreCore } from '../store-core.js';
import {
  type Change,
  committing,
  compacting,
  EMPTY,
  erasing,
  historyPage,
  type MemoryDocument,
  noticing,
  pruning,
  resting,
  savingDevices,
  visited,
} from './memory-document.js';

interface MemoryJob extends ChangeJob {
  readonly change: Change;
}

export interface Failure {
  /** Whether the failed batch is there after the reopen, as after an fsync that failed. */
  readonly kept: boolean;
  /** The store stays in `reopening` until `recover()` is called. */
  readonly stayDown?: boolean;
}

/** What outlives a store: give it to another one, as a folder is opened again. */
export type MemoryContents = Map<UserId, MemoryDocument>;
type Notes = Map<string, Uint8Array>;
/** Notes outlive a store with its contents. */
const notesOf = new WeakMap<MemoryContents, Notes>();

/** What is there now; what is stored later changes only the original. */
export function copyOf(contents: MemoryContents): MemoryContents {
  const copy: MemoryContents = new Map(contents);
  notesOf.set(copy, new Map(notesOf.get(contents)));
  return copy;
}

/** The contract of the store without a disk, for tests, with means to stop and to break it. Copies what it gets. */
export class MemoryStore implements Store {
  /** Batches that were written: what was handed over together shares one. */
  batches = 0;
  readonly contents: MemoryContents;
  private readonly damaged = new Set<UserId>();
  private readonly loaded = new Set<UserId>();
  private readonly core: StoreCore<MemoryJob>;
  private held: { promise: Promise<void>; release: () => void } | null = null;
  private failure: Failure | null = null;

  constructor(contents: MemoryContents = new Map()) {
    this.contents = contents;
    this.core = new StoreCore<MemoryJob>({
      write: (jobs) => this.write(jobs),
      drop: (jobs) => this.drop(jobs),
      reopen: () => this.reopen(),
    });
  }

  get state(): StoreState {
    return this.core.state;
  }

  get generation(): number {
    return this.core.generation;
  }

  /** From now on nothing becomes durable until `release`. */
  hold(): void {
    let release = (): void => {};
    const promise = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.held ??= { promise, release };
  }

  release(): void {
    this.held?.release();
    this.held = null;
  }

  /** The next batch is refused, and with it everything that is queued by then. */
  failNext(failure: Failure): void {
    this.failure = failure;
  }

  /** Ends a failure that was to stay down. */
  recover(): void {
    this.core.recovered();
  }

  /** Loads of this user reject from now on. */
  damage(user: UserId): void {
    this.damaged.add(user);
  }

  async load(user: UserId): Promise<StoredDocument> {
    const document = await this.settled(user);
    const { updates, revision, memory, devices, historyFrom, tombstone, epoch, rest } = document;
    if (this.damaged.has(user)) throw new SyncError('DOCUMENT_CORRUPT');
    this.loaded.add(user);
    return { updates, revision, memory, devices, historyFrom, tombstone, epoch, rest };
  }

  commit(user: UserId, commit: Commit): Promise<void> {
    return this.change(user, committing(commit));
  }

  compact(user: UserId, snapshot: Snapshot): Promise<void> {
    return this.change(user, compacting(snapshot));
  }

  async history(user: UserId, range: { below: number; limit: number }): Promise<readonly HistoryRow[]> {
    const rows = historyPage(await this.settled(user), range);
    if (rows === null) throw new SyncError('DOCUMENT_CORRUPT');
    return rows;
  }

  prune(user: UserId, upTo: number, deletions: readonly Deletion[]): Promise<void> {
    return this.change(user, pruning(upTo, deletions));
  }

  async deletions(user: UserId): Promise<readonly Deletion[]> {
    return [...(await this.settled(user)).deletions.values()];
  }

  putToRest(user: UserId, row: RestRow, view?: Uint8Array): Promise<void> {
    return this.change(user, resting(row, view));
  }

  async view(user: UserId, revision: number): Promise<Uint8Array | null> {
    const { rest, view } = await this.settled(user);
    if (this.damaged.has(user)) throw new SyncError('DOCUMENT_CORRUPT');
    return rest?.hasView && rest.revision === revision ? view : null;
  }

  async device(user: UserId, device: DeviceKey): Promise<Uint8Array | null> {
    return (await this.settled(user)).devices.get(device) ?? null;
  }

  saveDevices(user: UserId, devices: ReadonlyMap<DeviceKey, Uint8Array | null>): Promise<void> {
    if (this.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    if (!this.core.takesWork) return Promise.reject(new SyncError('NOT_SAVED'));
    return this.core.addChange({ user, change: savingDevices(devices), size: 0 });
  }

  async rest(user: UserId): Promise<RestRow | null> {
    return (await this.settled(user)).rest;
  }

  async whole(user: UserId, revision: number): Promise<Uint8Array | null> {
    const { rest, updates } = await this.settled(user);
    if (!rest?.isWhole || rest.revision !== revision) return null;
    if (this.damaged.has(user)) throw new SyncError('DOCUMENT_CORRUPT');
    return updates[0] ?? null;
  }

  async users(after: UserId | null, limit: number): Promise<readonly UserId[]> {
    this.core.mustWork();
    const all = [...this.contents.keys()].sort(byBytes);
    return all.filter((user) => after === null || byBytes(user, after) > 0).slice(0, limit);
  }

  async check(user: UserId): Promise<Pick<StoredDocument, 'revision' | 'historyFrom'>> {
    const { revision, historyFrom } = await this.settled(user);
    if (this.damaged.has(user)) throw new SyncError('DOCUMENT_CORRUPT');
    return { revision, historyFrom };
  }

  async note(name: string): Promise<Uint8Array | null> {
    return notesOf.get(this.contents)?.get(name) ?? null;
  }

  async setNote(name: string, value: Uint8Array): Promise<void> {
    this.core.mustWork();
    const notes: Notes = notesOf.get(this.contents) ?? new Map();
    notesOf.set(this.contents, notes.set(name, new Uint8Array(value)));
  }

  async former(user: UserId): Promise<Former> {
    const { tombstone, epoch } = await this.settled(user);
    return { tombstone, epoch };
  }

  async plainVisit(user: UserId): Promise<number | null> {
    return (await this.settled(user)).plainVisit;
  }

  notePlainVisit(user: UserId, at: number): Promise<void> {
    if (!this.core.takesWork) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    return this.core.addChange({ user, change: visited(at), size: 0 });
  }

  async seen(user: UserId): Promise<Uint8Array | null> {
    return (await this.settled(user)).seen;
  }

  noteSeen(user: UserId, seen: Uint8Array): Promise<void> {
    if (!this.core.takesWork) return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    return this.core.addChange({ user, change: noticing(seen), size: 0 });
  }

  async erase(user: UserId, tombstone: Uint8Array): Promise<void> {
    this.core.mustWork();
    this.loaded.add(user);
    const erased = this.change(user, erasing(tombstone));
    this.loaded.delete(user);
    await erased;
    this.damaged.delete(user);
  }

  forget(user: UserId): void {
    this.loaded.delete(user);
  }

  onState(listener: (state: StoreState, cause?: unknown) => void): () => void {
    return this.core.onState(listener);
  }

  async close(): Promise<void> {
    this.core.setState('closed');
    this.release();
    await this.core.idle();
  }

  /** What is there once everything that was handed over before is. */
  private async settled(user: UserId): Promise<MemoryDocument> {
    await this.core.settled(user);
    return this.contents.get(user) ?? EMPTY;
  }

  private change(user: UserId, change: Change): Promise<void> {
    if (this.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    if (!this.core.takesWork || !this.loaded.has(user)) {
      this.loaded.delete(user);
      return Promise.reject(new SyncError('NOT_SAVED'));
    }
    return this.core.addChange({ user, change, size: 0 });
  }

  private async write(jobs: readonly MemoryJob[]): Promise<void> {
    await this.held?.promise;
    const { failure } = this;
    if (failure === null || failure.kept) this.apply(jobs);
    if (failure !== null) throw new Error('the batch was made to fail');
    this.batches += 1;
  }

  private apply(jobs: readonly MemoryJob[]): void {
    for (const { user, change } of jobs) this.contents.set(user, change(this.contents.get(user) ?? EMPTY));
  }

  private drop(jobs: readonly MemoryJob[]): void {
    for (const job of jobs) this.loaded.delete(job.user);
  }

  private reopen(): void {
    const stayDown = this.failure?.stayDown ?? false;
    this.failure = null;
    if (!stayDown) setImmediate(() => this.recover());
  }
}
