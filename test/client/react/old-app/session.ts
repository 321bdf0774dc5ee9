import { SyncManager } from '../../../../client/compat/index.js';

const manager = SyncManager.getInstance();

/** Another person takes the tablet. */
export async function handOver(userId: string): Promise<string | undefined> {
  await manager.reconnect(userId);
  return manager.getConfig()?.userId;
}

export async function goOnline(): Promise<boolean> {
  await manager.connect();
  await manager.forceSync();
  return manager.isReady();
}

export const forgetEverything = (): Promise<void> => manager.clearSyncData({ force: true });
