import { indexedDbStorage } from '../local-store/indexeddb/indexeddb.js';
import { browserConnectivity } from './connectivity.js';
import type { Platform } from './platform.js';
import { standardParts } from './standard.js';

/** A browser; where there is no IndexedDB (rendering on a server, say) data is kept in memory. */
export function webPlatform(): Platform {
  return { ...standardParts, storage: indexedDbStorage(), connectivity: browserConnectivity() };
}
