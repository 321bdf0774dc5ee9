import { browserConnectivity } from './connectivity.js';
import { indexedDbStorage } from './local-store/indexeddb.js';
import type { Platform } from './platform.js';
import { standardParts } from './standard-platform.js';

/** A browser; where there is no IndexedDB (rendering on a server, say) data is kept in memory. */
export function webPlatform(): Platform {
  return { ...standardParts, storage: indexedDbStorage(), connectivity: browserConnectivity() };
}
