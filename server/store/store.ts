import type { DeviceKey, UserId } from '../../shared/names.js';
import { SyncError } from '../errors.js';
import type { KeyRing } from './encryption/key-ring.js';

/** What the store holds of one user and gives at a load. */
export interface StoredDocument {
  /** Yjs V1 updates in the order of their commits; empty for a user never met. Apply them one by one. */
  readonly updates: readonly Uint8Array[];
  /** The user's change counter at the last commit; 0 for a user never met. */
  readonly revision: number;
  /** What the document has to remember beside its content (opaque to the store); `null` if nothing yet. */
  readonly memory: Uint8Array | null;
  /** What is known of each device of the user (opaque to the store). One whose bytes are damaged is left out. */
  readonly devices: ReadonlyMap<DeviceKey, Uint8Array>;
  /** The history reaches back to the state at this revision: the entries of all later ones are there. */
  readonly historyFrom: number;
  /** What was handed to the last `erase` of this user (opaque to the store); `null` if there was none. */
  readonly tombstone: Uint8Array | null;
  /** What was handed over when the document was last written anew (opaque to the store); `null` if it never was. */
  readonly epoch: Uint8Array | null;
  /** What is noted of it, as far as that still holds. */
  readonly rest: RestRow | null;
}

/** What tells of the documents that were erased, or written anew. */
export type Former = Pick<StoredDocument, 'tombstone' | 'epoch'>;

/** One change of a document; its parts become durable together or not at all. */
export interface Commit {
  /** One Yjs V1 update; `null` where only devices change. */
  readonly update: Uint8Array | null;
  readonly revision: number;
  /** Replaces the document's memory; `undefined` leaves it as it is. */
  readonly memory?: Uint8Array | undefined;
  /**
   * The entries (opaque) of the last revisions, the last one being that of `revision`. A revision without an entry
   * ends what the history reaches back to.
   */
  readonly history?: readonly Uint8Array[] | undefined;
  /** Replaces the states of these devices; `null` removes one. */
  readonly devices?: ReadonlyMap<DeviceKey, Uint8Array | null> | undefined;
}

/** The whole document as one update, taken after all commits that were handed over before, unless `replaces` is set. */
export interface Snapshot {
  readonly update: Uint8Array;
  /**
   * It takes the place of so many of the oldest stored updates, in their order the first of those that stay; at least
   * one. Then it changes nothing else, and `revision` and `memory` stay what the commits made them.
   */
  readonly replaces?: number;
  /** The Yjs state vector of `update`. */
  readonly stateVector: Uint8Array;
  readonly revision: number;
  readonly memory?: Uint8Array | undefined;
  /** Where the content was written anew (P10): replaces what is remembered of the documents before. */
  readonly epoch?: Uint8Array | undefined;
}

/** What can be told of a document at rest, so that it need not be loaded for that. */
export interface RestRow {
  readonly revision: number;
  /** The Yjs state vector. */
  readonly stateVector: Uint8Array;
  /** All deletions, as an update without structs: equal state vectors don't mean equal deletions. */
  readonly deletions: Uint8Array;
  /** It is stored as one update, in which nothing is that was deleted. */
  readonly isWhole: boolean;
  /** Its records are stored as JSON, too: `view` tells them. */
  readonly hasView: boolean;
  /** Of its updates, as they are stored; left out by what an earlier version noted. */
  readonly bytes?: number | undefined;
  /** When a record was last changed, in ms since 1970; left out where that is not known. */
  readonly changedAt?: number | undefined;
}

/** What one revision changed, as it was handed over. */
export interface HistoryRow {
  readonly revision: number;
  readonly entry: Uint8Array;
}

/** A record that was deleted, or changed, and is remembered as such when its history is gone. */
export interface Deletion {
  readonly collection: string;
  readonly id: string;
  /** That of its last deletion; 0 where it was never deleted. */
  readonly revision: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** What is remembered of its changes since (opaque to the store); not empty. */
  readonly changes?: Uint8Array | undefined;
}

