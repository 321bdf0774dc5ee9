import { useCallback, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import type {
  Changes,
  CollectionKey,
  LegacySyncStatus,
  NewRecord,
  RecordOf,
  SyncClient,
  SyncRecord,
  UpdateOptions,
} from '../api/api.js';
import { ClientError } from '../errors.js';
import { NOT_INITIALIZED } from '../status.js';
import { useSyncClient } from './client-context.js';
import { type Query, QueryResult } from './query.js';
import { useSyncStatus } from './use-sync-status.js';

export interface SyncedDataOptions<Row> extends Query<Row> {
  /** Shown while it is loading. */
  readonly initial?: readonly Row[];
}

/** What is known of a record of which nothing is known: so that a field that was misspelt is found. */
export type Identified = Pick<SyncRecord, 'id'>;

/** What a collection is asked for tells nothing of what its records are: that is declared, or read from `initial`. */
export type UntypedOptions<Row> =
  | readonly Row[]
  | (Query<NoInfer<Row>> & Pick<SyncedDataOptions<Row>, 'initial'>);

export interface SyncedData<Row> {
  /** The records, in the order of their ids unless `orderBy` says otherwise: the same array until one changes. */
  readonly data: Row[];
  /** There is nothing to show, and more may come: from this device, or with the first sync of it. */
  readonly isLoading: boolean;
  /** Everything that the server had has come once. `false` where nothing is loading: it never could be fetched. */
  readonly hasSynced: boolean;
  /** The last failure of one of the calls below, which rejects as well, or of local storage. */
  readonly error: Error | null;
  /** A component that reads it renders again whenever it changes. */
  readonly syncStatus: LegacySyncStatus;
  /** Resolves with the id. */
  readonly addData: (record: NewRecord<Row>) => Promise<string>;
  readonly updateData: (
    id: string | number,
    changes: Changes<Row>,
    options?: UpdateOptions<Row>,
  ) => Promise<void>;
  readonly deleteData: (id: string | number) => Promise<void>;
  /** Asks the server at once; resolves, too, where it can't be reached. */
  readonly refreshData: () => Promise<void>;
}

const NOTHING: readonly SyncRecord[] = [];

/**
 * A collection, live: renders again when the result changes, and only then.
 *
 * @param initialOrOptions records to show while it is loading, or `{ where, orderBy, limit, initial }`
 * @example
 * const { data, addData } = useSyncedData('appointments', { where: { status: 'booked' }, orderBy: 'start' });
 */
export function useSyncedData<Name extends CollectionKey>(
  collection: Name,
  initialOrOptions?: readonly RecordOf<Name>[] | SyncedDataOptions<RecordOf<Name>>,
): SyncedData<RecordOf<Name>>;
export function useSyncedData<Row extends object = Identified>(
  collection: string,
  initialOrOptions?: UntypedOptions<Row>,
): SyncedData<Row>;
export function useSyncedData(
  collection: string,
  initialOrOptions: readonly SyncRecord[] | SyncedDataOptions<SyncRecord> = {},
): SyncedData<SyncRecord> {
  const client = useSyncClient();
  const { initial, ...query } = optionsOf(initialOrOptions);
  const { data, isLoading } = useResult(client, collection, query, initial ?? NOTHING);
  const [failure, setFailure] = useState<Error | null>(null);
  const calls = useMemo(() => callsOf(client, collection, setFailure), [client, collection]);
  const storageError = useStorageError(client);
  const readStatus = useStatusIfRead(client);
  return {
    data,
    isLoading,
    hasSynced: useSyncStatus((status) => status.hasSynced),
    error: failure ?? storageError,
    get syncStatus() {
      return readStatus();
    },
    ...calls,
  };
}

const optionsOf = (
  given: readonly SyncRecord[] | SyncedDataOptions<SyncRecord>,
): SyncedDataOptions<SyncRecord> =>
  Array.isArray(given) ? { initial: given } : (given as SyncedDataOptions<SyncRecord>);

function useResult(
  client: SyncClient,
  collection: string,
  query: Query<SyncRecord>,
  initial: readonly SyncRecord[],
): { readonly data: SyncRecord[]; readonly isLoading: boolean } {
  const view = client.collection(collection);
  const result = useMemo(() => ({ view, of: new QueryResult() }), [view]).of;
  const first = useRef(initial).current;
  const subscribe = useCallback((onChange: () => void) => view.subscribe(onChange), [view]);
  const found = useSyncExternalStore(
    subscribe,
    () => (view.loaded ? result.read(view, query) : null),
    () => null,
  );
  const isFirstSync = useSyncStatus((status) => status.isFirstSync);
  const isLoading = found === null || (isFirstSync && found.length === 0);
  const data = isLoading ? first : found;
  // Screens may sort what they get in place; the list that others read stays as it is.
  const own = useMemo(() => [...data], [data]);
  return { data: own, isLoading };
}

type Calls = Pick<SyncedData<SyncRecord>, 'addData' | 'updateData' | 'deleteData' | 'refreshData'>;

function callsOf(client: SyncClient, collection: string, told: (failure: Error | null) => void): Calls {
  const telling = async <T>(call: Promise<T>): Promise<T> => {
    try {
      const result = await call;
      told(null);
      return result;
    } catch (error) {
      told(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  };
  return {
    addData: (record) => telling(client.addData(collection, record)),
    updateData: (id, changes, options) => telling(client.updateData(collection, id, changes, options)),
    deleteData: (id) => telling(client.deleteData(collection, id)),
    refreshData: () => telling(client.forceSync().catch(ignoreOffline)),
  };
}

/** The status tells that there is no connection; that is no failure of the call. */
function ignoreOffline(error: unknown): void {
  if (!(error instanceof ClientError && error.code === 'OFFLINE')) throw error;
}

function useStorageError({ status }: SyncClient): Error | null {
  const subscribe = useCallback((onChange: () => void) => status.subscribe(onChange), [status]);
  const read = (): Error | null =>
    status.current.error?.name === 'StorageError' ? status.current.error : null;
  return useSyncExternalStore(subscribe, read, () => null);
}

/** Most components never look at the status: they are not to render again when it changes. */
function useStatusIfRead(client: SyncClient): () => LegacySyncStatus {
  const { status } = client;
  const isRead = useRef(false);
  const subscribe = useCallback((onChange: () => void) => status.subscribe(onChange), [status]);
  const read = () => (isRead.current ? status.current : null);
  useSyncExternalStore(subscribe, read, () => null);
  const isTakingOver = useSyncExternalStore(
    subscribe,
    () => false,
    () => true,
  );
  const current = isTakingOver ? NOT_INITIALIZED : status.current;
  const legacy = useMemo(() => ({ ...current, connected: current.connection === 'online' }), [current]);
  return () => {
    isRead.current = true;
    return legacy;
  };
}
