/**
 * All records of a document as they are durable at any moment, for connections that show them beside another
 * document and can't wait for both (D8). It follows the document like a connection, and before those that come later.
 */

import type { JsonRecord } from '../../shared/json.js';
import type { CollectionName, DeviceId, RecordId } from '../../shared/names.js';
import { SERVER_DEVICE } from '../protocol/json.js';
import type { DurableChange, Subscriber } from './changes.js';
import { RecordTexts } from './records/record-texts.js';
import { RecordsView } from './records/records-view.js';
import type { UserDocument } from './user-document.js';

const known = new WeakMap<UserDocument, Promise<DurableRecords>>();

export class DurableRecords implements Subscriber {
  readonly device: DeviceId = SERVER_DEVICE;
  readonly document: UserDocument;
  readonly #collections = new Map<CollectionName, Map<RecordId, JsonRecord>>();
  /** The JSON of each record that somebody was shown. */
  readonly #texts: RecordTexts;
  /** What everybody is sent of a collection, until it changes. */
  readonly #views = new Map<CollectionName, RecordsView>();
  #revision: number;

  private constructor(document: UserDocument, texts: RecordTexts) {
    this.document = document;
    this.#texts = texts;
    this.#revision = document.revision;
    for (const [name, records] of Object.entries(document.collections())) {
      const byId = new Map(records.map((record) => [String(record.id) as RecordId, record]));
      this.#collections.set(name as CollectionName, byId);
    }
  }

  /**
   * Those of a document, made once.
   *
   * @throws SyncError what the document failed with
   */
  static of(document: UserDocument): Promise<DurableRecords> {
    const made = known.get(document) ?? DurableRecords.#read(document);
    known.set(document, made);
    return made;
  }

  /** What is not durable yet of what is read is so before it is given out. */
  static async #read(document: UserDocument): Promise<DurableRecords> {
    const texts = (await document.writeRecords()) ?? new RecordTexts();
    return new Promise((resolve, reject) =>
      document.whenReady(() => {
        const records = new DurableRecords(document, texts);
        document.join(records);
        document.afterConfirmed(() => resolve(records), reject);
      }),
    );
  }

  /** Of the document that they show. */
  get revision(): number {
    return this.#revision;
  }

  /** The records of these collections; of each one, empty or not. */
  view(names: Iterable<CollectionName>): RecordsView {
    let view = RecordsView.of({});
    for (const name of names) view = view.with(this.#viewOf(name));
    return view;
  }

  #viewOf(name: CollectionName): RecordsView {
    const known = this.#views.get(name);
    if (known !== undefined) return known;
    const records = [...(this.#collections.get(name)?.values() ?? [])];
    const view = RecordsView.of({ [name]: records }, this.#texts).inBytes();
    this.#views.set(name, view);
    return view;
  }

  deliver({ revision, records }: DurableChange): void {
    this.#revision = revision;
    for (const { collection, id, record } of records) {
      const byId = this.#collections.get(collection) ?? new Map<RecordId, JsonRecord>();
      this.#collections.set(collection, byId);
      this.#views.delete(collection);
      this.#texts.forget(byId.get(id));
      if (record === null) byId.delete(id);
      else byId.set(id, record);
    }
  }

  /**
   * The document failed: these stay as they were saved, and the next ones are made of the document as it is loaded
   * anew.
   */
  fail(): void {}
}
