/**
 * Every stored document is looked at once a day, whether its user comes or not: are its bytes whole (P5), has a part of
 * its history become too old (H7), and has its past outgrown its content (P10)? One at a time, with a pause after each.
 */
import type { UserId } from '../../shared/names.js';
import { SyncError } from '../errors.js';
import { isMoved, type Store, takesWork } from '../store/store.js';
import { readEntry } from './history/history-entry.js';

const DAY = 86_400_000;
/** From the start of one round to the next, in ms. */
const ROUND_INTERVAL = 86_400_000;
/** Those who connect after a start come first, in ms. */
const FIRST_ROUND = 600_000;
/** After each document, in ms: a round takes no more than a small part of one core. */
const PAUSE = 20;
/** Before a round goes on that the store has ended, in ms. */
const AGAIN = 60_000;
/** Users that are read at once. */
const PAGE = 200;

export interface RoundOptions {
  readonly store: Store;
  readonly historyDays: number;
  /** By this time it is decided what is old enough to be forgotten. */
  readonly retention: () => number;
  /** Removes what is too old of the history of a document. */
  readonly prune: (user: UserId) => Promise<void>;
  /** Writes the document anew where that is due. */
  readonly rewrite?: (user: UserId) => Promise<void>;
  readonly onLooked: (user: UserId, damage: SyncError | null) => void;
  readonly onUnexpected: (error: unknown) => void;
  /** Resolves after so many ms, or at once when the signal says so. */
  readonly pause?: (ms: number, signal: AbortSignal) => Promise<void>;
}

export class Rounds {
  readonly #options: RoundOptions;
  readonly #stop = new AbortController();
  readonly #pause: (ms: number) => Promise<void>;
  /** Behind whom the round goes on. */
  #last: UserId | null = null;
  /** For whom the store has failed just now. */
  #failed: UserId | null = null;

  constructor(options: RoundOptions) {
    this.#options = options;
    const { pause = paused } = options;
    this.#pause = (ms) => pause(ms, this.#stop.signal);
  }

  /** Makes rounds until it is closed. */
  async run(): Promise<void> {
    await this.#pause(FIRST_ROUND);
    while (!this.#isStopped) {
      const began = performance.now();
      while (!this.#isStopped && !(await this.#roundOrError())) await this.#pause(AGAIN);
      await this.#pause(Math.max(PAUSE, ROUND_INTERVAL - (performance.now() - began)));
    }
  }

  close(): void {
    this.#stop.abort();
  }

  /**
   * One round; returns whether it came to its end. It ends early where the store fails, and the next call goes on
   * there: who is late in the order is looked at, too.
   */
  async round(): Promise<boolean> {
    const { store } = this.#options;
    while (takesWork(store.state)) {
      const users = await store.users(this.#last, PAGE);
      if (users.length === 0) {
        this.#last = null;
        return true;
      }
      for (const user of users) {
        if (this.#isStopped || !(await this.#isDone(user))) return false;
        this.#last = user;
        await this.#pause(PAUSE);
      }
    }
    return false;
  }

  async #roundOrError(): Promise<boolean> {
    try {
      return await this.round();
    } catch (error) {
      this.#options.onUnexpected(error);
      return false;
    }
  }

  /** Whether the next one has his turn; a user for whom the store failed twice keeps nobody waiting. */
  async #isDone(user: UserId): Promise<boolean> {
    const isDone = (await this.#look(user)) || this.#failed === user;
    this.#failed = isDone ? null : user;
    return isDone;
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Returns whether he was looked at, or is another server's to look at. */
  async #look(user: UserId): Promise<boolean> {
    const { store, prune, rewrite, onLooked, onUnexpected } = this.#options;
    try {
      const { revision, historyFrom } = await store.check(user);
      onLooked(user, null);
      if (revision > historyFrom && (await this.#isTooOld(user, historyFrom + 1))) await prune(user);
      await rewrite?.(user);
      return true;
    } catch (error) {
      if (isMoved(error)) return true; // the server that has the user makes rounds, too
      if (!(error instanceof SyncError)) onUnexpected(error);
      else if (error.code === 'DOCUMENT_CORRUPT') {
        onLooked(user, error);
        return true;
      }
      return false;
    }
  }

  /** An entry that is damaged shows where somebody needs it. */
  async #isTooOld(user: UserId, revision: number): Promise<boolean> {
    const { store, historyDays, retention } = this.#options;
    const [row] = await store.history(user, { below: revision + 1, limit: 1 }).catch(orDamaged);
    const at = row && readEntry(row.entry)?.at;
    return at !== undefined && at < retention() - historyDays * DAY;
  }
}

function orDamaged(error: unknown): [] {
  if (error instanceof SyncError && error.code === 'DOCUMENT_CORRUPT') return [];
  throw error;
}

function paused(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    timer.unref();
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
