import { systemClock } from '../../platform/standard.js';
import type { DeviceStorage } from '../store.js';
import { deleteDatabase, toIndexedDbError, withSettings } from './database.js';
import type { IndexedDbLimits, IndexedDbOptions } from './options.js';
import { answerOf } from './requests.js';
import { claimSlot } from './slots.js';
import { IndexedDbStore } from './store.js';

/**
 * Keeps data in the browser's IndexedDB: one database for each user, shared by all tabs, and one for settings.
 * Nothing is touched before the first call, so it may be made where pages are rendered on a server.
 *
 * @example
 * const storage = indexedDbStorage();
 * const store = await storage.open('anna', { onNews() {}, onGone() {}, onError() {} });
 */
export function indexedDbStorage(options: IndexedDbOptions = {}): DeviceStorage {
  const limits: IndexedDbLimits = {
    prefix: 'telemed-sync',
    openTimeout: 5_000,
    answerTimeout: 30_000,
    clock: systemClock,
    ...options,
  };
  return {
    name: 'IndexedDB',
    durable: true,
    open: (name, events) => IndexedDbStore.open(`${limits.prefix}/user/${name}`, events, limits),
    remove: (name) => removeDatabase(`${limits.prefix}/user/${name}`, limits),
    readSetting: (name) =>
      withSettings(limits, 'readonly', async (settings) => (await answerOf(settings.get(name))) ?? null),
    writeSetting: (name, value) =>
      withSettings(limits, 'readwrite', async (settings) => {
        await (value === null ? answerOf(settings.delete(name)) : answerOf(settings.put(value, name)));
      }),
    claimSlot: (name) => claimSlot(`${limits.prefix}/slot/${name}`),
  };
}

async function removeDatabase(name: string, limits: IndexedDbLimits): Promise<void> {
  try {
    await deleteDatabase(name, limits);
  } catch (error) {
    throw toIndexedDbError(error);
  }
}
