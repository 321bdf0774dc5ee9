/** Which user's data is open, and how it came to be: the life of a client, one step after the other. */
import type { SavedConfig, SyncOptions } from './api.js';
import type { ConnectionReport } from './connection-types.js';
import { DeviceSettings } from './device-settings.js';
import { ClientError, type StorageError } from './errors.js';
import { ObservableValue } from './observable.js';
import type { Platform } from './platform.js';
import type { SyncStatus } from './status.js';
import { checkOptions } from './sync-options.js';
import { SyncTimes } from './sync-times.js';
import { UserSession } from './user-session.js';

const NOTHING: SyncStatus = {
  connection: 'offline',
  reason: 'Not initialized yet.',
  pendingChanges: 0,
  lastSyncedAt: null,
  durable: false,
  error: null,
};

export class SessionKeeper {
  readonly status = new ObservableValue<SyncStatus>(NOTHING);
  /** How often everything was in step: a clock does not tell, it may be put back. */
  readonly syncs = new ObservableValue({ count: 0 });
  readonly #platform: Platform;
  readonly #onSession: (session: UserSession | null) => void;
  #options: SyncOptions | null = null;
  #config: SavedConfig | null = null;
  #session: UserSession | null = null;
  readonly #syncTimes: SyncTimes;
  #isConnected = false;
  /** The last step; the next one begins when it has ended. */
  #steps: Promise<unknown> = Promise.resolve();

  constructor(platform: Platform, onSession: (session: UserSession | null) => void) {
    this.#platform = platform;
    this.#onSession = onSession;
    this.#syncTimes = new SyncTimes(platform.clock);
  }

  get session(): UserSession | null {
    return this.#session;
  }

  get options(): SyncOptions | null {
    return this.#options;
  }

  get config(): SavedConfig | null {
    return this.#config;
  }

  /** The open session; waits for an `initialize` that is under way. */
  async ready(): Promise<UserSession> {
    if (this.#session === null) await this.#steps.catch(() => {}); // told to who asked for it
    if (this.#session === null) throw new ClientError('NOT_INITIALIZED');
    return this.#session;
  }

  initialize(options: SyncOptions): Promise<void> {
    return this.#step(async () => {
      const checked = checkOptions(options);
      await this.#open(checked);
      if (checked.autoConnect ?? true) this.#connect();
    });
  }

