/** What each later change of a document has to pass by stays bounded. */
import type * as Y from 'yjs';
import { tooCostly } from '../../protocol/bytes.js';
import type { UpdateScan } from '../../protocol/scan.js';

/** Every change of the document passes by each of them. */
const MAX_COLLECTIONS = 1_000;
/** The same of clients: one for each start of an app. */
const MAX_CLIENTS = 50_000;
/** A tombstone keeps its client ids for good, and each load reads them all. */
const MANY_ERASED = 100_000;
/**
 * So many clients a document may have whose tombstone has many: each erasure adds them to it. More than make a rewrite
 * due, which comes to the aid of who is honest.
 */
const MAX_CLIENTS_AFTER_MANY = 1_000;

/**
 * @param erased how many clients the documents had that were erased
 * @throws SyncError `UPDATE_TOO_COSTLY`
 */
export function checkBreadth({ share, store }: Y.Doc, { roots, ranges }: UpdateScan, erased: number): void {
  if (roots.size + share.size > MAX_COLLECTIONS) {
    const fresh = [...roots].filter((root) => !share.has(root)).length;
    const isTooMany = fresh > 0 && share.size + fresh > MAX_COLLECTIONS;
    if (isTooMany) tooCostly(`collections beyond the ${MAX_COLLECTIONS} that a user may have`);
  }
  const most = erased > MANY_ERASED ? MAX_CLIENTS_AFTER_MANY : MAX_CLIENTS;
  if (store.clients.size + ranges.length <= most) return;
  if (ranges.some(({ client }) => !store.clients.has(client))) {
    tooCostly(`changes of clients beyond the ${most} that this document may have`);
  }
}
