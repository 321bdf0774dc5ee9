import { StorageError } from '../../errors.js';
import { fromBase64, toBase64 } from '../base64.js';
import { corrupt, unavailable } from '../failures.js';
import type { Rows, RowsWrite } from '../sole-store.js';
import type { StoredChange } from '../store.js';
import type { AsyncStorageLike } from './types.js';

/** Characters of an item: Android reads none that are longer than 2 MB, and SQLite below it may take two bytes. */
const CHUNK = 500_000;
/** Items that are read or written at the same time. */
const AT_ONCE = 32;

interface Entry {
  readonly pending: boolean;
  readonly chunks: number;
}
type Entries = ReadonlyMap<number, Entry>;

/**
 * The changes of one user in AsyncStorage: each in one or more items, and an item `head` that says which of them
 * count, and which are pending. A write puts its items first and the head last, so that the head makes all of it
 * valid at once; items that no head names are left over from a crash.
 */
export class AsyncStorageRows implements Rows {
  /** The head as this runtime last read or wrote it: another one may use the same storage (C12). */
  #head: string | null;
  readonly #owner = Math.random().toString(36).slice(2);
  readonly #items: AsyncStorageLike;
  readonly #place: string;
  #entries: Entries = new Map();
  #isRebuilt = false;

  private constructor(items: AsyncStorageLike, place: string, head: string | null) {
    this.#items = items;
    this.#place = place;
    this.#head = head;
  }

  static async open(items: AsyncStorageLike, place: string): Promise<AsyncStorageRows> {
    const head = await items.getItem(`${place}head`);
    const rows = new AsyncStorageRows(items, place, head);
    const entries = head === null ? new Map() : decodeHead(head);
    rows.#isRebuilt = entries === null;
    rows.#entries = entries ?? (await rows.#findEntries());
    await rows.#removeLeftovers();
    return rows;
  }

