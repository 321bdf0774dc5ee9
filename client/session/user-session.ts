/**
 * One user on this device: the replica, its connection, and what both say of themselves. The collections that
 * everybody shares (D8) are a second document with a connection of its own; to the app, both are one.
 */
import { SHARED_DOCUMENT } from '../../shared/names.js';
import type { SyncOptions } from '../api/api.js';
import { Connection, type ConnectionReport } from '../connection/connection.js';
import type { MovedInMemory } from '../epochs/moved.js';
import { NewDocument } from '../epochs/new-document.js';
import { ClientError, type StorageError, UnsyncedChangesError } from '../errors.js';
import type { ClearReason } from '../local-store/store.js';
import type { Platform } from '../platform/platform.js';
import { LivePresence } from '../presence/presence.js';
import { Replica } from '../replica/replica.js';
import type { SyncStatus } from '../status.js';
import { safely } from '../views/safely.js';
import type { DeviceSettings } from './device-settings.js';

export interface SessionOptions extends SessionStart {
  readonly serverUrl: string;
  /** Whose document it is. */
  readonly userId: string;
  /** What it is called in local storage. */
  readonly storageName: string;
  readonly deviceId: string;
  readonly appVersion?: string | undefined;
  /** Collections of the shared document; none: there is no second document. */
  readonly sharedCollections: readonly string[];
  readonly getToken?: SyncOptions['getToken'];
  readonly platform: Platform;
  /** How long to wait for local storage, in ms, where that is already known to hang. */
  readonly openTimeout?: number | undefined;
  readonly lastSyncedAt: number | null;
  readonly onStatus: (status: SyncStatus) => void;
  readonly onSynced: () => void;
  readonly onStorage: (error: StorageError | null) => void;
  readonly onCleared: (reason: ClearReason) => void;
  /** The document has to be opened anew, once `stored` resolves. */
  readonly onBroken: (stored?: Promise<void>, begin?: SessionStart) => void;
  /** Whether another document has something in memory only. */
  readonly hasMore?: () => boolean;
  /** The server has erased the user's data: that on this device has to go too. */
  readonly onErased: (report: ConnectionReport) => void;
}

/** What an earlier client left on this device: taken over by `telemed-sync/compat`. */
export interface Predecessor {
  /** Its device id and settings become ours where we have none. */
  settle(settings: DeviceSettings): Promise<void>;
  /** What it had not sent becomes changes of this user. */
  handOver(session: UserSession, userId: string): Promise<void>;
}

export interface SessionStart {
  /** A document that begins with this. */
  readonly moved?: MovedInMemory | undefined;
  /** See `ConnectionOptions`. */
  readonly searchesRefused?: boolean | undefined;
  /** What the connection says of itself before it is started. */
  readonly report?: ConnectionReport | undefined;
}

export class UserSession {
  readonly replica: Replica;
  readonly presence: LivePresence;
  connection: Connection;
  /** The document as the server has written it anew, while it comes in; null where none does (P10). */
  #next: NewDocument | null = null;
  /** Takes it over; null before it is complete. */
  #taking: Promise<void> | null = null;
  readonly #options: SessionOptions;
  readonly #shared: UserSession | null;
  #report: ConnectionReport;
  #lastSyncedAt: number | null;
  #hasSynced: boolean;
  #isFirstSync: boolean;
  #toldKept = 0;
  #ended = false;

  private constructor(options: SessionOptions, replica: Replica, shared: UserSession | null) {
    this.#options = options;
    this.#shared = shared;
    this.#lastSyncedAt = options.lastSyncedAt;
    // No time is stored for the shared document: that it has content shows that it was synced.
    const isKnown = options.userId === SHARED_DOCUMENT && replica.doc.store.clients.size > 0;
    this.#hasSynced = options.lastSyncedAt !== null || isKnown;
    this.#isFirstSync = !this.#hasSynced;
    this.#report = options.report ?? { connection: 'offline', reason: 'Not connected yet.', error: null };
    this.replica = replica;
    this.presence = new LivePresence(replica.doc, options.platform.clock);
    this.connection = new Connection({
      ...options,
      source: replica,
      presence: this.presence,
      onRewritten: () => this.#fetchNew(),
      onChange: (report) => this.#next === null && this.#connectionChanged(report),
    });
  }

