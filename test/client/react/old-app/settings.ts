import { syncManager } from '../../../../client/compat/index.js';

/** The page of settings: read before anything is initialized, written at any time. */
export async function savedServer(): Promise<string | null> {
  const saved = await syncManager.loadSavedConfig();
  return saved?.serverUrl ?? null;
}

export async function useServer(serverUrl: string): Promise<string | undefined> {
  await syncManager.updateConfig({ serverUrl });
  return syncManager.getConfig()?.serverUrl;
}

export const syncByItself = (on: boolean): Promise<void> => syncManager.setAutoSync(on);
