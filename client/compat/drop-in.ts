import type { SyncClient, SyncRecord } from '../api/api.js';
import { defaultClient } from '../session/default-client.js';
import { SyncManager as Manager } from '../sync-manager.js';
import { OldClient, type OldItems } from './old-client.js';

/** The type under which apps of the JSON client hold their manager. */
export interface SyncManager extends Omit<SyncClient, 'getData' | 'getLocalData'> {
  /** The app says what its records are, as it did for the JSON client: nothing checks it. */
  getData<Row extends object = SyncRecord>(collection: string): Promise<Row[]>;
  getLocalData<Row extends object = SyncRecord>(collection: string, id: string | number): Promise<Row | null>;
}

/** There is one of them, as in the JSON client: `SyncManager.getInstance()` is `syncManager`. */
// biome-ignore lint/complexity/noStaticOnlyClass: so is that of the JSON client
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: nobody makes one, it is only held
export abstract class SyncManager {
  static getInstance(): SyncManager {
    return defaultClient() as SyncManager;
  }
}

/** From here the client of the app answers before `initialize`, as the JSON client did. */
export function dropIn(items: OldItems | null): SyncManager {
  const client = defaultClient();
  if (client instanceof Manager) client.resume(items && new OldClient(items));
  return client as SyncManager;
}