  /** Resolves when local data is loaded (C3). */
  static async open(options: SessionOptions): Promise<UserSession> {
    let session: UserSession | null = null;
    const { platform, storageName: name, openTimeout, onCleared, sharedCollections } = options;
    const { storage, clock } = platform;
    const onChange = (): void => session?.tellStatus();
    const isAlone = sharedCollections.length === 0;
    const shared = isAlone
      ? null
      : await UserSession.open(sharedOptions(options, onChange, () => isUnstored(session)));
    const { hasMore = () => isUnstored(shared) } = options;
    const replica = await Replica.open({
      storage,
      name,
      clock,
      openTimeout,
      onChange,
      others: () => shared?.replica.alone ?? 0,
      onStorage: (error) => {
        safely(() => options.onStorage(error));
        onChange();
      },
      onCleared,
      onBroken: (stored, isRefused) =>
        session?.isEnded || options.onBroken(stored, { searchesRefused: isRefused }),
      onMoved: (moved) => {
        if (session?.isEnded !== false || hasMore()) return false;
        options.onBroken(undefined, { moved });
        return true;
      },
      moved: options.moved?.name === name ? options.moved : undefined,
    });
    session = new UserSession(options, replica, shared);
    onChange();
    return session;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Where a collection is kept. */
  replicaOf(collection: string): Replica {
    const isShared = this.#options.sharedCollections.includes(collection);
    return isShared && this.#shared !== null ? this.#shared.replica : this.replica;
  }

  get status(): SyncStatus {
    const own = this.#ownStatus;
    const shared = this.#shared?.status;
    if (shared === undefined) return own;
    // The app is told `online` when both documents are, or the shared one has told an error.
    const isBehind = own.connection === 'online' && shared.connection !== 'online' && shared.error === null;
    return {
      ...own,
      ...(isBehind ? { connection: 'connecting', reason: shared.reason } : {}),
      pendingChanges: own.pendingChanges + shared.pendingChanges,
      hasSynced: own.hasSynced && shared.hasSynced,
      isFirstSync: own.isFirstSync || shared.isFirstSync,
      durable: own.durable && shared.durable,
      error: own.error ?? shared.error,
      refused: shared.refused.length === 0 ? own.refused : [...own.refused, ...shared.refused],
    };
  }

  get #ownStatus(): SyncStatus {
    const { connection, reason, error } = this.#report;
    return {
      connection,
      reason,
      pendingChanges: this.replica.pendingCount,
      lastSyncedAt: this.#lastSyncedAt,
      hasSynced: this.#hasSynced,
      isFirstSync: this.#isFirstSync,
      durable: this.replica.durable,
      error: this.replica.storageError ?? error,
      refused: this.replica.refused.changes.list,
    };
  }

  start(): void {
    this.#isFirstSync = !this.#hasSynced;
    this.connection.start();
    this.#shared?.start();
    this.awaitNothing();
  }

  /** The first sync is awaited only while an attempt to connect runs and has met no obstacle. */
  awaitNothing(): void {
    const { connection, reason } = this.#report;
    this.#isFirstSync &&= !this.#hasSynced && connection === 'connecting' && reason === null;
    this.#shared?.awaitNothing();
    this.tellStatus();
  }

  stop(): void {
    this.connection.stop();
    this.#shared?.stop();
    this.awaitNothing();
  }

  retryNow(): void {
    this.connection.retryNow();
    this.#shared?.retryNow();
  }

