/** A store that something is moved into is not to be used before all of it is there. */
import { SyncError } from '../errors.js';

/** The note that is there until then, with what is moved. */
export const MOVING = 'moving';
/** When the last good backup was made of this store; one of another store has no part in it. */
export const LAST_BACKUP = 'backup';
/** What is noted of a store, and not of what it holds: no move takes it along. */
export const OWN_NOTES: readonly string[] = [MOVING, LAST_BACKUP];

/** @param source null where nothing is moved */
export function mustNotBeMoving(source: Uint8Array | null, into: string): void {
  if (source === null) return;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    `A move from ${Buffer.from(source).toString()} into ${into} is under way or was cut off, so part of the records is missing: wait for it, or run the same \`telemed-sync move\` again.`,
  );
}
