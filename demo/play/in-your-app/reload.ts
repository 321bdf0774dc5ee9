import { syncManager } from '../../../client/index.js';

// What waited on this device is there again, and goes on waiting for the network.
export async function start(userId: string) {
  await syncManager.initialize({ serverUrl: 'https://sync.example.org', userId });
  return syncManager.status.current.pendingChanges;
}
