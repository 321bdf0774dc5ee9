/** What an erasure leaves behind is deleted in chunks, by whoever comes first, after a restart too. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { UserId } from '../../../shared/names.js';
import { seal, tombstoneKey } from '../format.js';
import type { Connection } from './connection.js';
import { moved } from './moved.js';
import type { Claim } from './plan.js';
import { ERASE, ERASING, ERASING_OF, STILL_ERASING, WIPE, WIPED } from './statements.js';

/** From one look whether another node is done to the next, in ms. */
const PAUSE = 50;

/** From here on the document is empty, whatever becomes of this node; returns its claim of the new one. */
export async function eraseNow(
  connection: Connection,
  { user, node, tombstone }: { user: UserId; node: number; tombstone: Uint8Array },
  { doc, claim }: Claim,
): Promise<Claim> {
  const values = [node, doc, claim, seal(tombstone, tombstoneKey(user)), user];
  const [erased] = await connection.change({ text: ERASE, values });
  if (erased === undefined) throw moved();
  return { doc: Number(erased.doc), claim };
}

/** Resolves when no row is left of what was erased of this user, by an erasure of before that has failed, too. */
export async function wipeAllOf(connection: Connection, user: UserId): Promise<void> {
  for (const { doc } of await connection.read({ text: ERASING_OF, values: [user] }))
    await wipe(connection, Number(doc));
}

/** Resolves when no row of it is left. */
async function wipe(connection: Connection, doc: number): Promise<void> {
  for (;;) {
    let gone = 0;
    for (const text of WIPE) gone += (await connection.change({ text, values: [doc] })).length;
    if (gone > 0) continue;
    await connection.change({ text: WIPED, values: [doc] });
    const left = await connection.read({ text: STILL_ERASING, values: [doc] });
    if (left.length === 0) return;
    await sleep(PAUSE); // another node deletes the last of them
  }
}

/** What a process began and did not finish. */
export async function wipeLeftovers(connection: Connection): Promise<void> {
  for (const { doc } of await connection.read({ text: ERASING, values: [] }))
    await wipe(connection, Number(doc));
}
