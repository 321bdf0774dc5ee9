/** The documents that can't be loaded, for the log and the operator. */
import type { UserId } from '../shared/names.js';
import type { SyncError } from './errors.js';
import type { Log } from './log.js';

export interface Damage {
  readonly user: UserId;
  readonly reason: string;
  /** When that was found, in ms since 1970. */
  readonly at: number;
}

/** Of whom the operator is told without asking for one. */
const MOST = 100;

export class DamagedDocuments {
  readonly #log: Log;
  readonly #now: () => number;
  readonly #all = new Map<UserId, Damage>();

  constructor(log: Log, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** At most 100 of them. */
  get first(): readonly Damage[] {
    return [...this.#all.values()].slice(0, MOST);
  }

  has(user: UserId): boolean {
    return this.#all.has(user);
  }

  /** A document has failed, or was looked at and is whole. */
  note(user: UserId, error: SyncError | null): void {
    if (error === null || error.code === 'ERASED') this.#all.delete(user);
    if (error?.code !== 'DOCUMENT_CORRUPT') return;
    const reason = error.cause instanceof Error ? error.cause.message : error.message;
    this.#log('documentQuarantined', { user, reason });
    this.#all.set(user, { user, reason, at: this.#now() });
  }
}
