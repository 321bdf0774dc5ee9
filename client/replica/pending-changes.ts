import { equalityDeep } from 'lib0/function';
import type { PendingChange } from '../connection/sync-source.js';

/** A change from when it is made. */
export interface PendingEntry extends PendingChange {
  update: Uint8Array;
  /** Given when the change is stored: a change that another tab stored before it has the lower number. */
  number: number;
  /** Where it is stored; null while it is in memory only. */
  key: number | null;
  /** It is stored, or was so when storage failed. */
  wasStored: boolean;
  /** The server has it; the mark in the store is being taken off. */
  confirmed: boolean;
}

/**
 * The local changes that the server has not confirmed, oldest first (C4). Their number can't be derived from the
 * document: a deletion alone does not move the state vector.
 */
export class PendingChanges {
  /** In the order of their numbers. */
  readonly #settled = new Set<PendingEntry>();
  readonly #byKey = new Map<number, PendingEntry>();
  readonly #unstored = new Set<PendingEntry>();
  readonly #confirmedSizes: number[] = [];
  #last = 0;

  get count(): number {
    return this.#settled.size;
  }

  /** Whether one of them is stored, or was so when storage failed. */
  get wereStored(): boolean {
    return this.#open(0).some(({ wasStored }) => wasStored);
  }

  /** Notes a change that is not stored yet. */
  begin(update: Uint8Array, madeAt: number | null): PendingEntry {
    const entry = {
      number: Number.POSITIVE_INFINITY,
      update,
      madeAt,
      key: null,
      wasStored: false,
      confirmed: false,
    };
    this.#unstored.add(entry);
    return entry;
  }

  /** It is stored, or confirmed by now. */
  isStored(entry: PendingEntry): boolean {
    return !this.#unstored.has(entry);
  }

  /** The change is stored under this key, or `null`: it stays in memory only. */
  settle(entry: PendingEntry, key: number | null): void {
    const isNew = entry.number === Number.POSITIVE_INFINITY;
    if (isNew) entry.number = ++this.#last;
    else if (!this.#settled.has(entry)) return; // confirmed meanwhile
    this.#settled.add(entry);
    this.#setKey(entry, key);
  }

  /** Notes a change that was found in the store; after `forgetKeys` it may be one that is known. */
  found(update: Uint8Array, madeAt: number | null, key: number): void {
    if (this.#byKey.has(key)) return;
    // Also an entry that the server has confirmed while its mark in the store is still to be removed.
    const known = [...this.#unstored].find((entry) => equalityDeep(entry.update, update));
    this.settle(known ?? this.begin(update, madeAt), key);
  }

  /** Another store is used from here, or the same one was opened anew. */
  forgetKeys(): void {
    for (const entry of [...this.#byKey.values()]) this.#setKey(entry, null);
  }

  /** Forgets stored changes that are no longer pending, whoever took the mark off. */
  keepOnly(keys: ReadonlySet<number>): void {
    for (const [key, entry] of [...this.#byKey]) if (!keys.has(key)) this.remove([entry]);
  }

  after(number: number): PendingChange[] {
    return this.#open(number);
  }

  /** Marks what the server has up to this number; it is no longer sent, and counts until it is removed. */
  confirm(upTo: number): PendingEntry[] {
    const confirmed = this.#open(0).filter(({ number }) => number <= upTo);
    for (const entry of confirmed) entry.confirmed = true;
    return confirmed;
  }

  /** Where those of them are stored that are. */
  keysOf(entries: readonly PendingEntry[]): number[] {
    return entries.flatMap(({ key }) => key ?? []);
  }

  /** The bytes of each that was stored and is pending no longer, since the last call. */
  takeConfirmed(): number[] {
    return this.#confirmedSizes.splice(0);
  }

  remove(entries: readonly PendingEntry[]): void {
    for (const entry of entries) {
      if (!this.#settled.delete(entry)) continue;
      if (entry.key !== null) this.#confirmedSizes.push(entry.update.length);
      this.#setKey(entry, null);
      this.#unstored.delete(entry);
    }
  }

  /** What is in memory only, oldest first. */
  unstored(): PendingEntry[] {
    return [...this.#unstored].filter(({ confirmed }) => !confirmed).sort((a, b) => a.number - b.number);
  }

  #open(after: number): PendingEntry[] {
    return [...this.#settled].filter(({ confirmed, number }) => !confirmed && number > after);
  }

  #setKey(entry: PendingEntry, key: number | null): void {
    if (entry.key !== null) this.#byKey.delete(entry.key);
    entry.key = key;
    if (key === null) {
      this.#unstored.add(entry);
      return;
    }
    entry.wasStored = true;
    this.#unstored.delete(entry);
    this.#byKey.set(key, entry);
  }
}
