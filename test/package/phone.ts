import { expoSqliteStorage, phoneConnectivity, syncManager } from 'telemed-sync/react-native';
import type { Appointment } from './appointment.js';

declare const netInfo: NonNullable<Parameters<typeof phoneConnectivity>[0]>;
declare const sqlite: Parameters<typeof expoSqliteStorage>[0];

export async function start(): Promise<Appointment[]> {
  const storage = expoSqliteStorage(sqlite);
  await syncManager.initialize({
    serverUrl: 'https://sync.example.org',
    userId: 'demo',
    storage,
    connectivity: phoneConnectivity(netInfo),
  });
  return syncManager.getData('appointments');
}
