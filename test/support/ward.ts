/** The documents of one user without sockets, over a store that can be started again, by a clock that tests move. */
import { onTestFinished } from 'vitest';
import * as Y from 'yjs';
import type { Origin } from '../../server/documents/changes.js';
import type { HistoryEntry, Via } from '../../server/documents/history/history-entry.js';
import type { HistoryPage, HistoryQuery } from '../../server/documents/history/history-log.js';
import { type RecordImage, readImage, writeImage } from '../../server/documents/records/record-image.js';
import { keyOf, type RecordKey } from '../../server/documents/records/record-key.js';
import { DocumentRegistry, type Lease, type RegistryOptions } from '../../server/documents/registry.js';
import type { UserDocument } from '../../server/documents/user-document.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { Store } from '../../server/store/store.js';
import type { CollectionName, DeviceId, RecordId, UserId } from '../../shared/names.js';
import { collectionNames, recordMap } from '../../shared/records.js';
import { JsonLine } from './devices/json-line.js';
import type { ServerMessage } from './devices/json-words.js';
import { seededRandom } from './hostile.js';
import { LevelFixture } from './level-fixture.js';
import { Watched } from './wait.js';

export const DAY = 86_400_000;

/** Something that stores: `open` gives what is on it, as after a start of the server. */
export interface Shelf {
  open(): Promise<Store>;
  close(): Promise<void>;
}

export function memoryShelf(): Shelf & { store: MemoryStore } {
  const shelf = {
    store: new MemoryStore(),
    open: async () => {
      shelf.store = new MemoryStore(shelf.store.contents);
      return shelf.store;
    },
    close: () => shelf.store.close(),
  };
  return shelf;
}

export async function levelShelf(): Promise<Shelf & { fixture: LevelFixture }> {
  const fixture = await LevelFixture.create();
  onTestFinished(() => fixture.remove());
  return { fixture, open: () => fixture.open(), close: async () => fixture.store?.close() };
}

export type WardOptions = Partial<RegistryOptions> & {
  /** What stands between the documents and the store. */
  readonly around?: (store: Store) => Store;
};

/** One user's document and the server around it; `restart` is a stop and a start on the same shelf. */
export class Ward {
  static readonly USER = 'anna' as UserId;
  now = Date.UTC(2025, 0, 31);
  /** Why history could not be pruned. */
  readonly unpruned: unknown[] = [];
  /** Revisions before which the history was said to be damaged. */
  readonly damaged: number[] = [];
  readonly unexpected: unknown[] = [];
  readonly failures: string[] = [];
  rebuilt = 0;
  document!: UserDocument;
  store!: Store;
  readonly #shelf: Shelf;
  readonly #options: WardOptions;
  readonly #random = seededRandom(11);
  #registry: DocumentRegistry | null = null;
  #pruned: () => Promise<void> = async () => {};
  #lease: Lease | null = null;

  private constructor(shelf: Shelf, options: WardOptions) {
    this.#shelf = shelf;
    this.#options = options;
  }

  static async open(shelf: Shelf = memoryShelf(), options: WardOptions = {}): Promise<Ward> {
    const ward = new Ward(shelf, options);
    onTestFinished(() => ward.stop());
    await ward.start();
    return ward;
  }

  /** Resolves when the document is loaded and what is too old of its history is gone. */
  async start(): Promise<void> {
    await this.load();
    await this.pruned();
  }

