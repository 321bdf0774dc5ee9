import { SyncError } from '../../shared/errors.js';
import type { UserId } from '../../shared/names.js';
import { GroupWriter, type Job } from './group-writer.js';
import type { Commit, Snapshot, Store, StoredDocument, StoreState } from './store.js';

interface ChangeJob extends Job {
  readonly user: UserId;
  readonly change: (document: StoredDocument) => StoredDocument;
}

export interface Failure {
  /** Whether the failed batch is there after the reopen, as after an fsync that failed. */
  readonly kept: boolean;
  /** The store stays in `reopening` until `recover()` is called. */
  readonly stayDown?: boolean;
}

/** What outlives a store: give it to another one, as a folder is opened again. */
export type MemoryContents = Map<UserId, StoredDocument>;

const EMPTY: StoredDocument = { updates: [], revision: 0, memory: null };

/** The contract of the store without a disk, for tests, with means to stop and to break it. Copies what it gets. */
export class MemoryStore implements Store {
  state: StoreState = 'ready';
  generation = 1;
  /** Batches that were written: what was handed over together shares one. */
  batches = 0;
  readonly contents: MemoryContents;
  private readonly damaged = new Set<UserId>();
  private readonly loaded = new Set<UserId>();
  private readonly pending = new Map<UserId, Promise<void>>();
  private readonly listeners = new Set<(state: StoreState, cause?: unknown) => void>();
  private readonly writer: GroupWriter<ChangeJob>;
  private held: { promise: Promise<void>; release: () => void } | null = null;
  private failure: Failure | null = null;

  constructor(contents: MemoryContents = new Map()) {
    this.contents = contents;
    this.writer = new GroupWriter(
      (jobs) => this.write(jobs),
      (jobs, cause) => this.fail(jobs, cause),
    );
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
    if (this.state !== 'reopening') return;
    this.generation += 1;
    this.writer.resume();
    this.setState('ready');
  }

  /** Loads of this user reject from now on. */
  damage(user: UserId): void {
    this.damaged.add(user);
  }

  async load(user: UserId): Promise<StoredDocument> {
    const { generation } = this;
    this.checkStill(generation);
    await this.pending.get(user)?.catch(() => {});
    this.checkStill(generation);
    if (this.damaged.has(user)) throw new SyncError('DOCUMENT_CORRUPT');
    this.loaded.add(user);
    return this.contents.get(user) ?? EMPTY;
  }

  commit(user: UserId, commit: Commit): Promise<void> {
    const copy = copyOf(commit);
    return this.change(user, (old) => changed(old, [...old.updates, copy.update], copy));
  }

  compact(user: UserId, snapshot: Snapshot): Promise<void> {
    const copy = copyOf(snapshot);
    return this.change(user, (old) => changed(old, [copy.update], copy));
  }

  forget(user: UserId): void {
    this.loaded.delete(user);
  }

  onState(listener: (state: StoreState, cause?: unknown) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.state !== 'closed') this.setState('closed');
    this.release();
    await this.writer.idle();
  }

  private checkStill(generation: number): void {
    if (this.state === 'ready' && this.generation === generation) return;
    throw new SyncError('STORE_UNAVAILABLE');
  }

  private change(user: UserId, change: ChangeJob['change']): Promise<void> {
    if (this.state === 'closed') return Promise.reject(new SyncError('STORE_UNAVAILABLE'));
    if (this.state !== 'ready' || !this.loaded.has(user)) {
      this.loaded.delete(user);
      return Promise.reject(new SyncError('NOT_SAVED'));
    }
    const done = new Promise<void>((resolve, reject) => {
      this.writer.add({ user, change, size: 0, resolve, reject });
    });
    const settled = (): void => {
      if (this.pending.get(user) === done) this.pending.delete(user);
    };
    this.pending.set(user, done);
    done.then(settled, settled);
    return done;
  }

  private async write(jobs: readonly ChangeJob[]): Promise<void> {
    await this.held?.promise;
    const { failure } = this;
    if (failure === null || failure.kept) this.apply(jobs);
    if (failure !== null) throw new Error('the batch was made to fail');
    this.batches += 1;
  }

  private apply(jobs: readonly ChangeJob[]): void {
    for (const { user, change } of jobs) this.contents.set(user, change(this.contents.get(user) ?? EMPTY));
  }

  private fail(jobs: readonly ChangeJob[], cause: unknown): void {
    const stayDown = this.failure?.stayDown ?? false;
    this.failure = null;
    for (const job of jobs) this.loaded.delete(job.user);
    if (this.state === 'ready') this.setState('reopening', cause);
    for (const job of jobs) job.reject(new SyncError('NOT_SAVED', undefined, { cause }));
    if (!stayDown) setImmediate(() => this.recover());
  }

  private setState(state: StoreState, cause?: unknown): void {
    this.state = state;
    for (const listener of this.listeners) listener(state, cause);
  }
}

function copyOf({ update, revision, memory }: Commit): Commit {
  return { update: new Uint8Array(update), revision, memory: memory && new Uint8Array(memory) };
}

function changed(old: StoredDocument, updates: Uint8Array[], { revision, memory }: Commit): StoredDocument {
  return { updates, revision, memory: memory === undefined ? old.memory : memory };
}
