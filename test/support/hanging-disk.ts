import type { Database, Operation } from '../../server/store/level/database.js';
import type { LevelStore } from '../../server/store/level/level-store.js';
import { databaseOf } from './level-fixture.js';

/** A disk that hangs when a test says so: what is asked of it meanwhile is answered later, and never refused. */
export class HangingDisk {
  #asked = (): void => {};
  #gate: Promise<void> = Promise.resolve();
  #open = (): void => {};

  /** The function that it returns answers what was asked for until the next call. */
  hang(): () => void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
    return this.#open;
  }

  answer(): void {
    this.#open();
  }

  /** Resolves when the next one is asked of it. */
  nextBatch(): Promise<void> {
    return new Promise((resolve) => {
      this.#asked = resolve;
    });
  }

  /** For `LevelStoreOptions`. */
  readonly write = async (db: Database, operations: Operation[]): Promise<void> => {
    this.#asked();
    await this.#gate;
    await db.batch(operations, { sync: true });
  };

  /** Reads hang, too, from now on. */
  alsoReads(store: LevelStore): void {
    const db = databaseOf(store);
    const getMany = db.getMany.bind(db) as (...args: unknown[]) => Promise<never>;
    Object.assign(db, {
      getMany: async (...args: unknown[]) => {
        await this.#gate;
        return getMany(...args);
      },
    });
  }
}
