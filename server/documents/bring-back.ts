/** Records that are brought back as they were, as new changes: of the history (H6), or of a backup. */
import { setImmediate } from 'node:timers/promises';
import { lookAgain } from '../../shared/known-names.js';
import type { RecordId } from '../../shared/names.js';
import type { Origin } from './changes.js';
import { inOrder } from './in-order.js';
import { growthOfRecord } from './intake/quota.js';
import { type RecordImage, writeImage } from './records/record-image.js';
import { collectionOf, type RecordKey } from './records/record-key.js';
import type { UserDocument } from './user-document.js';

/** Whether that changed something; in the user's turn. */
export function bringBack(
  document: UserDocument,
  origin: Origin,
  key: RecordKey,
  image: RecordImage,
): boolean {
  document.quota.mustTake(growthOfRecord(document.record(key), image.json));
  const entries = document.write(origin, (doc) => writeImage(doc, key.collection, key.id, image));
  lookAgain(document.doc); // names of fields that were gone come back
  return entries.length > 0;
}

/** Each of these; others stay as they are. Resolves with how many that changed, once that is durable. */
export async function bringAllBack(
  document: UserDocument,
  origin: Origin,
  images: ReadonlyMap<string, RecordImage>,
): Promise<number> {
  let changed = 0;
  for (const [name, image] of images) {
    const collection = collectionOf(name);
    const id = name.slice(collection.length + 1) as RecordId;
    const isChange = await inOrder(document, () => bringBack(document, origin, { collection, id }, image));
    if (isChange) changed += 1;
    await setImmediate();
  }
  await document.durable();
  return changed;
}
