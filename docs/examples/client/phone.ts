import NetInfo from '@react-native-community/netinfo';
import * as SQLite from 'expo-sqlite';
import { expoSqliteStorage, phoneConnectivity, syncManager } from 'telemed-sync/react-native';

await syncManager.initialize({
  serverUrl: 'https://sync.example.org',
  userId: 'demo',
  storage: expoSqliteStorage(SQLite),
  connectivity: phoneConnectivity(NetInfo),
});
