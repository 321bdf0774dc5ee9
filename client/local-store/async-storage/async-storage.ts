import { asStorageError, toStorageError } from '../failures.js';
import { safeName } from '../safe-name.js';
import { openSole } from '../sole-store.js';
import type { DeviceStorage } from '../store.js';
import { AsyncStorageRows, removeItems } from './rows.js';
import type { AsyncStorageLike } from './types.js';

export interface AsyncStorageOptions {
  /** Keys begin with it and a slash. */
  readonly prefix?: string;
}

/**
 * Keeps data in React Native's AsyncStorage. Apps that expect many records do better with SQLite: on Android,
 * AsyncStorage holds 6 MB unless it is told otherwise.
 *
 * @example
 * import AsyncStorage from '@react-native-async-storage/async-storage';
 * const storage = asyncStorage(AsyncStorage);
 */
export function asyncStorage(items: AsyncStorageLike, options: AsyncStorageOptions = {}): DeviceStorage {
  const prefix = options.prefix ?? 'telemed-sync';
  const placeOf = (name: string): string => `${prefix}/user/${safeName(name)}/`;
  const settingKey = (name: string): string => `${prefix}/setting/${safeName(name)}`;
  return {
    name: 'AsyncStorage',
    durable: true,
    async open(name) {
      const place = placeOf(name);
      return openSole(items, place, 'AsyncStorage', () => AsyncStorageRows.open(items, place));
    },
    remove: (name) => orStorageError(() => removeItems(items, placeOf(name))),
    readSetting: (name) => orStorageError(() => items.getItem(settingKey(name))),
    writeSetting: (name, value) =>
      orStorageError(() =>
        value === null ? items.removeItem(settingKey(name)) : items.setItem(settingKey(name), value),
      ),
  };
}

async function orStorageError<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw asStorageError(error, toStorageError('AsyncStorage'));
  }
}
