/**
 * Removes what has become too old of a user's history (H7), and remembers of it what L7 and L8 need. All of it is read
 * beside what comes in, which waits for the last step alone. Where something fails, the history is what it was.
 */
import type { UserId } from '../../../shared/names.js';
import { resting } from '../../resting.js';
import { type Deletion, type HistoryRow, isMoved } from '../../store/store.js';
import type { DocumentOptions } from '../document-options.js';
import type { Gate } from '../gate.js';
import type { DeviceStates } from '../json-devices/devices.js';
import { type HistoryEntry, readEntry, type StoredEntry } from './history-entry.js';
import { type HistoryHead, type HistoryLog, notDamaged, stepBack } from './history-log.js';
import type { HistoryWindow } from './history-window.js';
import type { AwayDevice } from './past-changes.js';
import { Pruning } from './pruning.js';
import { Remembered, untoldRow } from './remembered.js';

/** Entries that go at once. */
export const MOST_PRUNED = 20_000;
/** So often a device may come back while that is read which it needs; then it is left to another day. */
const MOST_TRIES = 3;
const DAY = 86_400_000;
/** For how long what a device may need for a merge is kept where no history is (`HISTORY_DAYS=0`). */
const DEVICE_DAYS = 90;

export interface PruningParts {
  readonly user: UserId;
  readonly gate: Gate;
  readonly history: HistoryWindow;
  readonly historyLog: HistoryLog;
  readonly devices: DeviceStates;
  /** The document as it is, once that is durable. */
  readonly head: () => Promise<HistoryHead>;
}

type PruningOptions = Pick<DocumentOptions, 'store' | 'historyDays' | 'now' | 'times' | 'onPruned'>;

/** A part of the history that is to go, all of it or nothing. */
interface Part {
  readonly floor: number;
  readonly upTo: number;
  readonly away: readonly AwayDevice[];
}

/** The newest revision that can't be told of, and when that was at the latest. */
interface LastTold {
  revision: number;
  at: number;
}

export class DocumentPruning {
  readonly #parts: PruningParts;
  readonly #options: PruningOptions;

