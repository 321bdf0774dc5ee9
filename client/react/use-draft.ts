import { equalityDeep } from 'lib0/function';
import { useCallback, useMemo, useReducer, useSyncExternalStore } from 'react';
import type { Changes, CollectionKey, CollectionView, RecordOf, SyncClient, SyncRecord } from '../api/api.js';
import { useSyncClient } from './client-context.js';
import { useRecord } from './use-record.js';
import { useSyncStatus } from './use-sync-status.js';

/** A form over a record that others may change meanwhile. */
export interface Draft<Row> {
  /** The record with what was changed in the form: other fields show what comes in. Null where there is no record. */
  readonly draft: Row | null;
  /** Changes fields of the draft; nothing is stored yet. */
  readonly change: (changes: Changes<Row>) => void;
  /** Writes what was changed, and only that. Where it rejects, the draft is as it was. */
  readonly save: () => Promise<void>;
  /** Forgets what was changed. */
  readonly discard: () => void;
  readonly isDirty: boolean;
  /** The record is not here, and may come: from this device, or with the first sync of it. */
  readonly isLoading: boolean;
  /** The fields that were changed here, and by somebody else since. `save` merges them, and where it can't, this form wins. */
  readonly conflicts: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

interface Edit {
  /** The record when the form was first touched. */
  readonly record: SyncRecord;
  /** Each changed field as it was when it was first touched. */
  readonly base: Fields;
  readonly changes: Fields;
}

/**
 * What a form changes of a record, until it is saved; what others change meanwhile stays (C14).
 *
 * @example
 * const { draft, change, save } = useDraft('patients', id);
 * <input value={draft?.name ?? ''} onChange={(event) => change({ name: event.target.value })} />
 */
export function useDraft<Name extends CollectionKey>(
  collection: Name,
  id: string | number,
): Draft<RecordOf<Name>>;
export function useDraft(collection: string, id: string | number): Draft<SyncRecord> {
  const client = useSyncClient();
  const record: SyncRecord | null = useRecord(collection, id);
  const [, render] = useReducer((count: number) => count + 1, 0);
  const form = useMemo(() => new Form(client, collection, id, render), [client, collection, id]);
  const isLoading = useMayCome(collection) && record === null;
  return { ...form.calls, ...form.over(record), isLoading };
}

function useMayCome(collection: string): boolean {
  const view = useSyncClient().collection(collection);
  const isLoaded = useSyncExternalStore(
    useCallback((onChange) => view.subscribe(onChange), [view]),
    () => view.loaded,
    () => false,
  );
  const isFirstSync = useSyncStatus((status) => status.isFirstSync);
  return !isLoaded || isFirstSync;
}

class Form {
  readonly calls: Pick<Draft<SyncRecord>, 'change' | 'save' | 'discard'>;
  readonly #view: CollectionView;
  #edit: Edit | null = null;

  constructor(client: SyncClient, collection: string, id: string | number, render: () => void) {
    this.#view = client.collection(collection);
    const set = (edit: Edit | null): void => {
      this.#edit = edit;
      render();
    };
    this.calls = {
      change: (changes) => set(edited(this.#edit, this.#view.get(id), changes)),
      save: async () => {
        const saved = this.#edit;
        if (saved === null) return;
        await client.updateData(collection, id, saved.changes, { base: saved.base });
        set(rest(this.#edit, saved));
      },
      discard: () => set(null),
    };
  }

  over(record: SyncRecord | null): Pick<Draft<SyncRecord>, 'draft' | 'isDirty' | 'conflicts'> {
    if (this.#edit === null) return { draft: record, isDirty: false, conflicts: [] };
    const { base, changes } = this.#edit;
    const isChanged = (field: string): boolean =>
      !equalityDeep(record?.[field], base[field]) && !equalityDeep(record?.[field], changes[field]);
    // What a person typed stays on the screen where the record is deleted meanwhile; to save it fails.
    const draft = { ...(record ?? this.#edit.record), ...changes };
    return { draft, isDirty: true, conflicts: Object.keys(changes).filter(isChanged) };
  }
}

function edited(edit: Edit | null, record: SyncRecord | null, changes: Fields): Edit | null {
  const seen = record ?? edit?.record;
  if (seen === undefined) return null;
  const touched = Object.fromEntries(Object.keys(changes).map((field) => [field, seen[field]]));
  return {
    record: edit?.record ?? seen,
    base: { ...touched, ...edit?.base },
    changes: { ...edit?.changes, ...changes },
  };
}

/** What was changed while it was being saved. */
function rest(edit: Edit | null, saved: Edit): Edit | null {
  if (edit === null) return null;
  const newer = Object.entries(edit.changes).filter(([field, value]) => value !== saved.changes[field]);
  if (newer.length === 0) return null;
  return { ...edit, base: { ...edit.base, ...saved.changes }, changes: Object.fromEntries(newer) };
}
