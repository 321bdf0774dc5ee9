import { SyncError } from '../../errors.js';
import type { KeyRing } from '../encryption/key-ring.js';
import { CipherVaults, type Vaults } from '../encryption/vault.js';
import * as format from '../format.js';
import { type DatabaseAccess, Turns } from './access.js';
import { type Database, del, type Operation, readFailure } from './database.js';
import { type EncryptionMark, mustHave, noteKeysInUse, putMark, readMark, rewrapSome } from './encryption.js';
import { erasureOf, removeLeftovers, rewriteRanges, type Staying } from './erasure.js';

export interface MaintenanceOptions {
  readonly folder: string;
  readonly access: DatabaseAccess;
  readonly db: () => Database;
  /** Durably, after all changes that were handed over before. */
  readonly write: (operations: Operation[]) => Promise<void>;
  /** Closes and opens the database; nobody uses it meanwhile. */
  readonly reopen: () => Promise<void>;
  /** Copies hold on to what was deleted. */
  readonly endCopies: () => Promise<void>;
  readonly vaults: Vaults;
}

/** An erasure is not told to be done while a copy of the user may lie beside; the next start goes on with it. */
function mustBeGone([staying]: readonly Staying[]): void {
  if (staying === undefined) return;
  const { path, error } = staying;
  throw new SyncError(
    'STORE_UNAVAILABLE',
    `The user is out of the database, and may still be in ${path}, which can't be removed: give it to the user that runs the server, or remove it, and erase again.`,
    { cause: error },
  );
}

/** What concerns more than one document's values: erasures and new master keys. They never meet. */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  readonly #turns = new Turns();

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  ended(): Promise<void> {
    return this.#turns.ended();
  }

  erase(user: string, tombstone: Uint8Array): Promise<void> {
    return this.#turns.take(() => this.#erase(user, tombstone));
  }

  async #erase(user: string, tombstone: Uint8Array): Promise<void> {
    const { access, db, endCopies, folder, reopen, write } = this.#options;
    await write(await access.shared(() => erasureOf(db(), user, tombstone)));
    try {
      // Who began to read before may hold on to what was deleted, and to the files that it is in.
      await access.settled();
      await endCopies();
      await access.shared(() => rewriteRanges(db(), user));
      await access.alone(async () => {
        await reopen();
        mustBeGone(await removeLeftovers(folder));
      });
    } catch (cause) {
      throw cause instanceof SyncError ? cause : readFailure(cause);
    }
    await write([del(format.erasingKey(user))]);
  }

  async changeKeys(ring: KeyRing): Promise<void> {
    const { vaults } = this.#options;
    if (!(vaults instanceof CipherVaults)) return;
    const mark = await this.#turns.take(() => this.#announce(ring, vaults));
    if (mark === null) return;
    let after: string | null = null;
    do after = await this.#turns.take(() => this.#rewrap(ring, after));
    while (after !== null);
    await this.#turns.take(() => this.#mark({ state: 'encrypted', keys: [ring.current.id] }));
  }

  /** The new key is known to the database before anything needs it; `null` where nothing needs another one. */
  async #announce(ring: KeyRing, vaults: CipherVaults): Promise<EncryptionMark | null> {
    const { access, db, write } = this.#options;
    const mark = await access.shared(() => readMark(db()));
    if (mark === null) return null;
    mustHave(ring, mark);
    const keys = [...new Set([ring.current.id, ...mark.keys])];
    if (keys.length > mark.keys.length) await this.#mark({ ...mark, keys });
    vaults.ring = ring;
    await write([]); // changes that were handed over before have the old key
    return keys.length === 1 ? null : mark;
  }

  async #rewrap(ring: KeyRing, after: string | null): Promise<string | null> {
    const { access, db, write } = this.#options;
    const { operations, next } = await access.shared(() => rewrapSome(db(), ring, after));
    await write(operations);
    return next;
  }

  async #mark(mark: EncryptionMark): Promise<void> {
    await this.#options.write([putMark(mark)]);
    await noteKeysInUse(this.#options.folder, mark);
  }
}
