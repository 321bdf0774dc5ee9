/** Whether something is being moved into the database, or out of it, or was moved out. */
import { SyncError } from '../../errors.js';
import { noteKey, unseal } from '../format.js';
import { MOVED, MOVING, mustNotBeMoving, mustNotHaveMoved } from '../moving.js';
import type { Ask } from './connection.js';
import { NOTE } from './statements.js';

/** A move holds it for as long as it lasts, and a node could not add its row. */
export const MOVE_LOCK = 'SHARE ROW EXCLUSIVE';
const HELD = `
SELECT pid FROM pg_locks WHERE relation = 'node'::regclass AND mode = 'ShareRowExclusiveLock' AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
const STORE = 'the PostgreSQL of STORE';

/**
 * Looked at twice: before a node asks for anything that waits for the lock, and when it has added its row, which a
 * move may have held up until its end.
 *
 * @throws SyncError with a sentence
 */
export async function mustNotBeMoved(ask: Ask): Promise<void> {
  mustNotBeMoving(await noted(ask, MOVING), STORE);
  mustNotHaveMoved(await noted(ask, MOVED), STORE);
  if ((await ask(HELD, [])).length === 0) return;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    'What is in the PostgreSQL of STORE is just being moved elsewhere: wait until that is done, and start the server with the store that it was moved to.',
  );
}

async function noted(ask: Ask, name: string): Promise<Uint8Array | null> {
  const [note] = await ask(NOTE, [name]);
  const value = note?.value;
  return value instanceof Uint8Array ? (unseal(new Uint8Array(value), noteKey(name)) ?? null) : null;
}
