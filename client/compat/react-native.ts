/** The same as `./index.js`, on the client of React Native. */
import '../react-native.js';
import AsyncStorage from '@react-native-async-storage/async-storage';
import { dropIn } from './drop-in.js';

export * from '../api/public.js';
export * from '../react/hooks.js';
export { createSyncClient } from '../react-native.js';
export { SyncManager } from './drop-in.js';
export * from './hooks.js';

export const syncManager = dropIn(AsyncStorage);
/** The same one, under its other name. */
export const syncService = syncManager;
