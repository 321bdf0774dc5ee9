import { useCallback, useRef, useSyncExternalStore } from 'react';
import { NOT_INITIALIZED, type SyncStatus } from '../status.js';
import { useSyncClient } from './client-context.js';

/**
 * The status of the client, or what `selector` takes of it; renders again only when that is something else.
 *
 * @example
 * const pending = useSyncStatus(({ pendingChanges }) => pendingChanges);
 */
export function useSyncStatus(): SyncStatus;
export function useSyncStatus<Selected>(selector: (status: SyncStatus) => Selected): Selected;
export function useSyncStatus<Selected>(
  selector: (status: SyncStatus) => Selected | SyncStatus = (status) => status,
): Selected | SyncStatus {
  const { status } = useSyncClient();
  const last = useRef<{ readonly selected: Selected | SyncStatus } | null>(null);
  const subscribe = useCallback((onChange: () => void) => status.subscribe(onChange), [status]);
  const select = (from: SyncStatus): Selected | SyncStatus => {
    const selected = selector(from);
    if (last.current === null || !isShallowSame(last.current.selected, selected)) last.current = { selected };
    return last.current.selected;
  };
  // A page takes over what a server rendered, whatever this client knows by then.
  return useSyncExternalStore(
    subscribe,
    () => select(status.current),
    () => select(NOT_INITIALIZED),
  );
}

/** A selector may make a new object each time; only one that differs is news. */
function isShallowSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [entries, count] = [Object.entries(a), Object.keys(b).length];
  return (
    entries.length === count && entries.every(([key, value]) => Object.is(value, b[key as keyof typeof b]))
  );
}
