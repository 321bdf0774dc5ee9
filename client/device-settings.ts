import { isDeviceId } from '../shared/names.js';
import type { SavedConfig } from './api.js';
import type { DeviceStorage } from './local-store/store.js';

const DEVICE_ID = 'deviceId';
const CONFIG = 'config';
const lastSyncedName = (userId: string): string => `lastSyncedAt:${userId}`;

/** The few things that a device keeps beside its documents. Reject with a `StorageError`. */
export class DeviceSettings {
  readonly #storage: DeviceStorage;

  constructor(storage: DeviceStorage) {
    this.#storage = storage;
  }

  /** The id of this device, kept from now on: the given one, else that of the last time, else a new one. */
  async deviceId(given: string | undefined, newId: () => string): Promise<string> {
    const kept = await this.#storage.readSetting(DEVICE_ID);
    const id = given ?? (isDeviceId(kept) ? kept : newId());
    if (id !== kept) await this.#storage.writeSetting(DEVICE_ID, id);
    return id;
  }

  /** That of the last time; where there is none, `id`, from now on. */
  async keptDeviceId(id: string): Promise<string> {
    return this.deviceId(undefined, () => id);
  }

  async config(): Promise<SavedConfig | null> {
    return parseConfig(await this.#storage.readSetting(CONFIG));
  }

  saveConfig(config: SavedConfig | null): Promise<void> {
    return this.#storage.writeSetting(CONFIG, config === null ? null : JSON.stringify(config));
  }

  async lastSyncedAt(userId: string): Promise<number | null> {
    return Number(await this.#storage.readSetting(lastSyncedName(userId))) || null;
  }

  saveLastSyncedAt(userId: string, at: number | null): Promise<void> {
    return this.#storage.writeSetting(lastSyncedName(userId), at === null ? null : String(at));
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
