/** The backups of a running server: one at a time, and when the last good one was made. */
import { SyncError } from '../errors.js';
import type { Log } from '../log.js';
import { VERSION } from '../package-folder.js';
import { LAST_BACKUP } from '../store/moving.js';
import type { Store } from '../store/store.js';
import { backUp, type NewBackup } from './backup.js';
import { RESTORED } from './restore.js';
import { removeStaleScratch } from './scratch.js';

export const PRODUCT = VERSION;

/** What is told of one that was made. */
export interface MadeBackup {
  readonly folder: string;
  readonly createdAt: string;
  readonly users: number;
  readonly rows: number;
  readonly bytes: number;
  readonly encrypted: boolean;
  readonly warnings: readonly string[];
}

export const told = ({ folder, manifest, warnings }: NewBackup): MadeBackup => {
  const { createdAt, users, rows, bytes, keys } = manifest;
  return { folder, createdAt, users, rows, bytes, encrypted: keys !== null, warnings };
};

interface BackupsOptions {
  readonly store: Store;
  readonly dataDir: string;
  readonly now: () => number;
  readonly log: Log;
}

export class Backups {
  readonly #options: BackupsOptions;
  #last: number | null = null;
  #restoredAt: number | null = null;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: BackupsOptions) {
    this.#options = options;
  }

  /** When the last good one was made, in ms since 1970; null where none is known of. */
  get lastAt(): number | null {
    return this.#last;
  }

  /** When the database was made of a backup, in ms since 1970; null where it was not. */
  get restoredAt(): number | null {
    return this.#restoredAt;
  }

  async open(): Promise<void> {
    await removeStaleScratch(this.#options.now());
    const noted = await this.#options.store.note(LAST_BACKUP);
    this.#last = noted && Date.parse(Buffer.from(noted).toString());
    const restored = await this.#options.store.note(RESTORED);
    this.#restoredAt = restored && Date.parse(Buffer.from(restored).toString());
  }

  /** Resolves once it is whole and on disk. */
  make(into: string, keep: number | undefined): Promise<MadeBackup> {
    const made = this.#running.then(() => this.#make(into, keep));
    this.#running = made.catch(() => {});
    return made;
  }

  async #make(into: string, keep: number | undefined): Promise<MadeBackup> {
    const { store, log, dataDir, now } = this.#options;
    const copy = store.copy?.bind(store);
    if (copy === undefined) throw new SyncError('BACKUP_FAILED', 'This store makes no backups.');
    const began = performance.now();
    try {
      const made = told(await backUp({ copy, into, dataDir, now, product: PRODUCT, keep }));
      this.#last = Date.parse(made.createdAt);
      const { folder, users, bytes } = made;
      log('backedUp', { folder, users, bytes, afterMs: Math.round(performance.now() - began) });
      for (const reason of made.warnings) log('backupWarned', { reason });
      await store.setNote(LAST_BACKUP, Buffer.from(made.createdAt));
      return made;
    } catch (error) {
      log('backupFailed', { error });
      throw error;
    }
  }
}
