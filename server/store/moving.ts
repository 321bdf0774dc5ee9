/** A store that something is moved into is not to be used before all of it is there. */
import { SyncError } from '../errors.js';

/** The note that is there until then, with what is moved. */
export const MOVING = 'moving';
/** The note that stays in a PostgreSQL from which all was moved, with where to. */
export const MOVED = 'moved';
/** When the last good backup was made of this store; one of another store has no part in it. */
export const LAST_BACKUP = 'backup';
/** What is noted of a store, and not of what it holds: no move takes it along. */
export const OWN_NOTES: readonly string[] = [MOVING, MOVED, LAST_BACKUP];

/** @param source null where nothing is moved */
export function mustNotBeMoving(source: Uint8Array | null, into: string): void {
  if (source === null) return;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    `A move from ${Buffer.from(source).toString()} into ${into} is under way or was cut off, so part of the records is missing: wait for it, or run the same \`telemed-sync move\` again.`,
  );
}

/** @param target null where it was not moved */
export function mustNotHaveMoved(target: Uint8Array | null, from: string): void {
  if (target === null) return;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    `What is in ${from} was moved to ${Buffer.from(target).toString()}, and may be out of date: start the server with that.`,
  );
}
