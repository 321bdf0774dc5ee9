import type { SyncClient } from '../api/api.js';
import { ClientError } from '../errors.js';

let registered: SyncClient | null = null;

/** Called once by the entry that an app imports: its client is what hooks use without a `SyncProvider`. */
export function registerDefaultClient(client: SyncClient): void {
  registered = client;
}

/** @throws ClientError NOT_INITIALIZED where no entry of this package was imported */
export function defaultClient(): SyncClient {
  if (registered === null)
    throw new ClientError('NOT_INITIALIZED', "Import 'telemed-sync' before its hooks.");
  return registered;
}
