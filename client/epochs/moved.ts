/** All that a device has of a document, on the one that the server has written anew (P10). */
import type { PendingChange } from '../connection/sync-source.js';
import type { NewChange, StoreNews } from '../local-store/store.js';
import { asideRow, rewrittenAside, type SetAside } from '../refused/refused-changes.js';
import { pendingRow, sealAnew, unseal } from '../replica/stored-bytes.js';
import { rebase, type StoredUpdate } from './rebase.js';

export interface Moved {
  readonly state: Uint8Array;
  /** What had arrived of the old one, where the server has told it. */
  readonly epoch: Uint8Array | null;
  readonly pending: readonly PendingChange[];
  readonly refused: readonly SetAside[];
}

/** One that is in memory, since local storage takes nothing (C7). */
export interface MovedInMemory extends Moved {
  /** The name of its store: what is there is of the old document. */
  readonly name: string;
}

/** All that is stored of the document. */
export function rowsOf({ changes }: Pick<StoreNews, 'changes'>): StoredUpdate[] {
  return changes.flatMap(({ key, bytes, pending }) => {
    const row = unseal(bytes);
    return row === null || row.kind === 'aside' ? [] : { ...row, number: key, isPending: pending };
  });
}

export function movedTo(
  { state: next, epoch }: Pick<Moved, 'state' | 'epoch'>,
  rows: readonly StoredUpdate[],
  at: number,
): Moved {
  const { state, pending, unclear } = rebase(rows, next, epoch);
  const refused = unclear.map(({ number, writes }) => rewrittenAside(at, number, writes));
  return { state, epoch, pending, refused };
}

/** How it is stored, `more` behind the document. */
export const rowsWith = (
  { state, pending, refused }: Moved,
  more: readonly NewChange[] = [],
): NewChange[] => [
  { bytes: sealAnew(state), pending: false },
  ...more,
  ...pending.map(pendingRow),
  ...refused.map(asideRow),
];