  async read(): Promise<readonly StoredChange[]> {
    const names = [...this.#entries].flatMap(([key, entry]) => this.#namesOf(key, entry));
    const texts = await inBatches(names, (name) => this.#items.getItem(name));
    const byName = new Map(names.map((name, i) => [name, texts[i] ?? null]));
    const rows = [...this.#entries].map(([key, entry]) => {
      const chunks = this.#namesOf(key, entry).map((name) => byName.get(name) ?? null);
      return { key, bytes: decodeChange(chunks), pending: entry.pending };
    });
    // The head stands as a change without bytes: whoever reads it tells of it.
    return this.#isRebuilt ? [{ key: -1, bytes: new Uint8Array(0), pending: false }, ...rows] : rows;
  }

  async write(write: RowsWrite): Promise<void> {
    await this.#checkHead(this.#head);
    const items = write.add.map((change) => ({ change, chunks: encodeChange(change) }));
    const entries = new Map(this.#entries);
    for (const key of write.confirm)
      entries.set(key, { chunks: entries.get(key)?.chunks ?? 0, pending: false });
    for (const key of write.remove) entries.delete(key);
    for (const { change, chunks } of items) {
      entries.set(change.key, { pending: change.pending, chunks: chunks.length });
    }
    const named = items.flatMap(({ change, chunks }) =>
      chunks.map((text, i) => ({ name: this.#nameOf(change.key, i), text })),
    );
    await this.#writeChunks(named);
    const head = encodeHead(entries, this.#owner);
    await this.#writeHead(head);
    await this.#checkHead(head);
    this.#head = head;
    const removed = write.remove.flatMap((key) => this.#namesOf(key, this.#entries.get(key)));
    this.#entries = entries;
    await this.#tryRemove(removed);
  }

  async close(): Promise<void> {}

  async remove(): Promise<void> {
    await this.#items.removeItem(`${this.#place}head`);
    await removeItems(this.#items, this.#place);
  }

  /** The app may have emptied its storage, and a background task of it may have a client of its own. */
  async #checkHead(known: string | null): Promise<void> {
    if ((await this.#items.getItem(`${this.#place}head`)) === known) return;
    const message =
      'The storage of this device was emptied, or another runtime of this app writes to it too: this one goes on in memory, and stores everything once more.';
    throw new StorageError('BLOCKED', message);
  }

  async #writeChunks(chunks: readonly { name: string; text: string }[]): Promise<void> {
    try {
      await inBatches(chunks, ({ name, text }) => this.#items.setItem(name, text));
    } catch (error) {
      await this.#tryRemove(chunks.map(({ name }) => name)); // no head names them, and room may be scarce
      throw error;
    }
  }

  /** A write that fails may have been carried out all the same. */
  async #writeHead(text: string): Promise<void> {
    const name = `${this.#place}head`;
    try {
      await this.#items.setItem(name, text);
    } catch (error) {
      const found = await this.#items.getItem(name).catch((cause) => {
        throw unavailable('AsyncStorage does not tell whether it stored a change.', cause);
      });
      if (found !== text) throw error;
    }
  }

  /** Without its head: a change that was pending once is so again, and the server passes over what it has. */
  async #findEntries(): Promise<Entries> {
    const found = new Map<number, Entry>();
    const place = this.#place.length;
    const names = (await this.#allNames()).map((name) =>
      name
        .slice(place)
        .match(/^(\d+)\.(\d+)$/)
        ?.slice(1)
        .map(Number),
    );
    for (const [key = 0, chunk = 0] of names.flatMap((each) => (each === undefined ? [] : [each]))) {
      const chunks = Math.max(chunk + 1, found.get(key)?.chunks ?? 0);
      const first = await this.#items.getItem(this.#nameOf(key, 0));
      found.set(key, { chunks, pending: first !== null && WAS_PENDING.test(first) });
    }
    return new Map([...found].sort(([a], [b]) => a - b));
  }

  async #removeLeftovers(): Promise<void> {
    const named = new Set([...this.#entries].flatMap(([key, entry]) => this.#namesOf(key, entry)));
    named.add(`${this.#place}head`);
    const last = this.#head === null ? Number.POSITIVE_INFINITY : Math.max(0, ...this.#entries.keys());
    // Higher ones may be what another runtime is about to name: the next writes go over them. Without a head the
    // store was deleted, and what is left of it must not stay.
    const isOld = (name: string): boolean => Number.parseInt(name.slice(this.#place.length), 10) <= last;
    await this.#tryRemove((await this.#allNames()).filter((name) => !named.has(name) && isOld(name)));
  }

  /** What stays behind is removed when the store is opened the next time. */
  async #tryRemove(names: readonly string[]): Promise<void> {
    await inBatches(names, (name) => this.#items.removeItem(name).catch(() => {}));
  }

  async #allNames(): Promise<string[]> {
    return (await this.#items.getAllKeys()).filter((name) => name.startsWith(this.#place));
  }

  #nameOf(key: number, chunk: number): string {
    return `${this.#place}${key}.${chunk}`;
  }

  #namesOf(key: number, entry: Entry | undefined): string[] {
    return Array.from({ length: entry?.chunks ?? 0 }, (_, i) => this.#nameOf(key, i));
  }
}

/** Rejects with the first failure once none is under way any more. */
async function inBatches<T, R>(all: readonly T[], task: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < all.length; i += AT_ONCE) {
    const batch = all.slice(i, i + AT_ONCE).map(async (each) => task(each));
    await Promise.all(batch.map((each) => each.catch(() => {})));
    results.push(...(await Promise.all(batch)));
  }
  return results;
}

/** The length stands in front, so that a chunk that was cut off is found, and whether it was pending when it was made. */
function encodeChange({ bytes, pending }: StoredChange): string[] {
  const text = `${bytes.length}${pending ? 'p' : ''}:${toBase64(bytes)}`;
  return Array.from({ length: Math.ceil(text.length / CHUNK) }, (_, i) =>
    text.slice(i * CHUNK, (i + 1) * CHUNK),
  );
}

const WAS_PENDING = /^\d+p:/;

function decodeChange(chunks: readonly (string | null)[]): Uint8Array {
  const [, length, base64 = ''] = chunks.join('').match(/^(\d+)p?:(.*)$/s) ?? [];
  const bytes = fromBase64(base64);
  // What is no update is told by whoever reads it; the others stand without it.
  return bytes !== null && bytes.length === Number(length) ? bytes : new Uint8Array(0);
}

/** Neighbours that are alike share a run of four numbers: first key, how many, pending, chunks of each. */
function encodeHead(entries: Entries, owner: string): string {
  const runs: [number, number, number, number][] = [];
  for (const [key, { pending, chunks }] of entries) {
    const run = runs[runs.length - 1];
    const continues = run && key === run[0] + run[1] && Number(pending) === run[2] && chunks === run[3];
    if (continues) run[1] += 1;
    else runs.push([key, 1, Number(pending), chunks]);
  }
  return JSON.stringify({ version: 1, owner, runs, check: checkOf(1, runs) });
}

/** Finds damage to the list; left out by older versions. */
function checkOf(version: number, runs: readonly (readonly number[])[]): number {
  let hash = version;
  for (const number of runs.flat()) hash = (Math.imul(hash, 31) + number) | 0;
  return hash;
}

/** Null where it is damaged. */
function decodeHead(text: string): Entries | null {
  let head: { version?: number; runs?: number[][]; check?: number };
  try {
    head = JSON.parse(text);
    const { version = 0, runs = [], check } = head;
    if (check !== undefined && check !== checkOf(version, runs)) return null;
  } catch {
    return null;
  }
  const { version, runs } = head;
  if (version !== 1) throw corrupt(`The list of stored changes was written by a newer version (${version}).`);
  if (!Array.isArray(runs)) return null;
  return new Map(
    runs.flatMap(([first = 0, count = 0, pending, chunks = 0]) =>
      Array.from({ length: count }, (_, i) => [first + i, { pending: pending === 1, chunks }] as const),
    ),
  );
}

/** Deletes all items of a store, in whatever state they are. */
export async function removeItems(items: AsyncStorageLike, place: string): Promise<void> {
  const names = (await items.getAllKeys()).filter((name) => name.startsWith(place));
  await inBatches(names, (name) => items.removeItem(name));
}
