/** What the server refused, as it is kept on this device until the app retries or discards it (C11). */
import { decodeUtf8, encodeUtf8 } from 'lib0/string';
import type { NewChange, StoreNews } from '../local-store/store.js';
import type { RecordWrite } from '../records/record-write.js';
import { sealAside, unseal } from '../replica/stored-bytes.js';
import type { Refusal } from './refusal.js';

/** A change that the server refused. It is on this device alone, and not in the data that screens show. */
export interface RefusedChange extends Refusal {
  /** Names it to `retryRefused` and `discardRefused`. */
  readonly key: string;
  /** The record that it is about; the first one where it is about several, null where that can't be told. */
  readonly collection: string | null;
  readonly id: string | null;
  /** When it was set aside, in ms since 1970. */
  readonly at: number;
}

export interface SetAside extends Refusal {
  readonly key: string;
  readonly at: number;
  readonly writes: readonly RecordWrite[];
}

export const asideRow = (change: SetAside): NewChange => ({
  bytes: sealAside(encodeUtf8(JSON.stringify(change))),
  pending: true, // so that it is kept
});

export const asideOf = (
  at: number,
  number: number,
  refusal: Refusal,
  writes: readonly RecordWrite[],
): SetAside => ({ ...refusal, key: `${at.toString(36)}-${number}`, at, writes });

/** Of what can't be made once more on a document that was written anew. */
export const rewrittenAside = (at: number, number: number, writes: readonly RecordWrite[]): SetAside => {
  const reason = 'The document was written anew: compare the record, then retry or discard it.';
  return asideOf(at, number, { code: 'REWRITTEN', reason }, writes);
};

const asideIn = (bytes: Uint8Array): SetAside => JSON.parse(decodeUtf8(bytes)) as SetAside;

/** All that is stored of them. */
export const asidesIn = ({ changes }: StoreNews): SetAside[] =>
  changes.flatMap(({ bytes, pending }) => {
    const row = pending ? unseal(bytes) : null;
    return row?.kind === 'aside' ? asideIn(row.update) : [];
  });

export class RefusedChanges {
  /** Each with where it is stored; null while it is in memory only. */
  readonly #all = new Map<string, { readonly change: SetAside; row: number | null }>();
  #list: readonly RefusedChange[] = [];
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** The same array until one comes or goes. */
  get list(): readonly RefusedChange[] {
    return this.#list;
  }

  get all(): readonly SetAside[] {
    return [...this.#all.values()].map(({ change }) => change);
  }

  get(key: string): { readonly change: SetAside; readonly row: number | null } | null {
    return this.#all.get(key) ?? null;
  }

  add(change: SetAside, row: number | null): void {
    this.#all.set(change.key, { change, row });
    this.#changed();
  }

  found(bytes: Uint8Array, row: number): void {
    this.add(asideIn(bytes), row);
  }

  /** Another store is used from here, or the same one was opened anew. */
  forgetRows(): void {
    for (const each of this.#all.values()) each.row = null;
  }

  unstored(): SetAside[] {
    return [...this.#all.values()].flatMap(({ change, row }) => (row === null ? change : []));
  }

  keepOnly(rows: ReadonlySet<number>): void {
    for (const [key, { row }] of [...this.#all]) if (row !== null && !rows.has(row)) this.remove(key);
  }

  remove(key: string): void {
    if (this.#all.delete(key)) this.#changed();
  }

  #changed(): void {
    this.#list = this.all.map(({ key, code, reason, at, writes: [first] }) => ({
      key,
      collection: first?.collection ?? null,
      id: first?.id ?? null,
      code,
      reason,
      at,
    }));
    this.#onChange();
  }
}