  /** Resolves when the document is loaded. */
  async load(): Promise<void> {
    const store = await this.#shelf.open();
    this.store = this.#options.around?.(store) ?? store;
    this.#registry = new DocumentRegistry({
      store: this.store,
      idleTimeout: DAY,
      maxDepth: 64,
      compactUpdates: 1_000,
      compactBytes: 1e6,
      keepFor: 90 * DAY,
      historyDays: 90,
      now: () => this.now,
      randomId: () => Math.floor(this.#random() * 2 ** 32),
      onHistoryDamaged: (_, revision) => void this.damaged.push(revision),
      onFailed: (_, { code }) => void this.failures.push(code),
      onPruned: (_, error) => void (error === null || this.unpruned.push(error)),
      onRebuilt: () => void this.rebuilt++,
      onCompacted: () => {},
      onUnexpected: (error) => void this.unexpected.push(error),
      ...this.#options,
    });
    this.#pruned = this.#registry.pruned;
    this.#lease = await this.#registry.open(Ward.USER);
    this.document = this.#lease.document;
  }

  async erase(): Promise<void> {
    await this.#registry?.erase(Ward.USER);
  }

  /** Nobody uses the document any more; resolves when it is not in memory. */
  async letGo(): Promise<void> {
    this.#lease?.release();
    while (this.#registry?.isInUse(Ward.USER)) await new Promise(setImmediate);
  }

  /** Somebody comes again, as after the document has failed. */
  async reopen(): Promise<void> {
    this.#lease = (await this.#registry?.open(Ward.USER)) ?? null;
    if (this.#lease !== null) this.document = this.#lease.document;
  }

  /** Resolves when the prunings that loads began have ended. */
  async pruned(): Promise<void> {
    await this.#pruned();
  }

  /** What is too old of its history goes, as it does every day. */
  async prune(): Promise<void> {
    await this.#registry?.prune(Ward.USER);
  }

  async stop(): Promise<void> {
    await this.#registry?.flush();
    this.#registry?.close();
    this.#registry = null;
    await this.#shelf.close();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** A change by a device that speaks JSON, as what it sent leads to it. */
  write(device: string, change: (doc: Y.Doc) => void, via: Via = 'json'): readonly HistoryEntry[] {
    return this.document.write(originOf(device, via), change);
  }

  /** An update of a native device. */
  receive(device: string, update: Uint8Array, saw: ReadonlyMap<number, number> | null = null): void {
    const { missing } = this.document.receive(originOf(device, 'yjs'), update, saw);
    if (missing !== null) throw new Error('the update misses what it builds on');
  }

  /** The handshake of y-websocket, both ways. */
  sync(device: string, doc: Y.Doc): void {
    const saw = Y.decodeStateVector(Y.encodeStateVector(doc));
    this.receive(device, Y.encodeStateAsUpdate(doc, this.document.stateVector()), saw);
    Y.applyUpdate(doc, this.document.diff(Y.encodeStateVector(doc)), 'server');
  }

  async page(query: Partial<HistoryQuery> = {}): Promise<HistoryPage> {
    const head = this.document.historyHead();
    await this.document.durable();
    const all = { collection: null, id: null, limit: Number.POSITIVE_INFINITY, before: null };
    return this.document.historyLog.page(head, { ...all, ...query });
  }

  /** All entries that are stored, the oldest first. */
  async entries(query: Partial<HistoryQuery> = {}): Promise<HistoryEntry[]> {
    return [...(await this.page(query)).entries].reverse();
  }

  async revisions(): Promise<number[]> {
    return (await this.entries()).map(({ revision }) => revision);
  }

  /** Brings a record back as it was after a revision, as a request does. */
  async restore(key: RecordKey, revision: number, device = 'desk'): Promise<void> {
    const head = this.document.historyHead();
    await this.document.durable();
    this.bringBack(key, await this.document.historyLog.imageAt(head, key, revision), device);
  }

  /** The second half of that, in one go. */
  bringBack({ collection, id }: RecordKey, image: RecordImage, device = 'desk'): void {
    this.write(device, (doc) => writeImage(doc, collection, id, image), 'restore');
  }

  /** What the document has, read anew, not as the server remembers it. */
  images(): Map<string, RecordImage> {
    return imagesOf(this.document.doc);
  }

  json(collection: string, id: string): unknown {
    return this.document.record(record(collection, id));
  }

  /** A JSON device connects. */
  line(device: string, options: LineOptions = {}): WardDevice {
    return new WardDevice(this, device, options);
  }
}

export const originOf = (device: string, via: Via): Origin => ({
  via,
  device: device as DeviceId,
  actor: null,
  subscriber: null,
});

export const record = (collection: string, id: string): RecordKey => ({
  collection: collection as CollectionName,
  id: id as RecordId,
});

export function imagesOf(doc: Y.Doc): Map<string, RecordImage> {
  const images = new Map<string, RecordImage>();
  for (const collection of collectionNames(doc)) {
    for (const id of doc.getMap(collection).keys()) {
      const map = recordMap(doc, collection, id as RecordId);
      if (map !== null) images.set(keyOf(record(collection, id)), readImage(map, id as RecordId));
    }
  }
  return images;
}

interface LineOptions {
  /** Whether it answers pings, as every socket does that is not lost. */
  readonly answers?: boolean;
}

/** A JSON device of a ward, whose writes are durable when they return. */
export class WardDevice {
  readonly messages: ServerMessage[] = [];
  closed: string | null = null;
  readonly #ward: Ward;
  readonly #device: string;
  readonly #line: JsonLine;
  readonly #events = new Watched();
  #acks = 0;

  constructor(ward: Ward, device: string, { answers = true }: LineOptions) {
    this.#ward = ward;
    this.#device = device;
    this.#line = new JsonLine({
      document: ward.document,
      device,
      now: () => ward.now,
      arrived: (frame) => {
        if ('message' in frame) this.messages.push(frame.message);
        else if (answers) queueMicrotask(() => this.#line.pong(frame.ping));
        this.#events.changed();
      },
      closed: ({ code }) => {
        this.closed = code;
        this.#events.changed();
      },
    });
  }

  /** Resolves when it has the full sync. */
  async ready(): Promise<this> {
    await this.#until(() => this.messages.some(({ type }) => type === 'CONNECTION_CONFIRMED'));
    return this;
  }

  /** Sends a record; resolves when it is durable. `madeAt` is earlier than the connection in a queue. */
  async update(collection: string, document: object, madeAt: number | null = this.#ward.now): Promise<void> {
    await this.#send({ type: 'DATA_UPDATE', data: { collection, document, timestamp: madeAt } });
  }

  async delete(
    collection: string,
    documentId: string,
    madeAt: number | null = this.#ward.now,
  ): Promise<void> {
    await this.#send({ type: 'DATA_DELETE', data: { collection, documentId, timestamp: madeAt } });
  }

  /** As `update`, with the time that the device's clock shows at sending. */
  async updateAt(collection: string, document: object, madeAt: number, sentAt: number): Promise<void> {
    const data = { collection, document, timestamp: madeAt };
    await this.#send({ type: 'DATA_UPDATE', data, timestamp: sentAt });
  }

  /** The deletions that it was told. */
  get deletions(): string[] {
    return this.messages.filter(({ type }) => type === 'DATA_DELETE').map(({ data }) => data.documentId);
  }

  leave(): void {
    this.#line.leave();
  }

  async #send(message: object): Promise<void> {
    const ack = `ack ${++this.#acks}`;
    this.#line.say({ ...message, ack });
    await this.#until(() => this.messages.some((answer) => answer.type === 'ACK' && answer.ack === ack));
  }

  #until(look: () => boolean): Promise<boolean> {
    const check = () => {
      if (this.closed !== null) throw new Error(`${this.#device} was closed with ${this.closed}`);
      const error = this.messages.find(({ type }) => type === 'ERROR');
      if (error !== undefined) throw new Error(`${this.#device} was refused with ${error.code}`);
      return look();
    };
    return this.#events.until(check, () => `what ${this.#device} waits for`, 5_000);
  }
}