/** A row of the store as it is stored, encrypted or with its checksum; what it means is the store's own affair. */
export type CopiedRow = readonly [key: Uint8Array, value: Uint8Array];

/** All that is stored, of one moment. */
export interface StoreCopy {
  /** An erasure, or a store that was opened anew, ended it early: another one has to be begun. */
  readonly isEnded: boolean;
  /** Some more of it, in the order of the keys; none at the end. Rejects where it was ended early. */
  next(): Promise<readonly CopiedRow[]>;
  close(): Promise<void>;
}

/** Tokens that were taken back, as all servers of the store know them. */
export interface SharedRevocations {
  /** Resolves once it is durable, and every other server has taken it, or shows and saves nothing any more. */
  add(line: string): Promise<void>;
  /** To be called once: hands over all that are there before it resolves, each later one a moment after it was added. */
  follow(take: (line: string) => void): Promise<void>;
}

/** One of the servers that share a store, as it is known to all. */
export interface NodeState {
  /** Its name; another one after each start. */
  readonly node: string;
  /** Where the others reach it; empty where it is alone. */
  readonly address: string;
  /** Of the software; empty for one that does not tell. */
  readonly version: string;
  /** Milliseconds since 1970, by the clock of the store. */
  readonly startedAt: number;
  /** When it was last heard of, in ms before now. */
  readonly silentFor: number;
  /** How many users it has. */
  readonly users: number;
  /** How many users it has taken since its start that another one had: one that was stopped, killed or not reached. */
  readonly taken: number;
  /** It is the one that was asked. */
  readonly here: boolean;
}

/** Another server that has a user, where several share a store. */
export interface Owner {
  readonly node: string;
  /** Where the others reach it. */
  readonly address: string;
}

/** How a server tells the others that share its store that it lives, and what it hears then. */
export interface Beat {
  /** How long ago it last did, in ms. */
  readonly age: number;
  /** By how much its clock is ahead of that of the store, in ms, less than 0 where it is behind; 0 where they may be the same. */
  readonly clockAhead: number;
}

/** The cause of what a server is refused that has lost a user to another one. */
export class Moved extends Error {
  constructor() {
    super('another node has the user');
  }
}

export const isMoved = (error: unknown): boolean =>
  error instanceof SyncError && error.cause instanceof Moved;

/** `slow` works as `ready` does, but somebody waits for the disk for so long that it may hang. */
export type StoreState = 'ready' | 'slow' | 'reopening' | 'closed';

/** Whether a store in this state takes loads and commits. */
export const takesWork = (state: StoreState): boolean => state === 'ready' || state === 'slow';

/**
 * Where documents are kept. What an implementation promises (the contract suite in
 * test/contract/store-contract.ts holds each of them to it):
 *
 * - `commit`, `compact` and `prune` take effect in the order of the calls, and resolve in that order per user. A
 *   promise resolves only once its change is durable, and rejects with `NOT_SAVED` otherwise; nothing is retried.
 * - Commits of all users that arrive while one batch is written go into the next batch together.
 * - After a rejection the user must be loaded again before its next commit (a commit before that rejects too):
 *   the failed change may or may not be in the store, and a load tells which.
 * - A store that failed reopens by itself; meanwhile `state` is `reopening`, loads and commits reject with
 *   `STORE_UNAVAILABLE` / `NOT_SAVED`, and users without a change in flight need no reload afterwards.
 * - Where the disk hangs, nobody waits for ever: the change is given up as one that failed, and a load, or a look
 *   into the history, rejects with `STORE_UNAVAILABLE`. Until the disk has answered, the user can't be loaded.
 * - `load` rejects with `DOCUMENT_CORRUPT` if any stored byte of this user's document is damaged or missing, and
 *   never returns a part. Other users are not affected, and the damaged bytes are left as they are. Damage in a
 *   device's state or in the history never keeps a document from being loaded.
 */
