/** What an erasure leaves behind is deleted in chunks, by whoever comes first, after a restart too. */
import type { UserId } from '../../../shared/names.js';
import { seal, tombstoneKey } from '../format.js';
import type { Connection } from './connection.js';
import { moved } from './moved.js';
import type { Claim } from './plan.js';
import { ERASE, ERASING, STILL_ERASING, WIPE, WIPED } from './statements.js';

/** From here on the document is empty, whatever becomes of this node; returns its claim of the new one. */
export async function eraseNow(
  connection: Connection,
  { user, node, tombstone }: { user: UserId; node: number; tombstone: Uint8Array },
  { doc, claim }: Claim,
): Promise<Claim> {
  const values = [node, doc, claim, seal(tombstone, tombstoneKey(user))];
  const [erased] = await connection.read({ text: ERASE, values });
  if (erased === undefined) throw moved();
  return { doc: Number(erased.doc), claim };
}

/** Resolves when no row of it is left. */
export async function wipe(connection: Connection, doc: number): Promise<void> {
  for (;;) {
    let gone = 0;
    for (const text of WIPE) gone += (await connection.read({ text, values: [doc] })).length;
    if (gone > 0) continue;
    await connection.read({ text: WIPED, values: [doc] });
    const left = await connection.read({ text: STILL_ERASING, values: [doc] });
    if (left.length === 0) return;
    await new Promise(setImmediate); // another node deletes the last of them
  }
}

/** What a process began and did not finish. */
export async function wipeLeftovers(connection: Connection): Promise<void> {
  for (const { doc } of await connection.read({ text: ERASING, values: [] }))
    await wipe(connection, Number(doc));
}
