import { isDeviceId } from '../../shared/names.js';
import type { SavedConfig } from '../api/api.js';
import { StorageError } from '../errors.js';
import { withDeadline } from '../local-store/deadline.js';
import type { DeviceStorage } from '../local-store/store.js';
import type { Clock } from '../platform/platform.js';

/** How long an app waits for a setting, in ms. */
const ANSWER_TIMEOUT = 3_000;
const DEVICE_ID = 'deviceId';
const CONFIG = 'config';
const lastSyncedName = (userId: string): string => `lastSyncedAt:${userId}`;

/** The few things that a device keeps beside its documents. Reject with a `StorageError`. */
export class DeviceSettings {
  readonly #storage: DeviceStorage;
  readonly #clock: Clock;
  #hangs = false;

  constructor(storage: DeviceStorage, clock: Clock) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /** Storage did not answer in time: it is not asked again. */
  get hangs(): boolean {
    return this.#hangs;
  }

  /** The id of this device, kept from now on: the given one, else that of the last time, else a new one. */
  async deviceId(given: string | undefined, newId: () => string): Promise<string> {
    const kept = await this.#read(DEVICE_ID);
    const id = given ?? (isDeviceId(kept) ? kept : newId());
    if (id !== kept) await this.#write(DEVICE_ID, id);
    return id;
  }

  /** The same; never rejects: where storage fails, it is the one that is `known`, else a new one. */
  someDeviceId(given: string | undefined, known: string | undefined, newId: () => string): Promise<string> {
    return this.deviceId(given, newId).catch(() => known ?? newId());
  }

  async config(): Promise<SavedConfig | null> {
    return parseConfig(await this.#read(CONFIG));
  }

  saveConfig(config: SavedConfig | null): Promise<void> {
    return this.#write(CONFIG, config === null ? null : JSON.stringify(config));
  }

  async lastSyncedAt(userId: string): Promise<number | null> {
    return Number(await this.#read(lastSyncedName(userId))) || null;
  }

  saveLastSyncedAt(userId: string, at: number | null): Promise<void> {
    return this.#write(lastSyncedName(userId), at === null ? null : String(at));
  }

  #read(name: string): Promise<string | null> {
    return this.#inTime(() => this.#storage.readSetting(name));
  }

  #write(name: string, value: string | null): Promise<void> {
    return this.#inTime(() => this.#storage.writeSetting(name, value));
  }

  async #inTime<T>(ask: () => Promise<T>): Promise<T> {
    const blocked = (): StorageError => new StorageError('BLOCKED', 'Local storage does not answer.');
    if (this.#hangs) throw blocked();
    return withDeadline(this.#clock, ANSWER_TIMEOUT, ask(), () => {
      this.#hangs = true;
      return blocked();
    });
  }
}

function parseConfig(text: string | null): SavedConfig | null {
  try {
    const { serverUrl, userId, deviceId, autoConnect } = JSON.parse(text ?? '{}');
    const isWhole = [serverUrl, userId, deviceId].every((field) => typeof field === 'string');
    return isWhole ? { serverUrl, userId, deviceId, autoConnect: autoConnect !== false } : null;
  } catch {
    return null; // damaged: as if there were none
  }
}