export interface Store {
  readonly state: StoreState;
  /** Counts up at each (re)open: server-made Yjs client ids must be fresh for each value (P6). */
  readonly generation: number;
  load(user: UserId): Promise<StoredDocument>;
  commit(user: UserId, commit: Commit): Promise<void>;
  /** Replaces all earlier updates of the user, or the oldest ones, by one, in one atomic step. */
  compact(user: UserId, snapshot: Snapshot): Promise<void>;
  /**
   * Entries of revisions below `below`, newest first, at most `limit` of them; ends early at `historyFrom`. Sees all
   * that was committed before the call. Rejects with `DOCUMENT_CORRUPT` where an entry is damaged or missing that
   * should be there (nothing newer is affected: ask for fewer).
   */
  history(user: UserId, range: { below: number; limit: number }): Promise<readonly HistoryRow[]>;
  /**
   * Removes the entries up to and including revision `upTo`, and remembers these deletions for good, in one atomic
   * step; the same record again replaces. The user must be loaded. Ordered like a commit.
   */
  prune(user: UserId, upTo: number, deletions: readonly Deletion[]): Promise<void>;
  /** The deletions and changes that prune was told to remember, in no order. */
  deletions(user: UserId): Promise<readonly Deletion[]>;
  /**
   * Removes all that is stored of the user, from memory and from every file, but for the tombstone. From the next
   * load on the document is empty, and its revision one higher than it was, with a history that begins there. What
   * was handed over before is removed too; nobody may use the document meanwhile, and a load waits. Works on a
   * damaged document. Resolves when the bytes are gone; after a rejection the user may be erased or not, and
   * calling it again finishes it.
   */
  erase(user: UserId, tombstone: Uint8Array): Promise<void>;
  /** What the server noted under this name, which belongs to no user; `null` if nothing, or it is damaged. */
  note(name: string): Promise<Uint8Array | null>;
  /** Notes it anew; ordered like a commit. */
  setNote(name: string, value: Uint8Array): Promise<void>;
  /**
   * Notes what `rest` tells of the document as it is after all that was handed over; `revision` has to be its own. The
   * user must be loaded. Ordered like a commit; where it is lost, nothing else is.
   *
   * @param view its records as JSON (opaque), where `hasView` says that they are there; left out, those of before stay
   */
  putToRest(user: UserId, row: RestRow, view?: Uint8Array): Promise<void>;
  /**
   * What was noted of the document as it is stored, without loading it; `null` where nothing was, or something was
   * committed since that is more than devices or memory. Sees all that was committed before the call. Damage shows
   * when the document is read.
   */
  rest(user: UserId): Promise<RestRow | null>;
  /** The same where nothing has to be read for it; `null` says nothing. Left out by a store that keeps none at hand. */
  restAtHand?(user: UserId): RestRow | null;
  /**
   * The one update that a document at rest is stored as; `null` where it is not whole or has another revision by now.
   * Rejects with `DOCUMENT_CORRUPT` where it is damaged.
   */
  whole(user: UserId, revision: number): Promise<Uint8Array | null>;
  /**
   * What tells of the documents before this one, read by itself, so that it is there where the document is damaged;
   * what is damaged of it is left out. Sees all that was handed over before the call.
   */
  former(user: UserId): Promise<Former>;
  /**
   * When a native device that can't go on after a rewrite was last there, in ms since 1970; `null` if none was, or it is
   * damaged. Sees all that was handed over before the call.
   */
  plainVisit(user: UserId): Promise<number | null>;
  /** Notes such a visit; the user need not be loaded. Ordered like a commit; an erasure removes it. */
  notePlainVisit(user: UserId, at: number): Promise<void>;
  /**
   * What was noted of the devices of a user who were there (opaque to the store); `null` if nothing was, or it is
   * damaged. Sees all that was handed over before the call.
   */
  seen(user: UserId): Promise<Uint8Array | null>;
  /**
   * Notes it anew, of a user who has a document that need not be loaded. Ordered like a commit; an erasure removes it.
   */
  noteSeen(user: UserId, seen: Uint8Array): Promise<void>;
  /**
   * What was handed over as the view of a document at rest; `null` where there is none, or another revision is
   * stored by now. Rejects with `DOCUMENT_CORRUPT` where it is damaged.
   */
  view(user: UserId, revision: number): Promise<Uint8Array | null>;
  /** The state of one device, without loading the document; `null` where there is none, or it is damaged. */
  device(user: UserId, device: DeviceKey): Promise<Uint8Array | null>;
  /** As in a commit, of a user who has a document that need not be loaded. Ordered like a commit. */
  saveDevices(user: UserId, devices: ReadonlyMap<DeviceKey, Uint8Array | null>): Promise<void>;
  /**
   * From here on these are the master keys: what was made with others is made anew, while everything goes on.
   * Resolves when only the current one is in use. Left out by a store that encrypts nothing.
   *
   * @throws SyncError with a sentence, where one that is in use is missing
   */
  changeKeys?(ring: KeyRing): Promise<void>;
  /**
   * All that is stored now, to be read while everything goes on; holds up no erasure, which ends it. Left out by a
   * store that has no such thing.
   */
  copy?(): Promise<StoreCopy>;
  /** Users of whom a document is stored, damaged or not, in the order of `byBytes`: at most `limit` behind this one. */
  users(after: UserId | null, limit: number): Promise<readonly UserId[]>;
  /**
   * Reads and checks all of the document that a load does, without loading it. Rejects as `load` does; tells what the
   * history reaches back to.
   */
  check(user: UserId): Promise<Pick<StoredDocument, 'revision' | 'historyFrom'>>;
  /**
   * Resolves when all that was durable at the call, by any server, was loaded or committed here: what this server shows
   * of the user is not out of date. Rejects with `STORE_UNAVAILABLE` where another one has the user. Ordered like a
   * commit. Left out by a store that has one server.
   */
  confirm?(user: UserId): Promise<void>;
  /**
   * The other server that has the user; `null` where there is none, and from now on it is this one.
   *
   * @param relieved a server that can't be reached, and loses the user
   */
  owner?(user: UserId, relieved?: string): Promise<Owner | null>;
  /** Of these users, those who may not be this server's any more, all at once. Left out by a store that has one server. */
  lost?(users: readonly UserId[]): Promise<readonly UserId[]>;
  /** Of these servers, by their `node`, those whose users go to who asks next. Left out by a store that has one server. */
  gone?(nodes: readonly string[]): Promise<readonly string[]>;
  /**
   * Tells the store of the documents of this server. It calls `lose` where a user was lost, or a change of the user's
   * may not be stored: what was loaded before is not shown any more, also where the server has the user again since.
   */
  serve?(documents: {
    /** Whether somebody uses the document, or follows it. */
    isInUse(user: UserId): boolean;
    /** @param error left out where another server has taken over */
    lose(user: UserId, error?: SyncError): void;
  }): void;
  /** Nobody here has to do with the user any more: another server may have the user. Does nothing while it is loaded. */
  letGo?(user: UserId): Promise<void>;
  /** The servers that share it and were not stopped. Left out by a store that has one server. */
  nodes?(): Promise<readonly NodeState[]>;
  /** Left out by a store that has one server. */
  readonly beat?: Beat;
  /** Left out by a store that has one server. */
  readonly revocations?: SharedRevocations;
  /** The user's document is no longer in use; drops what the store holds for it in memory. */
  forget(user: UserId): void;
  /** Calls back at each change of `state`; returns the unsubscribe function. */
  onState(listener: (state: StoreState, cause?: unknown) => void): () => void;
  /** Writes what was handed over, then closes. Later calls reject with `STORE_UNAVAILABLE`. */
  close(): Promise<void>;
}
