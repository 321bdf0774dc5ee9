import { equalityDeep } from 'lib0/function';
import * as Y from 'yjs';
import type { JsonRecord } from '../../shared/json.js';
import { type CollectionName, type RecordId, recordIdOf } from '../../shared/names.js';
import { readRecord } from '../../shared/records.js';
import type { CollectionView, SyncRecord } from '../api/api.js';
import { safely } from './safely.js';

type Listener = (ids: ReadonlySet<string> | null) => void;

/**
 * One collection as screens look at it (C8). It stays the same while documents come and go beneath it, and reads
 * again only what changed.
 */
export class LiveCollection implements CollectionView {
  readonly #name: CollectionName;
  readonly #listeners = new Set<Listener>();
  readonly #cache = new Map<string, SyncRecord>();
  #map: Y.Map<unknown> | null = null;
  #records: readonly SyncRecord[] | null = null;
  /** Changed since `#records` was made. */
  readonly #stale = new Set<string>();
  readonly #observer = (events: Y.YEvent<Y.AbstractType<unknown>>[]) => this.#changed(changedIds(events));

  constructor(name: CollectionName) {
    this.#name = name;
  }

  get loaded(): boolean {
    return this.#map !== null;
  }

  get records(): readonly SyncRecord[] {
    this.#records = this.#records === null ? this.#readAll() : this.#refreshed(this.#records);
    this.#stale.clear();
    return this.#records;
  }

  get(id: string | number): SyncRecord | null {
    const key = recordIdOf(id);
    if (key === null) return null;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached;
    const record = this.read(key);
    if (record !== null) this.#cache.set(key, record);
    return record;
  }

  /** A copy that nobody else holds. */
  read(id: RecordId): (JsonRecord & SyncRecord) | null {
    const map = this.#map?.get(id);
    return map instanceof Y.Map ? readRecord(map, id) : null;
  }

  /** All of them, as copies that nobody else holds. */
  copies(): SyncRecord[] {
    return this.#ids().flatMap((id) => this.read(id) ?? []);
  }

  subscribe(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Follows another document, or none. Where one takes the place of another, only what differs is told. */
  attach(doc: Y.Doc | null): void {
    const before = this.#map;
    before?.unobserveDeep(this.#observer);
    this.#map = doc?.getMap(this.#name) ?? null;
    this.#map?.observeDeep(this.#observer);
    if (before !== null && this.#map !== null) {
      this.#compare(before);
      return;
    }
    this.#cache.clear();
    this.#records = null;
    this.#tell(null);
  }

  #compare(before: Y.Map<unknown>): void {
    const ids = new Set([...before.keys(), ...this.#ids()]) as Set<RecordId>;
    const differs = (id: RecordId): boolean => {
      const map = before.get(id);
      const record = this.#cache.get(id) ?? (map instanceof Y.Map ? readRecord(map, id) : null);
      return !equalityDeep(record, this.read(id));
    };
    const changed = new Set([...ids].filter(differs));
    if (changed.size > 0) this.#changed(changed);
  }

  #changed(ids: ReadonlySet<string>): void {
    for (const id of ids) {
      this.#cache.delete(id);
      this.#stale.add(id);
    }
    this.#tell(ids);
  }

  #tell(ids: ReadonlySet<string> | null): void {
    for (const listener of [...this.#listeners]) safely(() => listener(ids));
  }

  #readAll(): readonly SyncRecord[] {
    return this.#ids().flatMap((id) => this.get(id) ?? []);
  }

  #ids(): RecordId[] {
    return [...(this.#map?.keys() ?? [])].sort() as RecordId[];
  }

  #refreshed(records: readonly SyncRecord[]): readonly SyncRecord[] {
    if (this.#stale.size === 0) return records;
    if (this.#stale.size > 100 && this.#stale.size * 10 > records.length) return this.#readAll();
    const next = [...records];
    for (const id of this.#stale) this.#place(next, id);
    return next;
  }

  #place(records: SyncRecord[], id: string): void {
    const index = lowerBound(records, id);
    const found = index < records.length && String(records[index]?.id) === id;
    const record = this.get(id);
    records.splice(index, found ? 1 : 0, ...(record === null ? [] : [record]));
  }
}

function changedIds(events: readonly Y.YEvent<Y.AbstractType<unknown>>[]): Set<string> {
  const ids = new Set<string>();
  for (const event of events) {
    const [id] = event.path;
    if (typeof id === 'string') ids.add(id);
    else for (const key of event.keys.keys()) ids.add(key);
  }
  return ids;
}

/** Where `id` stands, or would stand, in records in the order of their ids. */
function lowerBound(records: readonly SyncRecord[], id: string): number {
  let [low, high] = [0, records.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (String(records[middle]?.id) < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
