import type * as Y from 'yjs';
import type { Collections } from '../../../shared/json.js';
import { type CollectionName, type RecordId, STANDARD_COLLECTIONS } from '../../../shared/names.js';
import { collectionNames, recordMap } from '../../../shared/records.js';
import { type RecordImage, readImage, readImageFields, sameImage } from './record-image.js';
import { collectionOf, keyOf, type RecordKey } from './record-key.js';

/** A record that a transaction wrote to; `fields` are those it wrote, `null` for any. */
export interface Touched extends RecordKey {
  readonly fields: ReadonlySet<string> | null;
}

/** A record before and after a change; `null` where there is none. */
export interface ImageChange extends RecordKey {
  readonly before: RecordImage | null;
  readonly after: RecordImage | null;
}

/** Records that are read without a rest. */
const STEP = 128;

/**
 * The records of a document as they were after the last change, so that each change knows what was before. They
 * are read once, when they are first needed; after that only what a change touched is read again.
 */
export class RecordImages {
  readonly #doc: Y.Doc;
  #images: Map<string, RecordImage> | null = null;

  constructor(doc: Y.Doc) {
    this.#doc = doc;
  }

  /** Reads all records, unless they are known. */
  complete(): ReadonlyMap<string, RecordImage> {
    if (this.#images === null) for (const _rest of this.readInSteps());
    return this.#images ?? new Map();
  }

  /** The same with rests; the document must not change meanwhile. */
  *readInSteps(): Generator<void> {
    const images = new Map<string, RecordImage>();
    let read = 0;
    for (const collection of collectionNames(this.#doc)) {
      for (const id of this.#doc.getMap(collection).keys() as Iterable<RecordId>) {
        const map = recordMap(this.#doc, collection, id);
        if (map !== null) images.set(keyOf({ collection, id }), readImage(map, id));
        if (++read % STEP === 0) yield;
      }
    }
    this.#images = images;
  }

  get(key: RecordKey): RecordImage | null {
    return this.complete().get(keyOf(key)) ?? null;
  }

  /** All records: the four standard collections always, every other one that ever had a record (D7). */
  collections(): Collections {
    const names = new Set<CollectionName>([...STANDARD_COLLECTIONS, ...collectionNames(this.#doc)]);
    const collections: Collections = Object.fromEntries([...names].map((name) => [name, []]));
    for (const [key, { json }] of this.complete()) collections[collectionOf(key)]?.push(json);
    return collections;
  }

  /** Reads these records again; returns those that are not what they were. */
  refresh(touched: Iterable<Touched>): ImageChange[] {
    const images = this.#images;
    if (images === null) return [];
    const changes: ImageChange[] = [];
    for (const { collection, id, fields } of touched) {
      const key = keyOf({ collection, id });
      const before = images.get(key) ?? null;
      const after = this.#read({ collection, id, fields }, before);
      // What is left of `before` but for some fields was compared as it was read.
      if (before === after || (fields === null && sameImage(before, after))) continue;
      if (after === null) images.delete(key);
      else images.set(key, after);
      changes.push({ collection, id, before, after });
    }
    return changes;
  }

  #read({ collection, id, fields }: Touched, before: RecordImage | null): RecordImage | null {
    const map = recordMap(this.#doc, collection, id);
    if (map === null) return null;
    return before === null || fields === null ? readImage(map, id) : readImageFields(before, map, id, fields);
  }
}
