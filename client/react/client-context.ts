import { createContext, createElement, type ReactNode, useContext } from 'react';
import type { SyncClient } from '../api/api.js';
import { defaultClient } from '../session/default-client.js';

const Context = createContext<SyncClient | null>(null);

/**
 * Gives the hooks below it another client than `syncManager`.
 *
 * @example
 * <SyncProvider client={patient}><Appointments /></SyncProvider>
 */
export function SyncProvider({ client, children }: { client: SyncClient; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the nearest `SyncProvider`, else `syncManager`. */
export function useSyncClient(): SyncClient {
  return useContext(Context) ?? defaultClient();
}
