import { useCallback, useSyncExternalStore } from 'react';
import type { CollectionKey, RecordOf } from '../api/api.js';
import { useSyncClient } from './client-context.js';

/**
 * One record, or null where there is none; renders again only when this record changes.
 *
 * @example
 * const appointment = useRecord('appointments', id);
 */
export function useRecord<Name extends CollectionKey>(
  collection: Name,
  id: string | number,
): RecordOf<Name> | null {
  const view = useSyncClient().collection(collection);
  const subscribe = useCallback((onChange: () => void) => view.subscribe(onChange), [view]);
  const record = useSyncExternalStore(
    subscribe,
    () => view.get(id),
    () => null,
  );
  return record as RecordOf<Name> | null;
}
