/** A user's history where it is stored: read as far back as a write needs, and shown page by page. */

import type { CollectionName, RecordId, UserId } from '../../../shared/names.js';
import { SyncError } from '../../errors.js';
import type { HistoryRow } from '../../store/store.js';
import type { DocumentOptions } from '../document-options.js';
import type { RecordImage } from '../records/record-image.js';
import { keyOf, type RecordKey } from '../records/record-key.js';
import { earlierImage, entryOf, type HistoryEntry, readEntry } from './history-entry.js';
import type { HistoryWindow } from './history-window.js';
import { Remembered } from './remembered.js';

/** Entries that are read at a time. */
const PAGE = 500;

type ArchiveOptions = Pick<DocumentOptions, 'store'>;

export interface HistoryQuery {
  readonly collection: CollectionName | null;
  readonly id: RecordId | null;
  readonly limit: number;
  /** Only entries of earlier revisions; `null` for the newest. */
  readonly before: number | null;
}

export interface HistoryPage {
  /** Newest first. */
  readonly entries: readonly HistoryEntry[];
  /** What to ask for as `before` to go on; `null` at the end of what is kept. */
  readonly next: number | null;
}

/** The document at one revision, to read back from. */
export interface HistoryHead {
  readonly revision: number;
  readonly floor: number;
  readonly images: ReadonlyMap<string, RecordImage>;
}

/** Some 50 bytes each. */
const MOST_RECALLED = 1_000_000;

export class HistoryLog {
  readonly #user: UserId;
  readonly #options: ArchiveOptions;

  constructor(user: UserId, options: ArchiveOptions) {
    this.#user = user;
    this.#options = options;
  }

  /**
   * Reads what a write needs that looks back to `from` into memory; returns whether it could. It stops early where
   * that is too much to hold. A device that was last seen before counts as one of which that is not known (L8).
   *
   * @param most fields of records, and entries, in what this reads
   */
  async reachBack(history: HistoryWindow, from: number, most = MOST_RECALLED): Promise<boolean> {
    const downTo = Math.max(from, history.floor);
    const end = history.recalledFields + most;
    let isSound = true;
    for await (const rows of this.rowsBelow(history.from + 1, downTo)) {
      isSound = history.prepend(rows);
      if (!isSound || history.recalledFields >= end) break;
    }
    const isComplete = isSound && (history.from <= downTo || history.recalledFields >= end);
    if (!isComplete) history.raiseFloor(history.from);
    else if (history.from > downTo) history.limit();
    if (from >= history.oldest) return isComplete;
    // Where that is damaged, nothing is remembered, and the times decide: nobody is kept out for it.
    const remembered = await this.#options.store.deletions(this.#user).catch(notDamaged);
    history.remember(await Remembered.inTurns(remembered ?? []));
    return isComplete && remembered !== null;
  }

  /**
   * Reads back until all that was made at `time` or later is in memory; returns whether it could. It stops early where
   * that is too much to hold: a time is what a client says. What is older is then not known exactly, and Yjs's own
   * choice stays (D3).
   *
   * @param most fields of records, and entries, in all that was read back
   */
  async reachBackTo(history: HistoryWindow, time: number, most = MOST_RECALLED): Promise<boolean> {
    if (history.recalledFields >= most) return true;
    for await (const rows of this.rowsBelow(history.from + 1, history.floor)) {
      if (!history.prepend(rows) || history.reaches(time)) break;
      if (history.recalledFields >= most) return true;
    }
    const isComplete = history.reaches(time);
    if (!isComplete) history.raiseFloor(history.from);
    return isComplete;
  }

  /**
   * All entries, newest first, read back from the document as it is: each says how the record was before it. It ends
   * early where one is damaged.
   */
  async *entries(head: HistoryHead): AsyncGenerator<HistoryEntry> {
    const images = new Map(head.images);
    for await (const rows of this.rowsBelow(head.revision + 1, head.floor)) {
      for (const row of rows) {
        const entry = stepBack(images, row);
        if (entry === null) return;
        yield entry;
      }
    }
  }

  async page(head: HistoryHead, query: HistoryQuery): Promise<HistoryPage> {
    const entries: HistoryEntry[] = [];
    for await (const entry of this.entries(head)) {
      if (!isAskedFor(entry, query)) continue;
      if (entries.length === query.limit) return { entries, next: entries.at(-1)?.revision ?? null };
      entries.push(entry);
    }
    return { entries, next: null };
  }

  /** A record as it was after a revision; throws `NOT_IN_HISTORY` where there was none, or it can't be told. */
  async imageAt(head: HistoryHead, key: RecordKey, revision: number): Promise<RecordImage> {
    if (revision > head.revision) throw new SyncError('NOT_IN_HISTORY', 'There is no such revision yet.');
    const images = new Map(head.images);
    let reached = head.revision;
    for await (const rows of this.rowsBelow(head.revision + 1, revision)) {
      for (const row of rows) {
        const entry = stepBack(images, row);
        if (entry === null) throw new SyncError('NOT_IN_HISTORY', 'The history does not reach back so far.');
        reached = entry.revision - 1;
      }
    }
    if (reached > revision) {
      throw new SyncError('NOT_IN_HISTORY', 'The history does not reach back so far.');
    }
    const image = images.get(keyOf(key));
    if (image === undefined) throw new SyncError('NOT_IN_HISTORY');
    return image;
  }

  /**
   * All rows below a revision down to `downTo`, newest first, some at a time. It ends early where an entry is
   * damaged: what is older can't be told any more.
   */
  async *rowsBelow(below: number, downTo: number): AsyncGenerator<readonly HistoryRow[]> {
    let limit = PAGE;
    for (let at = below; at - 1 > downTo && limit > 0; ) {
      const rows = await this.#options.store.history(this.#user, { below: at, limit }).catch(notDamaged);
      if (rows === null) limit = Math.floor(limit / 2);
      else if (rows.length === 0) return;
      else yield rows.filter(({ revision }) => revision > downTo);
      at = rows?.at(-1)?.revision ?? at;
    }
  }
}

export function notDamaged(error: unknown): null {
  if (error instanceof SyncError && error.code === 'DOCUMENT_CORRUPT') return null;
  throw error;
}

/** Makes the records what they were before this entry; null where that can't be told. */
export function stepBack(
  images: Map<string, RecordImage>,
  { revision, entry }: HistoryRow,
  stored = readEntry(entry),
): HistoryEntry | null {
  const key = stored === null ? '' : keyOf(stored);
  const after = images.get(key) ?? null;
  const before = stored === null ? undefined : earlierImage(stored, after);
  if (stored === null || before === undefined) return null;
  if (before === null) images.delete(key);
  else images.set(key, before);
  return entryOf(stored, revision, before, after);
}

function isAskedFor({ revision, collection, id }: HistoryEntry, query: HistoryQuery): boolean {
  if (query.before !== null && revision >= query.before) return false;
  return (query.collection ?? collection) === collection && (query.id ?? id) === id;
}
