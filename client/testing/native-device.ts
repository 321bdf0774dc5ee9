/** A device of a ward with the real client on it. */
import type { Changes, CollectionKey, NewRecord, RecordOf, SyncOptions, UpdateOptions } from '../api/api.js';
import type { DeviceStorage } from '../local-store/store.js';
import type { Platform } from '../platform/platform.js';
import { SyncManager } from '../sync-manager.js';
import type { DeviceNetwork } from './device-network.js';
import type { WardClock } from './ward-clock.js';

/** It notes whether it was told to stay offline, and no two of its writes have the same time. */
class WardClient extends SyncManager {
  wantsNetwork = true;
  readonly #clock: WardClock;

  constructor(platform: Platform, clock: WardClock) {
    super(platform);
    this.#clock = clock;
  }

  override initialize(options: SyncOptions): Promise<void> {
    this.wantsNetwork = options.autoConnect ?? true;
    return super.initialize(options);
  }

  override connect(userId?: string): Promise<void> {
    this.wantsNetwork = true;
    return super.connect(userId);
  }

  override disconnect(): Promise<void> {
    this.wantsNetwork = false;
    return super.disconnect();
  }

  override setAutoSync(enabled: boolean): Promise<void> {
    this.wantsNetwork = enabled;
    return super.setAutoSync(enabled);
  }

  override addData<Name extends CollectionKey>(
    name: Name,
    record: NewRecord<RecordOf<Name>>,
  ): Promise<string> {
    this.#clock.tick();
    return super.addData(name, record);
  }

  override updateData<Name extends CollectionKey>(
    name: Name,
    id: string | number,
    changes: Changes<RecordOf<Name>>,
    options: UpdateOptions<RecordOf<Name>> = {},
  ): Promise<void> {
    this.#clock.tick();
    return super.updateData(name, id, changes, options);
  }

  override deleteData(name: CollectionKey, id: string | number): Promise<void> {
    this.#clock.tick();
    return super.deleteData(name, id);
  }
}

export interface NativeParts {
  readonly network: DeviceNetwork;
  readonly clock: WardClock;
  readonly storage: DeviceStorage;
  readonly random: () => number;
  readonly newId: () => string;
}

const STOPPED: ReadonlySet<string> = new Set(['needs-token', 'refused', 'closed']);

export class NativeDevice {
  readonly name: string;
  readonly network: DeviceNetwork;
  readonly #parts: NativeParts;
  readonly #options: SyncOptions;
  #client: WardClient;

  constructor(name: string, options: SyncOptions, parts: NativeParts) {
    this.name = name;
    this.network = parts.network;
    this.#parts = parts;
    this.#options = options;
    this.#client = this.#start();
  }

  get client(): SyncManager {
    return this.#client;
  }

  get user(): string {
    return this.#options.userId;
  }

  /** Whether it should get through to the server, as far as the test has said. */
  get isReachable(): boolean {
    const { connection } = this.#client.status.current;
    return !this.network.isCut && this.#client.wantsNetwork && !STOPPED.has(connection);
  }

  get isQuiet(): boolean {
    const { pendingChanges, connection } = this.#client.status.current;
    return !this.isReachable || (pendingChanges === 0 && connection === 'online');
  }

  /** What it has to say is on the server's disk, and what the server had is here. */
  async round(): Promise<void> {
    // Where that fails it is not quiet, and there is another round, or the ward says so.
    if (this.isReachable) await this.#client.forceSync().catch(() => {});
  }

  /** The app is ended and started again, with what the device had stored. */
  async restart(): Promise<void> {
    await this.#client.close();
    this.#client = this.#start();
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  #start(): WardClient {
    const { network, clock, storage, random, newId } = this.#parts;
    const { WebSocket, fetch, connectivity } = network;
    const client = new WardClient({ storage, WebSocket, fetch, clock, connectivity, random, newId }, clock);
    // What is wrong with the options is told to the test that gave them; calls wait for this one.
    client.initialize(this.#options).catch(() => {});
    return client;
  }
}
