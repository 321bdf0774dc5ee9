import { join, resolve } from 'node:path';
import { asStorageError, toStorageError } from '../failures.js';
import { safeName } from '../safe-name.js';
import { openSole } from '../sole-store.js';
import type { DeviceStorage } from '../store.js';
import { removeDatabase } from './database.js';
import { LevelRows } from './rows.js';
import { readText, writeText } from './settings-folder.js';

/** A folder is locked for this process, whoever names it. */
const PROCESS = {};

/**
 * Keeps data in a folder, for Node: a LevelDB database for each user, and a small file for each setting. Every
 * change is on the disk before its promise resolves. One process at a time can open the store of a user.
 *
 * @example
 * const storage = levelStorage('./device-data');
 * const store = await storage.open('anna', { onNews() {}, onGone() {}, onError() {} });
 */
export function levelStorage(folder: string): DeviceStorage {
  const path = (part: string, name: string): string => join(resolve(folder), part, safeName(name));
  return {
    name: 'LevelDB',
    durable: true,
    async open(name) {
      const location = path('users', name);
      return openSole(PROCESS, location, 'LevelDB', () => LevelRows.open(location));
    },
    remove: (name) => orStorageError(() => removeDatabase(path('users', name))),
    readSetting: (name) => orStorageError(async () => readText(path('settings', name))),
    writeSetting: (name, value) => orStorageError(async () => writeText(path('settings', name), value)),
    claimSlot: async () => ({ slot: 0, release() {} }), // whoever has opened the store is alone
  };
}

async function orStorageError<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw asStorageError(error, toStorageError('The settings folder'));
  }
}
