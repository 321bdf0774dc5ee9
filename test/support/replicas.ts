import * as Y from 'yjs';
import type { Written } from '../../server/documents/changes.js';
import type { Admitted } from '../../server/documents/intake/admission.js';
import { Replica, type ReplicaOptions } from '../../server/documents/replica.js';
import type { Json } from '../../shared/json.js';
import type { CollectionName, RecordId } from '../../shared/names.js';
import { readRecord, readValue, recordMap } from '../../shared/records.js';
import type { ById } from './clinic.js';

export const options: ReplicaOptions = {
  ids: () => ({ writes: 4_000_000_001, unions: 4_000_000_002 }),
  now: () => 1_000,
  maxDepth: 64,
  keepFor: 90 * 86_400_000,
};

/** As any, but for its random name, which only sub-documents are known by: drawing it costs more than most edits. */
export const unnamedDoc = (options: ConstructorParameters<typeof Y.Doc>[0] = {}): Y.Doc =>
  new Y.Doc({ guid: '', ...options });

/** A client as unmodified y-websocket clients are: a plain Y.Doc that collects garbage. */
export function client(clientID: number): Y.Doc {
  const doc = unnamedDoc();
  doc.clientID = clientID;
  return doc;
}

/** An update as this replica takes it; an empty one does nothing. */
export function admitted(replica: Replica, update: Uint8Array): Admitted {
  const admission = replica.check(update);
  if (admission.kind === 'missing') throw new Error('The update builds on what is missing.');
  return admission.kind === 'empty'
    ? { kind: 'cheap', update, overlaps: false, isContested: false, isAllNew: false, plain: null }
    : admission;
}

/** A replica with the rows that a store would hold, so that it can be loaded again. */
export class Server {
  rows: Uint8Array[] = [];
  memory: Uint8Array | null = null;
  replica: Replica;
  #starts = 0;
  readonly #options: Partial<ReplicaOptions>;

  constructor(options: Partial<ReplicaOptions> = {}) {
    this.#options = options;
    this.replica = this.#load();
  }

  #load(): Replica {
    const start = this.#starts++;
    const ids = { writes: 4_000_000_001 + 2 * start, unions: 4_000_000_002 + 2 * start };
    return new Replica(
      { updates: this.rows, memory: this.memory },
      {
        ...options,
        ids: () => ids,
        ...this.#options,
      },
    );
  }

  #store(written: Written): Written {
    const updates = [written.incoming, written.made].filter((update) => update !== null);
    if (updates.length > 0) this.rows.push(Y.mergeUpdates(updates));
    if (written.memory !== undefined) this.memory = written.memory;
    return written;
  }

  receive(update: Uint8Array, saw: ReadonlyMap<number, number> | null = null): Written {
    return this.#store(this.replica.apply(admitted(this.replica, update), { saw }));
  }

  write(change: (doc: Y.Doc) => void): Written {
    return this.#store(this.replica.write(change));
  }

  restart(): void {
    this.replica = this.#load();
  }

  compact(): void {
    this.rows = [Y.encodeStateAsUpdate(this.replica.doc)];
    this.memory = this.replica.memory();
  }

  /** The handshake of y-websocket: the client's answer is encoded before it merges what the server has. */
  sync(doc: Y.Doc): void {
    const saw = Y.decodeStateVector(Y.encodeStateVector(doc));
    const answer = Y.encodeStateAsUpdate(doc, Y.encodeStateVector(this.replica.doc));
    this.receive(answer, saw);
    Y.applyUpdate(doc, Y.encodeStateAsUpdate(this.replica.doc, Y.encodeStateVector(doc)));
  }

  json(): Json {
    return jsonOfDoc(this.replica.doc);
  }
}

/** The collections of a document as JSON, without those that are empty. */
export function jsonOfDoc(doc: Y.Doc): Json {
  const names = [...doc.share.keys()].sort();
  const collections = names.map((name) => [name, readValue(doc.getMap(name))] as const);
  return Object.fromEntries(collections.filter(([, records]) => Object.keys(records as object).length > 0));
}

/** The records of a document as JSON devices see them; collections without records are left out. */
export function viewOf(doc: Y.Doc): ById {
  const view: ById = {};
  for (const collection of [...doc.share.keys()]) {
    for (const id of doc.getMap(collection).keys()) {
      const map = recordMap(doc, collection as CollectionName, id as RecordId);
      if (map !== null) view[collection] = { ...view[collection], [id]: readRecord(map, id as RecordId) };
    }
  }
  return view;
}
