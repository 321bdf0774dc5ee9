/** One user on this device: the replica, its connection, and what both say of themselves. */
import type { SyncOptions } from './api.js';
import { safely } from './collection-view.js';
import { Connection, type ConnectionReport } from './connection.js';
import { type StorageError, UnsyncedChangesError } from './errors.js';
import type { Platform } from './platform.js';
import { LivePresence } from './presence.js';
import { Replica } from './replica.js';
import type { SyncStatus } from './status.js';

export interface SessionOptions {
  readonly serverUrl: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly getToken?: SyncOptions['getToken'];
  readonly platform: Platform;
  readonly lastSyncedAt: number | null;
  readonly onStatus: (status: SyncStatus) => void;
  readonly onStorage: (error: StorageError | null) => void;
  readonly onCleared: () => void;
  readonly onBroken: () => void;
  /** The server has erased the user's data: that on this device has to go too. */
  readonly onErased: (report: ConnectionReport) => void;
  /** What the connection says of itself before it is started. */
  readonly report?: ConnectionReport | undefined;
}

export class UserSession {
  readonly replica: Replica;
  readonly presence: LivePresence;
  readonly connection: Connection;
  readonly #options: SessionOptions;
  #report: ConnectionReport;
  #lastSyncedAt: number | null;
  #ended = false;

  private constructor(options: SessionOptions, replica: Replica) {
    this.#options = options;
    this.#lastSyncedAt = options.lastSyncedAt;
    this.#report = options.report ?? { connection: 'offline', reason: 'Not connected yet.', error: null };
    this.replica = replica;
    this.presence = new LivePresence(replica.doc, options.platform.clock);
    this.connection = new Connection({
      ...options,
      source: replica,
      presence: this.presence,
      onChange: (report) => this.#connectionChanged(report),
    });
  }

  /** Resolves when local data is loaded (C3). */
  static async open(options: SessionOptions): Promise<UserSession> {
    let session: UserSession | null = null;
    const { platform, userId, onCleared, onBroken } = options;
    const { storage, clock } = platform;
    const onChange = (): void => session?.tellStatus();
    const onStorage = (error: StorageError | null): void => {
      safely(() => options.onStorage(error));
      onChange();
    };
    const replica = await Replica.open({
      storage,
      name: userId,
      clock,
      onChange,
      onStorage,
      onCleared,
      onBroken,
    });
    session = new UserSession(options, replica);
    session.tellStatus();
    return session;
  }

  get status(): SyncStatus {
    const { connection, reason, error } = this.#report;
    return {
      connection,
      reason,
      pendingChanges: this.replica.pendingCount,
      lastSyncedAt: this.#lastSyncedAt,
      durable: this.replica.durable,
      error: this.replica.storageError ?? error,
    };
  }

  tellStatus(): void {
    if (!this.#ended) this.#options.onStatus(this.status);
  }

  /** Throws an `UnsyncedChangesError` while the server lacks something. */
  checkSynced(): void {
    const count = this.replica.pendingAfter(0).length; // not what only waits for its mark to be taken off
    if (count > 0) throw new UnsyncedChangesError(count);
  }

  async close(): Promise<void> {
    this.#end();
    await this.replica.close();
  }

  async clear(): Promise<void> {
    this.#end();
    await this.replica.clear();
  }

  #end(): void {
    this.#ended = true;
    this.connection.stop();
    this.presence.destroy();
  }

  #connectionChanged(report: ConnectionReport): void {
    this.#report = report;
    this.#lastSyncedAt = report.lastSyncedAt ?? this.#lastSyncedAt;
    this.tellStatus();
    if (report.connection === 'refused' && report.error?.code === 'ERASED') this.#options.onErased(report);
  }
}
