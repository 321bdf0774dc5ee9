/** All records of a stored document, as they are or as they were at a time that its history reaches back to. */
import * as Y from 'yjs';
import type { UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import type { Store } from '../../store/store.js';
import type { RecordImage } from '../records/record-image.js';
import { RecordImages } from '../records/record-images.js';
import { readEntry } from './history-entry.js';
import { stepBack } from './history-log.js';

/** By their keys. */
export type PastRecords = ReadonlyMap<string, RecordImage>;

const PAGE = 500;

/** @param at in ms since 1970; null for as they are */
export async function pastRecords(
  store: Pick<Store, 'load' | 'history'>,
  user: UserId,
  at: number | null,
): Promise<PastRecords> {
  const { updates, revision, historyFrom } = await store.load(user);
  const doc = new Y.Doc();
  for (const update of updates) Y.applyUpdate(doc, update);
  const images = new Map(new RecordImages(doc).complete());
  if (at === null) return images;
  for (let below = revision + 1; below > historyFrom + 1; ) {
    for (const row of await store.history(user, { below, limit: PAGE })) {
      const stored = readEntry(row.entry);
      if (stored !== null && stored.at <= at) return images;
      if (stepBack(images, row) === null) throw tooFar();
      below = row.revision;
    }
  }
  if (historyFrom > 0) throw tooFar();
  return images;
}

const tooFar = (): SyncError =>
  new SyncError('NOT_IN_HISTORY', 'The history of the backup does not reach back so far.');
