import type { Clock } from '../../platform/platform.js';

export interface IndexedDbOptions {
  /** Names of databases begin with it. */
  readonly prefix?: string;
  /** How long opening or deleting may wait for other tabs, in ms; then it is BLOCKED. */
  readonly openTimeout?: number;
  /** How long a transaction may take, in ms; then the store is UNAVAILABLE. */
  readonly answerTimeout?: number;
  readonly clock?: Clock;
}

export type IndexedDbLimits = Required<IndexedDbOptions>;
