import { equalityDeep } from 'lib0/function';
import type { PendingChange } from './sync-source.js';

interface Entry extends PendingChange {
  update: Uint8Array;
  /** Where it is stored; null while it is in memory only. */
  key: number | null;
  /** The call that made it was answered, or is about to be: it counts, and may be sent. */
  settled: boolean;
  /** The server has it; the mark in the store is being taken off. */
  confirmed: boolean;
}

/**
 * The local changes that the server has not confirmed, oldest first (C4). Their number can't be derived from the
 * document: a deletion alone does not move the state vector.
 */
export class PendingChanges {
  readonly #entries = new Map<number, Entry>();
  readonly #byKey = new Map<number, Entry>();
  readonly #unstored = new Set<Entry>();
  readonly #confirmedSizes: number[] = [];
  #last = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Notes a change that is not stored yet; the returned number is its handle. */
  begin(update: Uint8Array, madeAt: number | null): number {
    const number = ++this.#last;
    const entry: Entry = { number, update, madeAt, key: null, settled: false, confirmed: false };
    this.#entries.set(number, entry);
    this.#unstored.add(entry);
    return number;
  }

  /** What it did is more than was known when it began. */
  extend(number: number, update: Uint8Array): void {
    const entry = this.#entries.get(number);
    if (entry !== undefined) entry.update = update;
  }

  /** It is stored, or confirmed by now. */
  isStored(number: number): boolean {
    return this.#entries.get(number)?.key !== null;
  }

  /** The change is stored under this key, or `null`: it stays in memory only. */
  settle(number: number, key: number | null): void {
    const entry = this.#entries.get(number);
    if (entry === undefined) return;
    if (!entry.settled) this.#count++;
    entry.settled = true;
    this.#setKey(entry, key);
  }

  /** Notes a change that was found in the store; after `forgetKeys` it may be one that is known. */
  found(update: Uint8Array, madeAt: number | null, key: number): void {
    if (this.#byKey.has(key)) return;
    // One that is confirmed as well: its mark is yet to be taken off.
    const known = [...this.#unstored].find((entry) => equalityDeep(entry.update, update));
    this.settle(known?.number ?? this.begin(update, madeAt), key);
  }

  /** Another store is used from here, or the same one was opened anew. */
  forgetKeys(): void {
    for (const entry of [...this.#byKey.values()]) this.#setKey(entry, null);
  }

  /** Forgets stored changes that are no longer pending, whoever took the mark off. */
  keepOnly(keys: ReadonlySet<number>): void {
    for (const [key, { number }] of [...this.#byKey]) if (!keys.has(key)) this.remove([number]);
  }

  after(number: number): PendingChange[] {
    return this.#open(number);
  }

  /** Marks what the server has up to this number; it is no longer sent, and counts until it is removed. */
  confirm(upTo: number): number[] {
    const confirmed = this.#open(0).filter(({ number }) => number <= upTo);
    for (const entry of confirmed) entry.confirmed = true;
    return confirmed.map(({ number }) => number);
  }

  /** Where those of them are stored that are. */
  keysOf(numbers: readonly number[]): number[] {
    return numbers.flatMap((number) => this.#entries.get(number)?.key ?? []);
  }

  /** The bytes of each that was stored and is pending no longer, since the last call. */
  takeConfirmed(): number[] {
    return this.#confirmedSizes.splice(0);
  }

  remove(numbers: readonly number[]): void {
    for (const number of numbers) {
      const entry = this.#entries.get(number);
      if (entry === undefined) continue;
      if (entry.key !== null) this.#confirmedSizes.push(entry.update.length);
      this.#setKey(entry, null);
      this.#entries.delete(number);
      this.#unstored.delete(entry);
      if (entry.settled) this.#count--;
    }
  }

  /** What is in memory only, oldest first. */
  unstored(): PendingChange[] {
    return [...this.#unstored].filter(({ confirmed }) => !confirmed).sort((a, b) => a.number - b.number);
  }

  #open(after: number): Entry[] {
    const isOpen = (entry: Entry) => entry.settled && !entry.confirmed && entry.number > after;
    return [...this.#entries.values()].filter(isOpen);
  }

  #setKey(entry: Entry, key: number | null): void {
    if (entry.key !== null) this.#byKey.delete(entry.key);
    entry.key = key;
    if (key === null) {
      this.#unstored.add(entry);
      return;
    }
    this.#unstored.delete(entry);
    this.#byKey.set(key, entry);
  }
}
