/** Cuts a large update that the server holds, with rests for others to have their turn. */
import { noteSteps } from '../../protocol/scan.js';
import type { StructTable } from '../../protocol/struct-table.js';
import { type Deletion, deletionParts, type PartSize, structParts } from './parts.js';

/**
 * Yields the parts, each an update that builds only on those before it and on what the whole one builds on; `null`
 * where the next part takes longer. One with Skips, which a document in order does not have, is a single part.
 *
 * @param table where the update is noted; it is empty afterwards
 * @throws SyncError `MALFORMED_UPDATE`
 */
export function* cutInSteps(
  update: Uint8Array,
  table: StructTable,
  size: PartSize,
): Generator<Uint8Array | null> {
  const deletions: Deletion[] = [];
  const deletion = (client: number, clock: number, length: number) =>
    void deletions.push({ client, clock, length });
  const steps = noteSteps(update, { table, deletion });
  let step = steps.next();
  for (; step.done !== true; step = steps.next()) yield null;
  if (step.value) {
    yield update;
    return;
  }
  const firstClocks = new Map(table.sections.map(({ client, from }) => [client, table.clock(from)]));
  yield* structParts(update, table, (client) => firstClocks.get(client) ?? 0, size);
  table.clear();
  yield* deletionParts(deletions, size.deletions);
}
