/** The server's history of the records, and bringing one back. */
import { useCallback, useEffect, useRef, useState } from 'react';
import type { SyncRecord } from '../client/index.js';
import { inWords } from './appointments.js';
import { DEVICE_IDS, USER } from './identity.js';

export interface HistoryEntry {
  readonly revision: number;
  readonly collection: string;
  readonly id: string;
  readonly before: SyncRecord | null;
  readonly after: SyncRecord | null;
  readonly deviceId: string;
  readonly via: 'yjs' | 'json' | 'http' | 'restore';
  readonly at: number;
}

export interface Difference {
  readonly field: string;
  /** null where the field was, or is, not there. */
  readonly before: string | null;
  readonly after: string | null;
}

const LIMIT = 40;
/** Changes within this time ask once, in ms. */
const GATHER = 150;

const ADDRESS = `/api/history/${encodeURIComponent(USER)}`;

async function answerOf<T>(response: Response): Promise<T> {
  const body = await response.json().catch(() => null);
  if (response.ok) return body;
  throw new Error(body?.message ?? `The server answered ${response.status}.`);
}

/** Of the records with this id (here they are those of one record), or of all. */
export async function fetchHistory(id: string | null, signal: AbortSignal): Promise<readonly HistoryEntry[]> {
  const query = new URLSearchParams({ limit: String(LIMIT), ...(id !== null && { id }) });
  const response = await fetch(`${ADDRESS}?${query}`, { signal });
  return (await answerOf<{ entries: HistoryEntry[] }>(response)).entries;
}

/** Brings a record back as it was after this entry; as it was before it, where the entry deleted it. */
export async function restore({ collection, id, after, revision }: HistoryEntry): Promise<void> {
  const wanted = { collection, id, revision: after === null ? revision - 1 : revision };
  const headers = { 'Content-Type': 'application/json', 'Device-ID': DEVICE_IDS.history };
  const init = { method: 'POST', headers, body: JSON.stringify(wanted) };
  await answerOf(await fetch(`${ADDRESS}/restore`, init));
}

export function differencesOf({ before, after }: HistoryEntry): Difference[] {
  const fields = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
  fields.delete('id');
  return [...fields]
    .map((field) => ({ field, before: wordsAt(before, field), after: wordsAt(after, field) }))
    .filter((each) => each.before !== each.after);
}

const wordsAt = (record: SyncRecord | null, field: string): string | null =>
  record !== null && field in record ? inWords(record[field]) : null;

export interface LoadedHistory {
  readonly entries: readonly HistoryEntry[] | null;
  readonly error: string | null;
  readonly reload: () => void;
}

const NOTHING = { entries: null, error: null };
type Loaded = Omit<LoadedHistory, 'reload'>;

/** The history of one record, or of all; asks again whenever `onChange` calls. */
export function useHistory(id: string | null, onChange: (listener: () => void) => () => void): LoadedHistory {
  const [loaded, setLoaded] = useState<Loaded>(NOTHING);
  const request = useRef<AbortController>(null);
  const load = useCallback(async () => {
    request.current?.abort();
    request.current = new AbortController();
    const { signal } = request.current;
    const next = await loadHistory(id, signal);
    if (!signal.aborted) setLoaded((last) => ({ entries: next.entries ?? last.entries, error: next.error }));
  }, [id]);
  useEffect(() => {
    setLoaded(NOTHING);
    void load();
    const { call, cancel } = gathered(() => void load());
    const stop = onChange(call);
    return () => {
      stop();
      cancel();
      request.current?.abort();
    };
  }, [load, onChange]);
  return { ...loaded, reload: () => void load() };
}

async function loadHistory(id: string | null, signal: AbortSignal): Promise<Loaded> {
  try {
    return { entries: await fetchHistory(id, signal), error: null };
  } catch (error) {
    // A failed fetch has no better words than "Failed to fetch".
    const message = error instanceof TypeError ? 'The server can’t be reached.' : String(error);
    return { entries: null, error: message };
  }
}

function gathered(task: () => void): { readonly call: () => void; readonly cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const cancel = () => clearTimeout(timer);
  const call = () => {
    cancel();
    timer = setTimeout(task, GATHER);
  };
  return { call, cancel };
}
