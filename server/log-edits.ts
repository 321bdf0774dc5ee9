/** The lines of the log for what was edited, by whichever protocol (O2): names, never contents. */
import type { DurableChange } from './documents/changes.js';
import type { Log } from './log.js';

/** A first sync may bring thousands of records: beyond this, a change is told in one line. */
const MOST_LINES = 20;

export function logEdit(log: Log, user: string, { origin, records }: DurableChange): void {
  if (records.length <= MOST_LINES) {
    for (const { collection, id, record } of records)
      log(record === null ? 'deleted' : 'updated', { user, collection, record: id });
    return;
  }
  const collections: Record<string, number> = {};
  for (const { collection } of records) collections[collection] = (collections[collection] ?? 0) + 1;
  log('updatedMany', { user, device: origin.device, collections });
}
