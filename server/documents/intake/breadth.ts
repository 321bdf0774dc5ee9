/** What each later change of a document has to pass by stays bounded. */
import type * as Y from 'yjs';
import { tooCostly } from '../../protocol/bytes.js';
import type { UpdateScan } from '../../protocol/scan.js';

/** Every change of the document passes by each of them. */
const MAX_COLLECTIONS = 1_000;
/** The same of clients: one for each start of an app. */
const MAX_CLIENTS = 50_000;

/** @throws SyncError `UPDATE_TOO_COSTLY` */
export function checkBreadth({ share, store }: Y.Doc, { roots, ranges }: UpdateScan): void {
  if (roots.size + share.size > MAX_COLLECTIONS) {
    const fresh = [...roots].filter((root) => !share.has(root)).length;
    const isTooMany = fresh > 0 && share.size + fresh > MAX_COLLECTIONS;
    if (isTooMany) tooCostly(`collections beyond the ${MAX_COLLECTIONS} that a user may have`);
  }
  if (store.clients.size + ranges.length <= MAX_CLIENTS) return;
  if (ranges.some(({ client }) => !store.clients.has(client))) {
    tooCostly(`changes of clients beyond the ${MAX_CLIENTS} that a document may have`);
  }
}
