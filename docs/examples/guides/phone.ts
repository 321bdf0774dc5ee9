/** The first file of an app for phones: docs/guides/REACT-NATIVE.md. */
import 'react-native-get-random-values'; // first: the random numbers that Yjs needs
import NetInfo from '@react-native-community/netinfo';
import * as SQLite from 'expo-sqlite';
import { Platform } from 'react-native';
import { expoSqliteStorage, phoneConnectivity, syncManager } from 'telemed-sync/react-native';

const host = Platform.OS === 'android' ? '10.0.2.2' : 'localhost'; // this computer, as an emulator sees it
const serverUrl = __DEV__ ? `http://${host}:3001` : 'https://sync.example.org';

export const openSync = (userId: string): Promise<void> =>
  syncManager.initialize({
    serverUrl,
    userId,
    storage: expoSqliteStorage(SQLite),
    connectivity: phoneConnectivity(NetInfo),
  });