  constructor(parts: PruningParts, options: PruningOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Never rejects.
   *
   * @param isWanted whether the document is still in use
   */
  async run(isWanted: () => boolean): Promise<void> {
    const { user } = this.#parts;
    try {
      if (await this.#removeParts(isWanted)) this.#options.onPruned?.(user, null);
    } catch (error) {
      if (!isMoved(error)) this.#options.onPruned?.(user, error);
    }
  }

  /** Up to which revision history is not kept any more: nothing that a device may need for a merge. */
  async outdated(): Promise<number> {
    const last = await this.#lastBefore(this.#retention - this.#options.historyDays * DAY);
    return Math.min(last, this.#needed);
  }

  get #retention(): number {
    const { now, times } = this.#options;
    return times?.retention() ?? now();
  }

  get #needed(): number {
    const days = this.#options.historyDays || DEVICE_DAYS;
    return this.#parts.devices.neededFrom(this.#retention - days * DAY);
  }

  /** Returns whether anything has gone. */
  async #removeParts(isWanted: () => boolean): Promise<boolean> {
    const { history, devices } = this.#parts;
    const begin = history.floor;
    for (let tries = 0; tries < MOST_TRIES && isWanted(); ) {
      const { floor } = history;
      const upTo = Math.min(await this.#outdated(isWanted), floor + MOST_PRUNED);
      if (upTo <= floor) break;
      const part = { floor, upTo, away: devices.awayBefore(upTo) };
      tries = (await this.#remove(part, isWanted)) ? 0 : tries + 1;
    }
    return history.floor > begin;
  }

  /** A store that is closed meanwhile is no fault. */
  #outdated(isWanted: () => boolean): Promise<number> {
    return this.outdated().catch((error: unknown) => {
      if (isWanted()) throw error;
      return 0;
    });
  }

  /** Returns whether it has gone; a device that came back meanwhile may need more of it than was read. */
  async #remove(part: Part, isWanted: () => boolean): Promise<boolean> {
    const { gate, history } = this.#parts;
    const read = await this.#read(part, isWanted).catch((error: unknown) => {
      if (isWanted()) throw error;
      return null;
    });
    if (read === null) return false;
    const { user, devices } = this.#parts;
    const isAsRead = () =>
      history.floor === part.floor &&
      this.#needed >= part.upTo &&
      isTold(part, devices.awayBefore(part.upTo)) &&
      isWanted();
    let failure: unknown = null;
    const note = (error: unknown): false => {
      failure = error;
      return false;
    };
    await gate.exclusive(async () => {
      if (!calmly(isAsRead, note)) return;
      try {
        await this.#options.store.prune(user, part.upTo, read);
      } catch (error) {
        note(error);
        throw error; // the store wants the document to be loaded anew
      }
      history.raiseFloor(part.upTo);
    });
    if (failure !== null) throw failure;
    return history.floor >= part.upTo;
  }

  /** The rows that are to be remembered; `null`: nobody wants them any more. */
  async #read({ floor, upTo, away }: Part, isWanted: () => boolean) {
    const { user, devices } = this.#parts;
    const rest = resting();
    const stored = await Remembered.inTurns(await this.#options.store.deletions(user), rest);
    const isNew = stored.digests.secret !== null;
    const renewed = isNew ? [] : await all(stored.withSecret(), rest);
    const remembered = isNew ? stored : await Remembered.inTurns(renewed, rest);
    const { untold, digests } = remembered;
    const pruning = new Pruning({ devices: away, keyOf: devices.keyOf, digests });
    const last: LastTold = { revision: upTo, at: this.#options.now() };
    const head = away.length === 0 ? null : await this.#parts.head();
    const images = head === null ? null : new Map(head.images);
    for await (const row of this.#rows({ below: (head?.revision ?? upTo) + 1, downTo: floor })) {
      if (!isWanted()) return null;
      const entry = readEntry(row.entry);
      const around = images === null ? null : stepBack(images, row, entry);
      if (entry === null || (images !== null && around === null)) break;
      last.at = entry.at;
      if (row.revision <= upTo && !isAdded(pruning, { entry, around, revision: row.revision })) break;
      last.revision = Math.min(upTo, row.revision - 1);
      await rest();
    }
    const isGap = last.revision > floor || untold.until < floor;
    const gap = isGap ? { upTo: last.revision, at: last.at } : {};
    const told = await all(pruning.rows(remembered), rest);
    const anew = [untoldRow({ ...untold, ...gap, until: upTo }, digests), ...told];
    return renewed.length === 0 ? anew : await all(replaced(renewed, anew), rest);
  }

  async *#rows({ below, downTo }: { below: number; downTo: number }): AsyncGenerator<HistoryRow> {
    for await (const rows of this.#parts.historyLog.rowsBelow(below, downTo)) yield* rows;
  }

  /** The last revision that was made before `time`; entries are in the order of their times. */
  async #lastBefore(time: number): Promise<number> {
    const { user, history } = this.#parts;
    let [low, high] = [history.floor, history.revision];
    while (low < high) {
      // The first look is at the oldest entry: nearly always there is nothing to remove.
      const middle = low === history.floor ? low + 1 : Math.ceil((low + high) / 2);
      const range = { below: middle + 1, limit: 1 };
      const rows = await this.#options.store.history(user, range).catch(notDamaged);
      const entry = rows?.[0] === undefined ? null : readEntry(rows[0].entry);
      if (entry === null || entry.at < time) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Of rows that are made one by one; others have their turns meanwhile. */
async function all(rows: Iterable<Deletion>, rest: () => Promise<void>): Promise<Deletion[]> {
  const made: Deletion[] = [];
  for (const row of rows) {
    made.push(row);
    await rest();
  }
  return made;
}

/** These rows, and those of before that none of them takes the place of. */
function* replaced(before: readonly Deletion[], anew: readonly Deletion[]): Generator<Deletion> {
  const names = new Set(anew.map(nameOf));
  for (const row of before) if (!names.has(nameOf(row))) yield row;
  yield* anew;
}

function calmly(ask: () => boolean, failed: (error: unknown) => false): boolean {
  try {
    return ask();
  } catch (error) {
    return failed(error);
  }
}

const nameOf = ({ collection, id }: Deletion): string => JSON.stringify([collection, id]);

/** An entry that says what no record can be is damaged, too. */
function isAdded(
  pruning: Pruning,
  { entry, revision, around }: { entry: StoredEntry; revision: number; around: HistoryEntry | null },
): boolean {
  try {
    pruning.add(entry, revision, around);
    return true;
  } catch {
    return false;
  }
}

/** Whether what was read for these devices tells all that they need now. */
const isTold = ({ upTo, away }: Part, now: readonly AwayDevice[]): boolean =>
  now.every(({ key, from, to }) =>
    away.some(
      (before) => before.key === key && from >= before.from && (to === before.to || before.to >= upTo),
    ),
  );
