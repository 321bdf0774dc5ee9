/** The types of the public API. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { StorageError } from '../errors.js';
import type { DeviceStorage } from '../local-store/store.js';
import type { Connectivity, Fetch, WebSocketConstructor } from '../platform/platform.js';
import type { Presence } from '../presence/presence.js';
import type { RefusedChange } from '../refused/refused-changes.js';
import type { ConnectionState, Observable, SyncStatus } from '../status.js';
import type { SyncedCollections } from './collections.js';

/** A record of a collection whose type the app has not declared. */
export interface SyncRecord {
  readonly id: string | number;
  readonly [field: string]: unknown;
}

/** A collection name; those that the app declared in `SyncedCollections` are typed. */
export type CollectionKey = keyof SyncedCollections | (string & {});
export type RecordOf<Name extends string> = Name extends keyof SyncedCollections
  ? SyncedCollections[Name]
  : SyncRecord;
/** What `addData` takes: the id may be left out. */
export type NewRecord<Row> = Omit<Row, 'id'> & { readonly id?: string | number };

/** What `updateData` takes: fields that are not named are kept, `undefined` removes one. */
export type Changes<Row> = { readonly [Field in keyof Row]?: Row[Field] | undefined };

export interface UpdateOptions<Row> {
  /**
   * The record as it was when the form was opened: only what `changes` has different from it is written, so that
   * what came meanwhile stays (C14).
   */
  readonly base?: Changes<Row> | undefined;
}

export type Schemas = { readonly [Name in CollectionKey]?: StandardSchemaV1 };

export interface SyncOptions {
  /** `http://host:3001` or `https://…`. */
  readonly serverUrl: string;
  readonly userId: string;
  /** Made once and kept where it is not given. */
  readonly deviceId?: string;
  /** The version of your app, for the list of devices of the server's operator; at most 64 characters. */
  readonly appVersion?: string;
  /** Connects at once. Default: true. */
  readonly autoConnect?: boolean;
  /** Called anew for each attempt to connect; null for none. */
  readonly getToken?: () => string | null | Promise<string | null>;
  /** Where this device keeps its data. Default: that of the platform. */
  readonly storage?: DeviceStorage;
  /**
   * Collections that belong to nobody and that everybody reads, as `SHARED_COLLECTIONS` of the server names them;
   * `['doctors']`, for instance. Named here too, since it has to be known while there is no connection yet.
   */
  readonly sharedCollections?: readonly string[];
  /** Any Standard Schema (zod, valibot, arktype …) by collection; records are checked, never transformed. */
  readonly schemas?: Schemas;
  /** Local storage failed, and the app goes on in memory; or it works again (null). */
  readonly onStorageError?: (error: StorageError | null) => void;
  readonly WebSocket?: WebSocketConstructor;
  readonly fetch?: Fetch;
  readonly connectivity?: Connectivity;
}

/** What `getConfig` tells and `loadSavedConfig` brings back; functions and tokens are never saved. */
export interface SavedConfig {
  readonly serverUrl: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly autoConnect: boolean;
}

/** The status in the words of the JSON client, and those of `SyncStatus` beside them. */
export interface LegacySyncStatus extends SyncStatus {
  readonly connected: boolean;
}

/** What `subscribe` tells. */
export type ChangeEvent<Row = SyncRecord> =
  | {
      readonly operation: 'add' | 'update' | 'delete';
      /** The record; as it last was, for `delete`. */
      readonly data: Row;
      readonly collection: string;
    }
  | {
      /** Everything was read anew: at the start, when it is connected, and for another user. */
      readonly operation: 'sync';
      /** All records. */
      readonly data: readonly Row[];
      readonly collection: string;
    };