  connect(userId?: string): Promise<void> {
    return this.#step(async () => {
      const options = this.#initialized();
      if (userId !== undefined && userId !== options.userId)
        await this.#open(checkOptions({ ...options, userId }));
      this.#connect();
    });
  }

  reconnect(userId: string): Promise<void> {
    return this.#step(async () => {
      const options = this.#initialized();
      if (userId === options.userId) this.#session?.stop();
      else await this.#open(checkOptions({ ...options, userId }));
      this.#connect();
    });
  }

  disconnect(): Promise<void> {
    return this.#step(async () => {
      this.#initialized();
      this.#stop();
    });
  }

  /** Whether it connects by itself, now and after the next start. */
  setAutoConnect(autoConnect: boolean): Promise<void> {
    return this.update({ autoConnect });
  }

  /** Once, where it does not connect by itself. */
  async flush(): Promise<void> {
    const session = await this.ready();
    session.start();
    await session.flush().finally(() => {
      if (!this.#isConnected) session.stop();
    });
  }

  update(changes: Partial<SyncOptions>): Promise<void> {
    return this.#step(async () => {
      const connects = changes.autoConnect ?? this.#isConnected;
      await this.#open(checkOptions({ ...this.#initialized(), ...changes }));
      if (connects) this.#connect();
      else this.#stop();
      if (changes.getToken !== undefined) this.#session?.retryNow();
    });
  }

  close(): Promise<void> {
    return this.#step(() => this.#end('Closed.'));
  }

  logout(force: boolean): Promise<void> {
    return this.#step(async () => {
      const { userId } = this.#initialized();
      if (!force) this.#session?.checkSynced();
      await this.#clear(userId);
      await this.#end('Logged out.', NOTHING);
    });
  }

  clearSyncData(force: boolean): Promise<void> {
    return this.#step(async () => {
      const options = this.#initialized();
      const wasConnected = this.#isConnected;
      if (!force) this.#session?.checkSynced();
      await this.#clear(options.userId);
      await this.#open(options);
      if (wasConnected) this.#connect();
    });
  }

  async loadSavedConfig(): Promise<SavedConfig | null> {
    await this.#steps.catch(() => {}); // told to who asked for it
    this.#config ??= await this.#settings(this.#options).config();
    return this.#config;
  }

  #step<T>(task: () => Promise<T>): Promise<T> {
    const step = this.#steps.then(task, task);
    this.#steps = step;
    return step;
  }

  #initialized(): SyncOptions {
    if (this.#options === null) throw new ClientError('NOT_INITIALIZED');
    return this.#options;
  }

  #settings(options: SyncOptions | null): DeviceSettings {
    return new DeviceSettings(options?.storage ?? this.#platform.storage);
  }

  /** Opens what the options ask for; where the same is open already, it stays. */
  async #open(options: SyncOptions, report?: ConnectionReport): Promise<void> {
    const settings = this.#settings(options);
    const deviceId = await this.#deviceId(settings, options);
    const isOpen = this.#session !== null && this.#isSame(options, deviceId);
    this.#options = options;
    const { serverUrl, userId, autoConnect = true } = options;
    this.#config = { serverUrl, userId, deviceId, autoConnect };
    await this.#saveConfig();
    if (isOpen) return;
    await this.#closeSession();
    const lastSyncedAt = await settings.lastSyncedAt(userId).catch(() => null); // storage tells when it is opened
    const sessionOptions = this.#sessionOptions(options, deviceId, lastSyncedAt);
    this.#session = await UserSession.open({ ...sessionOptions, report });
    this.#onSession(this.#session);
  }

  #isSame(options: SyncOptions, deviceId: string): boolean {
    const { serverUrl, userId, storage, sharedCollections } = options;
    const { config } = this;
    if (String(sharedCollections ?? []) !== String(this.#options?.sharedCollections ?? [])) return false;
    if ((options.getToken === undefined) !== (this.#options?.getToken === undefined)) return false;
    const isSameDevice = config?.userId === userId && config.deviceId === deviceId;
    return isSameDevice && config.serverUrl === serverUrl && this.#options?.storage === storage;
  }

  async #deviceId(settings: DeviceSettings, { deviceId }: SyncOptions): Promise<string> {
    try {
      return await settings.deviceId(deviceId, this.#platform.newId);
    } catch {
      return deviceId ?? this.#config?.deviceId ?? this.#platform.newId(); // storage tells when it is opened
    }
  }

  #sessionOptions(options: SyncOptions, deviceId: string, lastSyncedAt: number | null) {
    const { storage, WebSocket, fetch, connectivity } = { ...this.#platform, ...withoutUndefined(options) };
    return {
      serverUrl: options.serverUrl,
      userId: options.userId,
      storageName: options.userId,
      deviceId,
      sharedCollections: options.sharedCollections ?? [],
      getToken: options.getToken && (() => this.#options?.getToken?.() ?? null),
      lastSyncedAt,
      platform: { ...this.#platform, storage, WebSocket, fetch, connectivity },
      onStatus: (status: SyncStatus) => this.#statusIs(status, options),
      onSynced: () => this.syncs.set({ count: this.syncs.current.count + 1 }),
      onStorage: (error: StorageError | null) => this.#options?.onStorageError?.(error),
      onCleared: () => void this.#step(() => this.#end('Logged out in another tab.', NOTHING)),
      onBroken: () => void this.#step(() => this.#reopen()),
      onErased: (report: ConnectionReport) => void this.#step(() => this.#erase(options.userId, report)),
    };
  }

  #statusIs(status: SyncStatus, options: SyncOptions): void {
    const { lastSyncedAt } = this.status.current;
    this.status.set(status);
    if (status.lastSyncedAt !== null && status.lastSyncedAt !== lastSyncedAt)
      this.#syncTimes.note(this.#settings(options), options.userId, status.lastSyncedAt);
  }

  #stop(): void {
    this.#isConnected = false;
    this.#session?.stop();
  }

  #connect(): void {
    this.#isConnected = true;
    this.#session?.start();
  }

  /** The document in memory may be broken: what is stored is not. */
  async #reopen(): Promise<void> {
    const options = this.#initialized();
    await this.#closeSession();
    await this.#open(options);
    if (this.#isConnected) this.#connect();
  }

  /** What the server has erased goes here too; whether to begin anew is the app's decision. */
  async #erase(userId: string, report: ConnectionReport): Promise<void> {
    const options = this.#options;
    if (options?.userId !== userId) return;
    this.#isConnected = false;
    await this.#clear(userId).catch(() => {}); // storage tells when it is opened
    await this.#open(options, report);
  }

  async #clear(userId: string): Promise<void> {
    const session = this.#session;
    const settings = this.#settings(this.#options);
    this.#session = null;
    this.#onSession(null);
    await this.#syncTimes.forget();
    await session?.clear();
    await settings.saveConfig(null);
    await settings.saveLastSyncedAt(userId, null);
  }

  /** `left`: what the status goes on to say; nothing is pending any more where all was deleted. */
  async #end(reason: string, left?: SyncStatus): Promise<void> {
    this.#isConnected = false;
    await this.#closeSession();
    this.#options = null;
    this.#config = null;
    this.status.set({ ...(left ?? this.status.current), connection: 'closed', reason });
  }

  async #closeSession(): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    const saved = this.#syncTimes.flush();
    this.#session = null;
    this.#onSession(null);
    await Promise.all([saved, session.close()]);
  }

  async #saveConfig(): Promise<void> {
    if (this.#config === null) return;
    await this.#settings(this.#options)
      .saveConfig(this.#config)
      .catch(() => {}); // storage told already
  }
}

/** An option that is given as undefined is one that is not given. */
function withoutUndefined<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
