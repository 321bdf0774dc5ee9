/** Which user's data is open, and how it came to be: the life of a client, one step after the other. */
import type { SavedConfig, SyncOptions } from '../api/api.js';
import { checkOptions, needNoOther, withoutUndefined } from '../api/sync-options.js';
import type { ConnectionReport } from '../connection/types.js';
import { ClientError, type StorageError } from '../errors.js';
import type { ClearReason } from '../local-store/store.js';
import type { Platform } from '../platform/platform.js';
import { NOT_INITIALIZED, type SyncStatus } from '../status.js';
import { ObservableValue } from '../views/observable.js';
import { copyPending, copyUser } from './copies.js';
import { DeviceSettings } from './device-settings.js';
import { SyncTimes } from './sync-times.js';
import { type Predecessor, type SessionStart, UserSession } from './user-session.js';

/** How long storage has to get room, in ms, before what the server has erased is deleted by another attempt. */
const ERASURE_PAUSE = 10_000;

const [yes, no] = [() => true, () => false];

const CONNECTING: ConnectionReport = { connection: 'connecting', reason: null, error: null };

export class ClientLifecycle {
  readonly status = new ObservableValue<SyncStatus>(NOT_INITIALIZED);
  /** How often everything was in step: counted, since a clock may be put back. */
  readonly syncs = new ObservableValue({ count: 0 });
  readonly #platform: Platform;
  readonly #onSession: (session: UserSession | null) => void;
  #options: SyncOptions | null = null;
  #config: SavedConfig | null = null;
  #session: UserSession | null = null;
  readonly #syncTimes: SyncTimes;
  #isConnected = false;
  /** How many steps wait that open a document anew. */
  #broken = 0;
  /** `#clear` is finding out whether all is synced: writes wait until it knows. */
  #isClearing = false;
  /** The server has erased the user, and storage failed to delete the data here: the next attempt. */
  #unerased: { readonly again: () => void; readonly cancel: () => void } | null = null;
  /** Options that were set before `initialize`. */
  #early: Partial<SyncOptions> = {};
  /** Calls that wait for the first session of a drop-in; null where there is no drop-in, or a session. */
  #waiting: ((session: UserSession) => void)[] | null = null;
  #predecessor: Predecessor | null = null;
  /** The last step; the next one begins when it has ended. */
  #steps: Promise<unknown> = Promise.resolve();

  constructor(platform: Platform, onSession: (session: UserSession | null) => void) {
    this.#platform = platform;
    this.#onSession = onSession;
    this.#syncTimes = new SyncTimes(platform.clock);
  }

  /** `null` also while a document that broke is opened anew: what is written waits for it. */
  get session(): UserSession | null {
    return this.#broken > 0 || this.#isClearing ? null : this.#session;
  }

  get options(): SyncOptions | null {
    return this.#options;
  }

  get config(): SavedConfig | null {
    return this.#config;
  }