/** One collection, as screens look at it: synchronous, and stable where nothing changed. */
export interface CollectionView<Row = SyncRecord> {
  /** All records in the order of their ids: the same array until one changes. */
  readonly records: readonly Row[];
  /** Local data is loaded. */
  readonly loaded: boolean;
  /** The same object until this record changes; null where there is none. */
  get(id: string | number): Row | null;
  /** Calls after each change, with the ids that changed; null: all of it. Returns what ends it. */
  subscribe(listener: (ids: ReadonlySet<string> | null) => void): () => void;
}

/** A refused change, and what it is. */
export interface RefusedExport extends RefusedChange {
  readonly records: readonly {
    readonly collection: string;
    readonly id: string;
    /** As it would be with the change; null where that deletes it. */
    readonly record: SyncRecord | null;
  }[];
}

/** A client of one user at a time; `syncManager` is one, `createSyncClient` makes others. */
export interface SyncClient {
  initialize(options: SyncOptions): Promise<void>;
  connect(userId?: string): Promise<void>;
  disconnect(): Promise<void>;
  reconnect(userId: string): Promise<void>;
  /**
   * Brings all that is on this device into another user's data, and goes on with that user: for guests who sign in.
   * Here the guest's data is deleted once it is stored as the other's, where it waits to be sent.
   */
  moveTo(userId: string): Promise<void>;
  /** Ends it: nothing is deleted, what is pending is sent the next time. */
  close(): Promise<void>;
  logout(options?: { readonly force?: boolean }): Promise<void>;

  addData<Name extends CollectionKey>(collection: Name, record: NewRecord<RecordOf<Name>>): Promise<string>;
  updateData<Name extends CollectionKey>(
    collection: Name,
    id: string | number,
    changes: Changes<RecordOf<Name>>,
    options?: UpdateOptions<RecordOf<Name>>,
  ): Promise<void>;
  deleteData(collection: CollectionKey, id: string | number): Promise<void>;
  getData<Name extends CollectionKey>(collection: Name): Promise<RecordOf<Name>[]>;
  getLocalData<Name extends CollectionKey>(
    collection: Name,
    id: string | number,
  ): Promise<RecordOf<Name> | null>;
  /** The record as it is on this device, at once; null where there is none. */
  getRecord<Name extends CollectionKey>(collection: Name, id: string | number): RecordOf<Name> | null;
  subscribe<Name extends CollectionKey>(
    collection: Name,
    callback: (event: ChangeEvent<RecordOf<Name>>) => void,
  ): () => void;
  collection<Name extends CollectionKey>(name: Name): CollectionView<RecordOf<Name>>;

  readonly status: Observable<SyncStatus>;
  readonly presence: Presence;
  whenSynced(options?: { readonly signal?: AbortSignal }): Promise<void>;
  getSyncStatus(): LegacySyncStatus;
  getConfig(): SavedConfig | null;
  updateConfig(changes: Partial<SyncOptions>): Promise<void>;
  isReady(): boolean;
  forceSync(): Promise<void>;
  setAutoSync(enabled: boolean): Promise<void>;
  loadSavedConfig(): Promise<SavedConfig | null>;
  clearSyncData(options?: { readonly force?: boolean }): Promise<void>;
  /**
   * The changes that the server refused (`status.refused`), each with the records as they would be with it; for a
   * person to keep elsewhere. Nothing is changed by it.
   *
   * @example
   * const [{ reason, records }] = await syncManager.exportRefused();
   * // records: [{ collection: 'notes', id: 'n1', record: { id: 'n1', text: '…' } }]
   */
  exportRefused(): Promise<RefusedExport[]>;
  /**
   * Writes what was refused once more, on what the records are now: one of them, or all. It is a new change, which
   * the server may refuse again. Rejects with `NOT_FOUND` where there is none of that key.
   *
   * @example
   * await syncManager.deleteData('notes', 'long'); // there is room again
   * await syncManager.retryRefused();
   */
  retryRefused(key?: string): Promise<void>;
  /** Deletes what was refused from this device: one of them, or all. Rejects with `NOT_FOUND`. */
  discardRefused(key?: string): Promise<void>;
}

export type { ConnectionState, Observable, SyncStatus };
