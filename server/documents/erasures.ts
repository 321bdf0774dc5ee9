/** Erases all data of a user (P7): what is in memory, what is stored, and what was noted. */
import type { UserId } from '../../shared/names.js';
import { SyncError } from '../errors.js';
import type { Store } from '../store/store.js';
import type { SeenDevices } from './seen-devices.js';
import type { FollowedDocuments } from './sleep/followed-documents.js';
import { type Erasable, erasableOf, Tombstone } from './tombstone.js';
import type { UserDocument } from './user-document.js';

export interface ErasuresOptions {
  readonly store: Store;
  readonly seen: Pick<SeenDevices, 'without'>;
  readonly followed: Pick<FollowedDocuments, 'noted' | 'devices' | 'fail'>;
  /** Loads the document although it is about to be erased. */
  readonly open: (user: UserId) => Promise<{ readonly document: UserDocument; readonly release: () => void }>;
  /** The time that goes into the tombstone, in ms since 1970. */
  readonly erasedAt: () => number;
  readonly onBegun: (user: UserId) => void;
}

export class Erasures {
  readonly #options: ErasuresOptions;
  readonly #underWay = new Map<UserId, Promise<boolean>>();

  constructor(options: ErasuresOptions) {
    this.#options = options;
  }

  isUnderWay(user: UserId): boolean {
    return this.#underWay.has(user);
  }

  /** Resolves when no erasure of the user is under way; whether it failed is told to who asked for it. */
  over(user: UserId): Promise<void> | undefined {
    const ended = () => {};
    return this.#underWay.get(user)?.then(ended, ended);
  }

  /** See `DocumentRegistry.erase`; who asks while one is under way gets the answer of that. */
  erase(user: UserId): Promise<boolean> {
    const begin = () =>
      this.#options.seen.without(user, () => this.#erase(user)).finally(() => this.#underWay.delete(user));
    const erasure = this.#underWay.get(user) ?? begin();
    this.#underWay.set(user, erasure);
    return erasure;
  }

  async #erase(user: UserId): Promise<boolean> {
    this.#options.onBegun(user);
    const lease = await this.#options.open(user).catch((error: unknown) => {
      if (error instanceof SyncError && error.code === 'DOCUMENT_CORRUPT') return null;
      throw error;
    });
    const document = lease?.document ?? null;
    const hadData = document === null || document.hasData;
    try {
      if (document === null) await this.#eraseDamaged(user);
      else await this.#eraseInUse(document);
      return hadData;
    } finally {
      lease?.release();
    }
  }

  /** What was noted of it at rest still tells who had written, so that they bring nothing back. */
  async #eraseDamaged(user: UserId): Promise<void> {
    const { store, followed } = this.#options;
    const noted = followed.noted(user) ?? (await store.rest(user).catch(() => null));
    try {
      const devices = followed.devices(user)?.keys ?? [];
      const former = await store.former(user);
      await this.#eraseStored(user, erasableOf({ noted, devices, former }));
    } catch (error) {
      followed.fail(user, new SyncError('DOCUMENT_CORRUPT'));
      throw error;
    }
    followed.fail(user, new SyncError('ERASED'));
  }

  async #eraseInUse(document: UserDocument): Promise<void> {
    await document.exclusive(async () => {
      await this.#eraseStored(document.user, document);
      throw new SyncError('ERASED'); // ends this document, and sends everybody away
    });
    if (document.failure?.code !== 'ERASED') throw document.failure;
  }

  async #eraseStored(user: UserId, document: Erasable): Promise<void> {
    const { store, erasedAt } = this.#options;
    await store.erase(user, Tombstone.of(document, erasedAt()).encode());
  }
}