  /** The open session; waits for an `initialize` that is under way. */
  async ready(): Promise<UserSession> {
    do
      if (this.session === null) await this.#steps.catch(() => {}); // the caller of that step gets its error
    while (this.session === null && this.#broken > 0);
    if (this.session !== null) return this.session;
    const waiting = this.#waiting;
    if (waiting === null) throw new ClientError('NOT_INITIALIZED');
    return new Promise((resolve) => waiting.push(resolve));
  }

  /** Resolves when there is something to read; in a drop-in without a user at once, with nothing to show. */
  async readable(): Promise<void> {
    if (this.#session === null) await this.#steps.catch(() => {}); // the caller of that step gets its error
    if (this.#waiting === null) await this.ready();
  }

  /** A drop-in: shows the last user's data before `initialize`, and keeps what is written until then. */
  resume(predecessor: Predecessor | null): void {
    this.#predecessor = predecessor;
    this.#waiting ??= [];
    void this.#step(() => this.#openLast()).catch(() => {}); // `initialize` reports the failure
  }

  initialize(options: SyncOptions): Promise<void> {
    return this.#step(async () => {
      const checked = checkOptions({ ...this.#early, ...options });
      this.#early = {};
      await this.#open(checked, checked.autoConnect ?? true);
    });
  }

  connect(userId?: string): Promise<void> {
    return this.#step(async () => {
      const options = this.#initialized();
      if (userId === undefined || userId === options.userId) this.#connect();
      else await this.#open(checkOptions({ ...options, userId }), true);
    });
  }

  reconnect(userId: string): Promise<void> {
    return this.#step(async () => {
      const options = this.#initialized();
      if (userId !== options.userId) return this.#open(checkOptions({ ...options, userId }), true);
      this.#session?.stop();
      this.#connect();
    });
  }

  /** Moves the open user's data to another user, and opens that one. A crash leaves it with either, or with both. */
  moveTo(userId: string): Promise<void> {
    return this.#step(async () => {
      const options = this.#initialized();
      const target = checkOptions({ ...options, userId });
      const session = this.#session;
      if (session === null) throw new ClientError('NOT_INITIALIZED');
      if (userId === options.userId) return;
      const wasConnected = this.#isConnected;
      session.stop();
      this.#use(null); // writes wait from here on, and go to the other user
      try {
        await copyUser(session, this.#sessionOptions(target, this.#config?.deviceId ?? '', null));
      } catch (error) {
        this.#use(session);
        if (wasConnected) this.#connect();
        throw error;
      }
      await this.#clear(options.userId, false, 'cleared', session).finally(() =>
        this.#open(target, wasConnected),
      );
    });
  }

  disconnect(): Promise<void> {
    return this.#step(async () => this.#stop());
  }

  /** Sends and fetches once; where the app did not ask for a connection, it is closed afterwards. */
  async flush(): Promise<void> {
    await this.readable();
    if (this.#session === null) return; // a drop-in that has nothing yet
    const session = await this.ready();
    session.start();
    try {
      await session.flush();
    } catch (error) {
      if (this.#broken === 0) throw error;
      await this.flush(); // the document is opened anew, without a change that was refused
    } finally {
      if (!this.#isConnected) session.stop();
    }
  }

  update(changes: Partial<SyncOptions>): Promise<void> {
    return this.#step(async () => {
      if (this.#options === null) {
        this.#early = { ...this.#early, ...changes };
        return;
      }
      const connects = changes.autoConnect ?? this.#isConnected;
      await this.#open(checkOptions({ ...this.#initialized(), ...changes }), connects);
      if (!connects) this.#stop();
      if (changes.getToken !== undefined) this.#session?.retryNow();
    });
  }

  close(): Promise<void> {
    return this.#step(() => this.#end('Closed.'));
  }

  logout(force: boolean): Promise<void> {
    return this.#step(async () => {
      const options = await this.#openLast();
      if (options === null) return;
      await this.#clear(options.userId, force, 'cleared');
      await this.#end('Logged out.', NOT_INITIALIZED);
    });
  }

  clearSyncData(force: boolean): Promise<void> {
    return this.#step(async () => {
      const wasOpen = this.#options !== null;
      const options = await this.#openLast();
      if (options === null) return;
      const wasConnected = this.#isConnected;
      await this.#clear(options.userId, force, force ? 'discarded' : 'emptied');
      if (!wasOpen) return this.#end('Cleared.', NOT_INITIALIZED);
      await this.#open(options, wasConnected);
    });
  }

  async loadSavedConfig(): Promise<SavedConfig | null> {
    await this.#steps.catch(() => {}); // the caller of that step gets its error
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
    return new DeviceSettings(options?.storage ?? this.#platform.storage, this.#platform.clock);
  }

  /** The data of the last user, not connected; null where there is none. */
  async #openLast(): Promise<SyncOptions | null> {
    if (this.#options !== null) return this.#options;
    const settings = this.#settings(null);
    await this.#predecessor?.settle(settings).catch(() => {}); // the next start does it again
    const config = await settings.config();
    if (config === null) return null;
    const options = checkOptions(config);
    await this.#open(options, null);
    return options;
  }

  /**
   * Opens what the options ask for; where the same is open already, it stays.
   * `connects`: null where only `initialize` will tell.
   */
  async #open(options: SyncOptions, connects: boolean | null, begin: SessionStart = {}): Promise<void> {
    await this.#openUser(options, begin);
    if (connects) this.#connect();
    else if (connects !== null) this.#session?.awaitNothing();
  }

  async #openUser(options: SyncOptions, begin: SessionStart): Promise<void> {
    const settings = this.#settings(options);
    await this.#predecessor?.settle(settings).catch(() => {}); // the next start does it again
    const known = options.deviceId ?? this.#config?.deviceId;
    const deviceId = await settings.someDeviceId(options.deviceId, known, this.#platform.newId);
    const isOpen =
      this.#session !== null && this.#config?.deviceId === deviceId && needNoOther(this.#options, options);
    this.#options = options;
    const { serverUrl, userId, autoConnect = true } = options;
    this.#config = { serverUrl, userId, deviceId, autoConnect };
    await settings.saveConfig(this.#config).catch(() => {}); // opening the store reports it
    if (isOpen) return;
    await this.#closeSession();
    const lastSyncedAt = await settings.lastSyncedAt(userId).catch(() => null); // opening the store reports it
    const sessionOptions = this.#sessionOptions(options, deviceId, lastSyncedAt);
    const openTimeout = settings.hangs ? 1_000 : undefined;
    const session = await UserSession.open({ ...sessionOptions, openTimeout, ...begin });
    this.#use(session);
    await this.#predecessor?.handOver(session, userId).catch(() => {}); // the next start does it again
    for (const resolve of this.#waiting ?? []) resolve(session);
    this.#waiting = null;
  }

  #sessionOptions(options: SyncOptions, deviceId: string, lastSyncedAt: number | null) {
    const { storage, WebSocket, fetch, connectivity } = { ...this.#platform, ...withoutUndefined(options) };
    return {
      serverUrl: options.serverUrl,
      userId: options.userId,
      storageName: options.userId,
      deviceId,
      appVersion: options.appVersion,
      sharedCollections: options.sharedCollections ?? [],
      getToken: options.getToken && (() => this.#options?.getToken?.() ?? null),
      lastSyncedAt,
      platform: { ...this.#platform, storage, WebSocket, fetch, connectivity },
      onStatus: (status: SyncStatus) => this.#statusIs(status, options),
      onSynced: () => this.syncs.set({ count: this.syncs.current.count + 1 }),
      onStorage: (error: StorageError | null) => {
        if (error === null) this.#unerased?.again();
        this.#options?.onStorageError?.(error);
      },
      onCleared: (reason: ClearReason) => this.#clearedElsewhere(options.userId, reason),
      onBroken: (stored?: Promise<void>, begin?: SessionStart) => {
        const session = this.#session;
        this.#broken++;
        void this.#step(() => this.#reopen(session, stored, begin));
      },
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

  /** Opens the document again from the store: that in memory is broken, or not the stored one. */
  async #reopen(broken: UserSession | null, stored?: Promise<void>, begin: SessionStart = {}): Promise<void> {
    const isStored = await Promise.resolve(stored).then(yes, no);
    const isCurrent = broken === null || broken === this.#session; // else it was opened anew by the step before
    const options = isStored && isCurrent ? this.#options : null;
    // Screens go on showing the old document until the new one is open.
    if (options !== null) await this.#closeSession(true);
    this.#broken--;
    if (options === null) return;
    const report = this.#isConnected ? CONNECTING : undefined;
    await this.#open(options, this.#isConnected, { ...begin, report });
  }

  /** What the server has erased goes here too; whether to begin anew is the app's decision. */
  async #erase(userId: string, report: ConnectionReport): Promise<void> {
    const options = this.#options;
    this.#unerased?.cancel();
    this.#unerased = null;
    if (options?.userId !== userId || this.#broken > 0) return; // it is opened anew first, and told again
    const session = this.#session;
    this.#isConnected = false;
    await this.#clear(userId, true, 'erased').catch(() => {
      const again = (): void => void this.#step(() => this.#erase(userId, report));
      this.#unerased = { again, cancel: this.#platform.clock.after(ERASURE_PAUSE, again) };
    });
    if (session === null || session.isEnded) return this.#open(options, false, { report });
    this.#use(session);
    session.tellStatus();
  }

  /** Another tab deleted the user's data on this device: this tab follows it. */
  #clearedElsewhere(userId: string, reason: ClearReason): void {
    if (reason !== 'cleared') {
      this.#broken++; // writes wait from here on, and go to the session that is opened next
      this.#session?.stop();
    }
    void this.#step(async () => {
      const options = this.#options;
      if (reason !== 'cleared') this.#broken--;
      if (options?.userId !== userId) return;
      if (reason === 'cleared') return this.#end('Logged out in another tab.', NOT_INITIALIZED);
      const session = this.#session;
      await this.#closeSession();
      await this.#settings(options)
        .saveLastSyncedAt(userId, null)
        .catch(() => {}); // opening the store reports it
      if (reason === 'erased') {
        const error = new ClientError('ERASED');
        this.#isConnected = false;
        const report = { connection: 'refused', reason: error.message, error } as const;
        return this.#open(options, false, { report });
      }
      await this.#open(options, this.#isConnected);
      await copyPending(session, this.#session, reason === 'emptied');
    });
  }

  #use(session: UserSession | null): void {
    this.#session = session;
    this.#onSession(session);
  }

  async #clear(userId: string, force: boolean, reason: ClearReason, session = this.#session): Promise<void> {
    const settings = this.#settings(this.#options);
    this.#isClearing = true;
    try {
      if (!force) await this.#session?.checkSynced();
      this.#use(null);
    } finally {
      this.#isClearing = false;
    }
    await this.#syncTimes.forget();
    await session?.clear(force, reason);
    await settings.saveConfig(null);
    await settings.saveLastSyncedAt(userId, null);
  }

  /** `left`: the status before it is marked as closed; left out, the last one stays, with its pending changes. */
  async #end(reason: string, left?: SyncStatus): Promise<void> {
    this.#isConnected = false;
    await this.#closeSession();
    this.#options = null;
    this.#config = null;
    this.#unerased?.cancel();
    this.status.set({ ...(left ?? this.status.current), isFirstSync: false, connection: 'closed', reason });
  }

  async #closeSession(staysShown = false): Promise<void> {
    const session = this.#session;
    if (session === null) return;
    const saved = this.#syncTimes.flush();
    if (staysShown) this.#session = null;
    else this.#use(null);
    await Promise.all([saved, session.close()]);
  }
}
