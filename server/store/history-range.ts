import type { HistoryRow, StoredDocument } from './store.js';

/** The arithmetic of a history without gaps, the same in every store. */
export type HistoryState = Pick<StoredDocument, 'revision' | 'historyFrom'>;

/** What the history reaches back to after a commit with so many entries: a revision without one ends it. */
export function historyFromAfter(old: HistoryState, revision: number, entries: number): number {
  return revision - old.revision > entries ? revision - entries : old.historyFrom;
}

/** The same after everything up to `upTo` was removed; nothing can be removed before it happened. */
export const historyFromPruned = ({ revision, historyFrom }: HistoryState, upTo: number): number =>
  Math.max(historyFrom, Math.min(upTo, revision));

/** The revisions of a page: each of them has to be there. None when `oldest` is above `newest`. */
export function pageOf(
  { revision, historyFrom }: HistoryState,
  { below, limit }: { below: number; limit: number },
): { newest: number; oldest: number } {
  const newest = Math.min(below - 1, revision);
  return { newest, oldest: Math.max(historyFrom, newest - limit) + 1 };
}

/** The entries of a commit with their revisions, without those that the history does not reach back to. */
export const numbered = (
  entries: readonly Uint8Array[],
  revision: number,
  historyFrom: number,
): HistoryRow[] =>
  entries
    .map((entry, index) => ({ revision: revision - entries.length + 1 + index, entry }))
    .filter((row) => row.revision > historyFrom);