  /** Resolves when the server has everything that is pending now; rejects as `Connection.flush` does. */
  async flush(): Promise<void> {
    await Promise.all([this.#flushOwn(), this.#shared?.flush()]);
  }

  async #flushOwn(): Promise<void> {
    const { connection } = this;
    await connection.flush().catch((error: unknown) => {
      if (connection === this.connection) throw error;
    });
    if (connection !== this.connection) return this.#flushOwn();
    if (this.#next === null) return;
    await this.#taking;
    throw new ClientError('CLOSED'); // nothing is sent before the document is opened anew
  }

  /**
   * The server has written the document anew. It is fetched as by a device that has nothing, while this one goes on
   * showing what it has. False where what was refused had nothing: that would go on for ever.
   */
  #fetchNew(): boolean {
    if (this.#next?.isEmpty) return false;
    const [next, last] = [new NewDocument(), this.connection];
    this.#next = next;
    this.#taking = null;
    this.connection = new Connection({
      ...this.#options,
      source: next,
      searchesRefused: false,
      onSynced: undefined,
      onRewritten: () => this.#fetchNew(),
      onChange: (report) => this.#fetched(next, report),
    });
    last.stop();
    this.connection.start();
    return true;
  }

  #fetched(next: NewDocument, { hasReceived, lastSyncedAt: _, ...report }: ConnectionReport): void {
    if (next !== this.#next) return;
    if (hasReceived && this.#taking === null) this.#take(next);
    this.#connectionChanged(hasReceived ? { ...report, connection: 'connecting', reason: null } : report);
  }

  /** Tries until local storage takes it. The document is opened anew then. */
  #take(next: NewDocument): void {
    if (this.#ended || next !== this.#next) return;
    this.#taking = this.replica.refused.moveTo(next);
    this.#taking.catch((error: unknown) => {
      this.#options.platform.clock.after(STORAGE_PAUSE, () => this.#take(next));
      const reason = `The document could not be stored: ${String(error)}`;
      this.#connectionChanged({ connection: 'offline', reason, error: null });
    });
  }

  tellStatus(): void {
    if (this.#ended) return;
    this.#tellKept();
    this.#options.onStatus(this.status);
  }

  /** The server hears with a checkpoint how many changes are here alone; of these, nothing else brings one. */
  #tellKept(): void {
    const isOnline = this.#report.connection === 'online';
    const kept = isOnline ? this.replica.kept() : 0;
    if (kept === this.#toldKept) return;
    this.#toldKept = kept;
    if (isOnline) this.connection.flush().catch(nothing);
  }

  /**
   * Rejects with an `UnsyncedChangesError` while the server lacks something, also of what is still being stored, and
   * with a `StorageError` while what is stored could not be read.
   */
  async checkSynced(): Promise<void> {
    // Other tabs may have stored something of which this one was not told, as in a browser without BroadcastChannel.
    await Promise.all(this.replicas.map((replica) => replica.settled())).catch(() => {}); // it is opened anew
    for (const { unread } of this.replicas) if (unread !== null) throw unread; // who knows what waits there
    const count = this.#unsynced;
    const { refused } = this.status;
    if (count + refused.length > 0) throw new UnsyncedChangesError(count, refused.length);
  }

  /** The documents, each with what was refused of it; the user's own is the first. */
  get replicas(): readonly Replica[] {
    return [this.replica, ...(this.#shared?.replicas ?? [])];
  }

  get #unsynced(): number {
    return this.replica.unsynced + (this.#shared?.replica.unsynced ?? 0);
  }

  async close(): Promise<void> {
    this.#end();
    await Promise.all([this.replica.close(), this.#shared?.close()]);
  }

  /** The user's own document goes last: its deletion tells other tabs, and they must find both deleted. */
  async clear(force: boolean, reason: ClearReason): Promise<void> {
    if (reason === 'erased' && this.#unsynced + this.status.refused.length > 0) return this.#keepUnsynced();
    this.#end();
    try {
      await this.#shared?.clear(force, reason);
    } finally {
      await this.replica.clear(force, reason);
    }
  }

  /**
   * The server has erased the user: changes that it never had are set aside, the rest goes; the shared document was
   * not erased. Where storage can't set them aside, it rejects and the session goes on: they are in memory only.
   */
  async #keepUnsynced(): Promise<void> {
    const { message } = new ClientError('ERASED');
    this.#ended = true;
    try {
      await this.replica.refused.setAllAside({ code: 'ERASED', reason: message });
    } catch (error) {
      this.#ended = false;
      throw error;
    }
    await this.close();
  }

  #end(): void {
    this.#ended = true;
    this.connection.stop();
  }

  #connectionChanged(report: ConnectionReport): void {
    this.#report = report;
    this.#lastSyncedAt = report.lastSyncedAt ?? this.#lastSyncedAt;
    this.#hasSynced ||= report.hasReceived ?? false;
    this.awaitNothing();
    if (report.connection === 'refused' && report.error?.code === 'ERASED') this.#options.onErased(report);
  }
}

/** How long local storage that failed to take a document has to recover, in ms. */
const STORAGE_PAUSE = 10_000;

const nothing = (): void => {};

/** It has something in memory only. */
const isUnstored = (session: UserSession | null): boolean => (session?.replica.unstored.length ?? 0) > 0;

/**
 * The shared document as this user has it: kept apart for each user of a device, so that a change that is pending
 * never goes out in somebody else's name.
 */
function sharedOptions(
  options: SessionOptions,
  onStatus: () => void,
  hasMore: () => boolean,
): SessionOptions {
  return {
    ...options,
    userId: SHARED_DOCUMENT,
    storageName: `${SHARED_DOCUMENT}:${options.userId}`,
    sharedCollections: [],
    searchesRefused: false,
    lastSyncedAt: null,
    report: undefined,
    onStatus,
    hasMore,
    onSynced: nothing,
    onCleared: nothing, // told by the user's own document
    onErased: nothing,
  };
}
