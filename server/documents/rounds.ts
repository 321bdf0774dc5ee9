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
      await this.round().catch(this.#options.onUnexpected);
      await this.#pause(Math.max(PAUSE, ROUND_INTERVAL - (performance.now() - began)));
    }
  }

  close(): void {
    this.#stop.abort();
  }

  /** One round; it ends early where the store fails. */
  async round(): Promise<void> {
    let users: readonly UserId[] = [];
    do {
      if (!takesWork(this.#options.store.state)) return;
      users = await this.#options.store.users(users.at(-1) ?? null, PAGE);
      for (const user of users) {
        if (this.#isStopped || !(await this.#look(user))) return;
        await this.#pause(PAUSE);
      }
    } while (users.length > 0);
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  /** Returns whether the store works. */
  async #look(user: UserId): Promise<boolean> {
    const { store, prune, rewrite, onLooked } = this.#options;
    try {
      const { revision, historyFrom } = await store.check(user);
      onLooked(user, null);
      if (revision > historyFrom && (await this.#isTooOld(user, historyFrom + 1))) await prune(user);
      await rewrite?.(user);
      return true;
    } catch (error) {
      if (!(error instanceof SyncError)) throw error;
      if (isMoved(error)) return true; // the server that has the user makes rounds, too
      if (error.code === 'DOCUMENT_CORRUPT') onLooked(user, error);
      return error.code === 'DOCUMENT_CORRUPT';
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
