/**
 * Offline first sync for React Native; `telemed-sync` itself leads here too. What only phones have (SQLite, NetInfo)
 * has its types in `telemed-sync/react-native`.
 *
 * @example
 * import { syncManager } from 'telemed-sync';
 * await syncManager.initialize({ serverUrl: 'https://sync.example.org', userId: 'demo' });
 */
// These two come first: between them lib0 is loaded.
import './react-native/hide-text-decoder.js';
import './react-native/restore-text-decoder.js';
import AsyncStorage from '@react-native-async-storage/async-storage';
import { AppState } from 'react-native';
import type { SyncClient } from './api/api.js';
import { ClientError } from './errors.js';
import { asyncStorage } from './local-store/async-storage/async-storage.js';
import { type NetInfoLike, reactNativeConnectivity } from './platform/connectivity.js';
import type { Connectivity, Platform } from './platform/platform.js';
import { standardParts } from './platform/standard.js';
import { withWholeAnswers } from './react-native/whole-answers.js';
import { registerDefaultClient } from './session/default-client.js';
import { SyncManager } from './sync-manager.js';

export * from './api/public.js';
export { type AsyncStorageOptions, asyncStorage } from './local-store/async-storage/async-storage.js';
export type { AsyncStorageLike } from './local-store/async-storage/types.js';
export { type ExpoSqlite, expoSqliteStorage } from './local-store/expo-sqlite.js';
export type { NetInfoLike } from './platform/connectivity.js';

/**
 * The option `connectivity` with NetInfo: a connection is then tried at once when the network is back.
 *
 * @example
 * import NetInfo from '@react-native-community/netinfo';
 * await syncManager.initialize({ serverUrl, userId, connectivity: phoneConnectivity(NetInfo) });
 */
export const phoneConnectivity = (NetInfo?: NetInfoLike): Connectivity =>
  reactNativeConnectivity({ AppState, NetInfo });

/** `telemed-sync` has one set of types for all platforms, so its names are all here. */
export function indexedDbStorage(): never {
  throw new ClientError(
    'INVALID_OPTIONS',
    'A phone has no IndexedDB. Leave `storage` out, or use expoSqliteStorage.',
  );
}

const platform = (): Platform => ({
  ...standardParts,
  fetch: withWholeAnswers(standardParts.fetch),
  storage: asyncStorage(AsyncStorage),
  connectivity: phoneConnectivity(),
});

/** Another client beside `syncManager`, for another user, say; nothing is opened before `initialize`. */
export function createSyncClient(): SyncClient {
  return new SyncManager(platform());
}

/** The client of the app; the hooks use it unless a `SyncProvider` says otherwise. */
export const syncManager: SyncClient = createSyncClient();
registerDefaultClient(syncManager);
