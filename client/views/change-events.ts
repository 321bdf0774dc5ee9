import type { ChangeEvent, CollectionView, SyncRecord } from '../api/api.js';
import { safely } from './safely.js';

/** One by one, so that the operation goes on telling what the data is. */
type WithoutCollection<Event> = Event extends unknown ? Omit<Event, 'collection'> : never;

/** What `subscribe` of the documented API tells: which record came, changed or went. */
export class ChangeEvents {
  readonly #collection: string;
  readonly #view: CollectionView;
  readonly #callback: (event: ChangeEvent) => void;
  #known: Map<string, SyncRecord>;
  readonly end: () => void;

  constructor(collection: string, view: CollectionView, callback: (event: ChangeEvent) => void) {
    this.#collection = collection;
    this.#view = view;
    this.#callback = callback;
    this.#known = recordsById(view);
    this.end = view.subscribe((ids) => this.#changed(ids));
  }

  /** Tells all records, if there is anything to tell yet. */
  tellAll(): void {
    if (this.#view.loaded) this.#tell({ operation: 'sync', data: [...this.#view.records] });
  }

  #changed(ids: ReadonlySet<string> | null): void {
    if (ids === null) {
      this.#known = recordsById(this.#view);
      this.tellAll();
    } else for (const id of ids) this.#changedRecord(id);
  }

  #changedRecord(id: string): void {
    const before = this.#known.get(id);
    const record = this.#view.get(id);
    if (record !== null) {
      this.#known.set(id, record);
      this.#tell({ operation: before === undefined ? 'add' : 'update', data: record });
    } else if (before !== undefined) {
      this.#known.delete(id);
      this.#tell({ operation: 'delete', data: before });
    }
  }

  #tell(event: WithoutCollection<ChangeEvent>): void {
    safely(() => this.#callback({ ...event, collection: this.#collection }));
  }
}

const recordsById = (view: CollectionView) =>
  new Map(view.records.map((record) => [String(record.id), record]));
