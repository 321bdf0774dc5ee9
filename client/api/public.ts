/** What every entry exports, whatever the platform. */

export {
  ClientError,
  type ClientErrorCode,
  RecordError,
  type RecordIssue,
  StorageError,
  type StorageErrorCode,
  UnsyncedChangesError,
} from '../errors.js';
export type {
  DeviceStorage,
  LocalStore,
  LocalStoreEvents,
  NewChange,
  StoredChange,
  StoreNews,
} from '../local-store/store.js';
export type { Connectivity, Fetch, WebSocketConstructor, WebSocketLike } from '../platform/platform.js';
export type { Presence, PresenceEntry } from '../presence/presence.js';
export type { RefusedChange } from '../refused/refused-changes.js';
export type { ConnectionState, Observable, SyncStatus } from '../status.js';
export type {
  ChangeEvent,
  Changes,
  CollectionKey,
  CollectionView,
  LegacySyncStatus,
  NewRecord,
  RecordOf,
  RefusedExport,
  SavedConfig,
  Schemas,
  SyncClient,
  SyncOptions,
  SyncRecord,
  UpdateOptions,
} from './api.js';
