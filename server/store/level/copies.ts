/** All rows of a database as they are at one moment, read while everything goes on. */
import type { Iterator, Snapshot } from 'classic-level';
import { SyncError } from '../../errors.js';
import type { CopiedRow, StoreCopy } from '../store.js';
import { type Database, readFailure } from './database.js';

/** So many bytes at once keep neither a thread nor the event loop for long. */
const CHUNK = 256 * 1024;
const ROWS = 1_000;

/** Those that are being read. They hold on to what was deleted since, so that an erasure ends them. */
export class Copies {
  readonly #open = new Set<DatabaseCopy>();

  begin(db: Database): StoreCopy {
    const copy = new DatabaseCopy(db, () => this.#open.delete(copy));
    this.#open.add(copy);
    return copy;
  }

  async end(): Promise<void> {
    await Promise.all([...this.#open].map((copy) => copy.end()));
  }
}

class DatabaseCopy implements StoreCopy {
  readonly #snapshot: Snapshot;
  readonly #rows: Iterator<Database, Uint8Array, Uint8Array>;
  readonly #onClosed: () => void;
  #isEnded = false;

  constructor(db: Database, onClosed: () => void) {
    this.#onClosed = onClosed;
    this.#snapshot = db.snapshot();
    this.#rows = db.iterator({ snapshot: this.#snapshot, highWaterMarkBytes: CHUNK });
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  async next(): Promise<readonly CopiedRow[]> {
    if (this.#isEnded) throw new SyncError('STORE_UNAVAILABLE');
    try {
      return await this.#rows.nextv(ROWS);
    } catch (cause) {
      this.#isEnded ||= isClosed(cause);
      throw readFailure(cause);
    }
  }

  end(): Promise<void> {
    this.#isEnded = true;
    return this.close();
  }

  async close(): Promise<void> {
    this.#onClosed();
    await this.#rows.close();
    await this.#snapshot.close();
  }
}

/** The database was closed, to be opened anew. */
const isClosed = (cause: unknown): boolean =>
  cause instanceof Error && 'code' in cause && /_NOT_OPEN$/.test(String(cause.code));
