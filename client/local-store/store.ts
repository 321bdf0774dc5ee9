/**
 * What a device keeps (C5). One small interface; IndexedDB, AsyncStorage, SQLite, LevelDB and memory implement it,
 * and test/contract/local-store-contract.ts says in tests what stands here in words.
 */
import type { StorageError } from '../errors.js';

/** A change as it is stored. What the bytes mean is the replica's business. */
export interface NewChange {
  readonly bytes: Uint8Array;
  /** Made on this device, and not yet confirmed by the server (C4). The mark is stored with the change itself. */
  readonly pending: boolean;
}

export interface StoredChange extends NewChange {
  /** Grows from one change to the next, in the order in which they were stored; never given twice. */
  readonly key: number;
}

/** What others that share this store (tabs of one browser) did since the last call, and at first everything. */
export interface StoreNews {
  /** Changes that this instance has neither stored nor been told of, in the order of their keys. */
  readonly changes: readonly StoredChange[];
  /**
   * The keys of all changes that are pending now, whoever stored them. `null` where only this instance can write
   * and it was told before: it knows.
   */
  readonly pending: ReadonlySet<number> | null;
}

/**
 * The changes of one user on this device.
 *
 * - Calls are carried out in the order in which they are made, one at a time, across all tabs that share the store.
 * - A promise resolves once its effect survives the end of the process. It rejects with a `StorageError`, and then
 *   nothing of the call was stored. After a rejection with UNAVAILABLE the instance is of no further use.
 * - Byte arrays are not changed by anyone after they were handed over.
 */
export interface LocalStore {
  /**
   * Calls `step` with the news and stores the changes that it returns, all or none. No other tab writes between
   * the two: a change that is made inside `step` is made in full knowledge of all others (C9). `step` is called
   * once at most, must not wait, and what it throws rejects the promise; the news then counts as told.
   *
   * Resolves with the keys of the new changes, in their order. The first call tells all that is stored.
   *
   * @param anew they take the place of everything that was there, pending or not, at once; all of it is told again
   */
  append(step: (news: StoreNews) => readonly NewChange[], anew?: boolean): Promise<readonly number[]>;

  /** Takes the mark `pending` off these changes. Keys that are not there (any more) are passed over. */
  confirm(keys: readonly number[]): Promise<void>;

  /**
   * Replaces every change up to `key` that is not pending by `snapshot`, which contains them all. A crash at any
   * moment leaves the changes, the snapshot, or both. Resolves with the key of the snapshot. Where there is no
   * change up to `key`, nothing is stored: another tab has put something else in the place of all of them.
   */
  compact(key: number, snapshot: Uint8Array): Promise<number>;

  /** Deletes everything and closes, for all tabs: they get `onGone(reason)`. It closes also when it rejects. */
  clear(reason: ClearReason): Promise<void>;

  /**
   * Waits for what was asked for, then closes; has to be called after a failure, too. Calls after it reject with
   * UNAVAILABLE, but for another `close`.
   */
  close(): Promise<void>;
}

/**
 * Why everything was deleted: `cleared` for good, as by a logout; `emptied` to begin anew, when nothing was known to
 * be pending; `discarded`, the same whatever was pending; `erased`, since the server has erased the user.
 */
export type ClearReason = 'cleared' | 'emptied' | 'discarded' | 'erased';

export interface LocalStoreEvents {
  /** Another tab stored or confirmed something: the next `append` will tell. */
  onNews(): void;
  /**
   * The store is gone: deleted by another tab on purpose, or `lost` (deleted by the browser or the user, or taken by
   * a newer version of the app). The instance is of no further use.
   */
  onGone(how: ClearReason | 'lost'): void;
  /** Something that the app should know and that is not the failure of a call. */
  onError(error: StorageError): void;
}

/** Where a platform keeps things. */
export interface DeviceStorage {
  /** For people, as in 'IndexedDB'. */
  readonly name: string;
  /** What is written here survives the end of the process; `false` for memory. */
  readonly durable: boolean;
  /**
   * Opens the store of that name (it names the user), or makes it. Rejects with a `StorageError`; what can't be
   * read is CORRUPT here, or at the first `append`. Where nothing is shared, a name that is open already is
   * UNAVAILABLE; one that is about to close is waited for.
   */
  open(name: string, events: LocalStoreEvents): Promise<LocalStore>;
  /**
   * Deletes the store of that name, also one that can't be opened. Rejects with a `StorageError` where it is in use
   * elsewhere. Left out: only what can be opened can be deleted.
   */
  remove?(name: string): Promise<void>;
  /** A few short texts beside the stores, such as the device id. Reject with a `StorageError`. */
  readSetting(name: string): Promise<string | null>;
  /** `null` removes it. */
  writeSetting(name: string, value: string | null): Promise<void>;
  /**
   * A number from 0 on that no other tab or process holds for the store of that name; null where all are held. Left
   * out where it can't be told whether others write to it, or where the device's backups copy what is stored.
   */
  claimSlot?(name: string): Promise<SlotClaim | null>;
}

export interface SlotClaim {
  readonly slot: number;
  /** Once, when nothing is written any more. The end of the process releases it, too. */
  release(): void;
}
