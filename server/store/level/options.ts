import type { DiskPatience } from '../disk-watch.js';
import type { Retrying } from '../try-until.js';
import type { Database, Operation } from './database.js';
import type { Opening } from './opening.js';

export interface LevelStoreOptions extends Opening, Retrying {
  /** How long the disk may take. */
  readonly patience?: DiskPatience;
  /** How much of what is noted of documents at rest is kept at hand, in bytes; left out, nothing. */
  readonly restBudget?: number | undefined;
  /** For tests: how a batch is written. */
  readonly write?: (db: Database, operations: Operation[]) => Promise<void>;
}
