/** Whether something is being moved into the database, or out of it. */
import { SyncError } from '../../errors.js';
import { noteKey, unseal } from '../format.js';
import { MOVING, mustNotBeMoving } from '../moving.js';
import type { Connection } from './connection.js';
import { NOTE } from './statements.js';

/** A move holds it for as long as it lasts, and a node could not add its row. */
export const MOVE_LOCK = 'SHARE ROW EXCLUSIVE';
const HELD = `
SELECT pid FROM pg_locks WHERE relation = 'node'::regclass AND mode = 'ShareRowExclusiveLock' AND granted
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/** @throws SyncError with a sentence */
export async function mustNotBeMoved(connection: Connection): Promise<void> {
  const [note] = await connection.read({ text: NOTE, values: [MOVING] });
  const value = note?.value;
  const from = value instanceof Uint8Array ? unseal(new Uint8Array(value), noteKey(MOVING)) : undefined;
  mustNotBeMoving(from ?? null, 'the PostgreSQL of STORE');
  if ((await connection.read({ text: HELD, values: [] })).length === 0) return;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    'What is in the PostgreSQL of STORE is just being moved elsewhere: wait until that is done, and start the server with the store that it was moved to.',
  );
}
