import type * as Y from 'yjs';
import type { NewChange, StoreNews } from '../local-store/store.js';
import type { PendingEntry } from './pending-changes.js';
import { seal } from './stored-bytes.js';

/** A `local` change is a write of the app: it is pending until the server confirms it. */
export type Origin = 'local' | 'remote' | 'stored';

/** An update of the server, which is applied in its turn, or a write of the app, which is applied at once. */
export interface Task {
  readonly origin: Origin;
  readonly at: number; // when it was asked for
  readonly change: (doc: Y.Doc) => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** What it did to the document; `null` where there is nothing to store. */
  update: Uint8Array | null;
  /** The change that is pending by it. */
  pending: PendingEntry | null;
}

/** What of a task is stored. */
export const changeOf = ({ update, pending, at }: Task): NewChange[] =>
  update === null ? [] : [{ bytes: seal(update, pending === null ? null : at), pending: pending !== null }];

/** What a write of the app does to another document than its own, as it is stored. */
export function madeOn(doc: Y.Doc, { pending, change, at }: Task): NewChange[] {
  if (pending === null) return [];
  const made: NewChange[] = [];
  const note = (update: Uint8Array): void => void made.push({ bytes: seal(update, at), pending: true });
  doc.on('update', note);
  try {
    doc.transact(() => change(doc));
  } catch {
    // Such as of a record that is not there: what it did before counts.
  }
  doc.off('update', note);
  return made;
}

/** What takes the place of all that is stored. */
export interface Replacement {
  /** They may follow from all that is stored. */
  readonly rows: (stored: StoreNews) => readonly NewChange[];
  /** The server refused a change a moment ago. */
  readonly isRefused: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}
