import type { BatchOperation, ClassicLevel } from 'classic-level';
import { SyncError } from '../../errors.js';
import { syncFolderIfChanged } from './folder-sync.js';

/** What is read of a range in one go, in bytes: each goes round the event loop, which may be busy. */
export const READ_AT_ONCE = 2 ** 20;

export type Database = ClassicLevel<Uint8Array, Uint8Array>;
export type Operation = BatchOperation<Database, Uint8Array, Uint8Array>;

export const put = (key: Uint8Array, value: Uint8Array): Operation => ({ type: 'put', key, value });
export const del = (key: Uint8Array): Operation => ({ type: 'del', key });

/** A chained batch: an array of operations takes three times the CPU, as each one is copied and taken apart. */
export async function writeDurably(db: Database, operations: readonly Operation[]): Promise<void> {
  const began = Date.now();
  const batch = db.batch();
  for (const operation of operations) {
    if (operation.type === 'put') batch.put(operation.key, operation.value);
    else batch.del(operation.key);
  }
  await batch.write({ sync: true });
  await syncFolderIfChanged(db.location, began);
}

/** LevelDB may find the damage first. */
export const isDamage = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_CORRUPTION';

export function readFailure(cause: unknown): SyncError {
  return new SyncError(isDamage(cause) ? 'DOCUMENT_CORRUPT' : 'STORE_UNAVAILABLE', undefined, { cause });
}

export function cantRead(cause: unknown): never {
  throw readFailure(cause);
}
