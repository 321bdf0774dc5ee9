/** The shared collections beside the document of a user, as a caller of that document has them (D8). */

import { type CollectionName, SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import { modeByToken } from '../../access/access.js';
import type { Config } from '../../config.js';
import { DurableRecords } from '../../documents/durable-records.js';
import type { DocumentRegistry, Lease } from '../../documents/registry.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import { SyncError } from '../../errors.js';
import type { Grant } from './authorize.js';

export interface SharedAccess {
  readonly collections: ReadonlySet<CollectionName>;
  /** `null` where the document is damaged: then users still have what is theirs. */
  readonly records: DurableRecords | null;
  /** As connections follow it, awake; `null` where it is damaged. */
  readonly document: FollowedDocument | null;
  /** In whose hands the device is: there are many people's in this document. */
  readonly actor: UserId;
  readonly readOnly: boolean;
  release(): void;
}

interface Parts {
  readonly config: Config;
  readonly registry: DocumentRegistry;
}

/**
 * Opens the shared document for the holder of this grant; `null` where nothing is shared. `release` it when done.
 *
 * @throws SyncError `STORE_UNAVAILABLE`
 */
export async function openShared(
  { config, registry }: Parts,
  { principal, actor, user }: Grant,
): Promise<SharedAccess | null> {
  const collections = config.sharedCollections;
  if (collections.size === 0) return null;
  const readOnly = modeByToken(principal, SHARED_DOCUMENT) !== 'write';
  const who = { collections, actor: actor ?? user, readOnly };
  try {
    const following = await registry.follow(SHARED_DOCUMENT);
    const release = () => following.release();
    const { document } = following;
    const [records, awake] = await openRecords(registry).catch((error: unknown) => {
      release();
      throw error;
    });
    const releaseBoth = () => {
      release();
      awake.release();
    };
    return { ...who, records, document, release: releaseBoth };
  } catch (error) {
    if (!(error instanceof SyncError && error.code === 'DOCUMENT_CORRUPT')) throw error;
    return { ...who, records: null, document: null, release: () => {} };
  }
}

/** It stays awake until it is released. */
async function openRecords(registry: DocumentRegistry): Promise<[DurableRecords, Lease]> {
  const lease = await registry.open(SHARED_DOCUMENT);
  try {
    return [await DurableRecords.of(lease.document), lease];
  } catch (error) {
    lease.release();
    throw error;
  }
}
