import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import type { KeyRing } from '../../server/store/encryption/key-ring.js';
import type { Database, Operation } from '../../server/store/level/database.js';
import { LevelStore, type LevelStoreOptions } from '../../server/store/level/level-store.js';

export const temporaryFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'store-'));

/** One folder, and what tests do to it. */
export class LevelFixture {
  readonly folder: string;
  store: LevelStore | null = null;
  /** Each batch goes through this first; a throw is a failed write. */
  beforeWrite: (operations: Operation[]) => void = () => {};
  /** Runs when a batch is on disk, before the store hears of it. */
  afterWrite: (operations: Operation[]) => void = () => {};
  private readonly root: string;
  private readonly keys: KeyRing | undefined;

  private constructor(root: string, keys?: KeyRing) {
    this.root = root;
    this.keys = keys;
    this.folder = join(root, 'data');
  }

  /** Encrypted where there are keys. */
  static async create(keys?: KeyRing): Promise<LevelFixture> {
    return new LevelFixture(await temporaryFolder(), keys);
  }

  async open(options: Partial<LevelStoreOptions> = {}): Promise<LevelStore> {
    this.store = await LevelStore.open({
      folder: this.folder,
      keys: this.keys,
      write: this.write,
      ...options,
    });
    return this.store;
  }

  failNextBatch(): void {
    this.beforeWrite = () => {
      this.beforeWrite = () => {};
      throw new Error('no space left on device (injected)');
    };
  }

  /** Works on the bare database while the store is closed, and opens the store again when it was open. */
  async edit(change: (db: Database) => Promise<void>): Promise<void> {
    const open = this.store?.state === 'ready';
    await this.store?.close();
    await editDatabase(this.folder, change);
    if (open) await this.open();
  }

  async copy(): Promise<string> {
    const copy = join(this.root, 'copy');
    await rm(copy, { recursive: true, force: true });
    await cp(this.folder, copy, { recursive: true });
    return copy;
  }

  async remove(): Promise<void> {
    await this.store?.close();
    await rm(this.root, { recursive: true, force: true });
  }

  private readonly write = async (db: Database, operations: Operation[]): Promise<void> => {
    this.beforeWrite(operations);
    await db.batch(operations, { sync: true });
    this.afterWrite(operations);
  };
}

export async function editDatabase<T>(folder: string, change: (db: Database) => Promise<T>): Promise<T> {
  const db: Database = new ClassicLevel(folder, { keyEncoding: 'view', valueEncoding: 'view' });
  try {
    return await change(db);
  } finally {
    await db.close();
  }
}

/** The open store's own connection: nobody else may open the folder meanwhile. */
export const databaseOf = (store: LevelStore): Database => (store as unknown as { db: Database }).db;

/** Flips bits of one byte of a stored value; the same call again restores it. */
export async function changeByte(db: Database, key: Uint8Array, position: number, bits = 1): Promise<void> {
  const value = await db.get(key);
  if (value === undefined) throw new Error('there is no such value');
  const changed = Uint8Array.from(value);
  changed[position] = (changed[position] ?? 0) ^ bits;
  await db.put(key, changed);
}
