import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import * as Y from 'yjs';
import { Access } from '../../server/access/access.js';
import { readConfig } from '../../server/config.js';
import type { Origin } from '../../server/documents/changes.js';
import { DocumentRegistry } from '../../server/documents/registry.js';
import { Backlog } from '../../server/documents/turns/backlog.js';
import type { UserDocument } from '../../server/documents/user-document.js';
import { Quotas } from '../../server/gateways/guard/quotas.js';
import { createHttp } from '../../server/gateways/http/routes.js';
import { silentLog } from '../../server/log.js';
import { Metrics } from '../../server/metrics.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { Json, JsonRecord } from '../../shared/json.js';
import type { CollectionName, DeviceId, RecordId, UserId } from '../../shared/names.js';
import type { ById } from './clinic.js';
import { byId } from './clinic.js';
import { HttpDevice } from './devices/json-http.js';
import { JsonLine } from './devices/json-line.js';
import {
  apply,
  type Change,
  messageOf,
  type ServerMessage,
  type Stamps,
  taken,
} from './devices/json-words.js';

/**
 * Apps that speak JSON, joined to real sessions without sockets. The test turns the clock and says when a socket
 * answers a ping and when the app behind it reads what came: two things that lie apart in the field.
 */
const ANNA = 'anna' as UserId;

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** Where the tests keep their records. */
export const VISITS = 'visits';

export interface AppOptions {
  /** So many ms is its clock ahead. */
  readonly clock?: number;
  readonly stamps?: Stamps;
}

export class Practice {
  /** The server's clock. */
  now = Date.UTC(2026, 2, 2, 8);
  store = new MemoryStore();
  document!: UserDocument; // set by open() before anybody gets hold of it
  #registry!: DocumentRegistry;
  readonly #apps = new Set<App>();
  #http: Server | null = null;
  #strangers = 0;

  static async open(): Promise<Practice> {
    const practice = new Practice();
    await practice.#load();
    onTestFinished(() => practice.#registry.close());
    return practice;
  }

  /** An app that is not connected yet. */
  app(device: string, options: AppOptions = {}): App {
    const app = new App(this, device, options);
    this.#apps.add(app);
    return app;
  }

  /** An app that has read everything there is, and the server knows it. */
  async connected(device: string, options: AppOptions = {}): Promise<App> {
    const app = this.app(device, options);
    app.connect();
    await app.catchUp();
    await this.pass(10 * SECOND);
    return app;
  }

  /** Time goes by; nobody does anything. */
  async pass(ms: number): Promise<void> {
    await this.settle();
    this.now += ms;
  }

  /** Whatever arrived is durable, and what comes of it was sent. */
  async settle(): Promise<void> {
    do {
      await new Promise((resolve) => setImmediate(resolve));
      await this.document.durable();
    } while (this.document.isBusy);
  }

  /** Everybody who is connected reads everything. */
  async catchUp(): Promise<void> {
    for (const app of this.#apps) if (app.isConnected) await app.catchUp();
  }

  /** Where the HTTP routes are; they know the same documents and the same clock. */
  async url(): Promise<string> {
    this.#http ??= await this.#listen();
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The record as it is on the server. */
  record(id: string, collection = VISITS): JsonRecord | null {
    return this.document.record({ collection: collection as CollectionName, id: id as RecordId });
  }

  records(): ById {
    return byId(this.document.collections());
  }

  /** An edit of a native device that is up to date. */
  async native(edit: (doc: Y.Doc) => void): Promise<void> {
    await this.settle();
    const doc = new Y.Doc();
    Y.applyUpdate(doc, this.document.diff(Uint8Array.of(0)));
    const before = Y.encodeStateVector(doc);
    doc.transact(() => edit(doc));
    const origin: Origin = { via: 'yjs', device: 'laptop' as DeviceId, actor: null, subscriber: null };
    this.document.receive(origin, Y.encodeStateAsUpdate(doc, before), Y.decodeStateVector(before));
    await this.settle();
  }

  /** Brings a record back as it was after a revision (H6). */
  async restore(id: string, revision: number, collection = VISITS): Promise<void> {
    const url = `${await this.url()}/api/history/${ANNA}`;
    const body = JSON.stringify({ collection, id, revision });
    const response = await fetch(`${url}/restore`, { method: 'POST', body });
    if (response.status !== 200) throw new Error(`restore got ${response.status}: ${await response.text()}`);
    await this.settle();
  }

  /** The server stops in good order, or is killed; another one starts on what it left. All connections are gone. */
  async restart(how: 'stopped' | 'killed'): Promise<void> {
    await this.settle();
    if (how === 'stopped') await this.#registry.flush();
    for (const app of this.#apps) if (app.isConnected) app.lose(how === 'stopped');
    if (how === 'stopped') await this.#registry.flush();
    this.#registry.close();
    this.store = new MemoryStore(new Map(this.store.contents));
    await this.#load();
  }

  async #listen(): Promise<Server> {
    const practice = this;
    const metrics = new Metrics();
    onTestFinished(() => metrics.close());
    // Times of the test are not those of its requests, so there is no rate.
    const config = readConfig({ MESSAGE_RATE: '0', BYTE_RATE: '0' });
    const http = createHttp({
      config,
      access: await Access.create(config, () => this.now),
      quotas: new Quotas(config, silentLog, () => this.now),
      metrics,
      backlog: new Backlog(),
      overload: { isOver: false },
      hops: null,
      random: () => 0,
      restoreUser: () => Promise.reject(new Error('not here')),
      backups: { lastAt: null, restoredAt: null, make: () => Promise.reject(new Error('not here')) },
      get registry() {
        return practice.#registry;
      },
      log: silentLog,
      now: () => this.now,
      newDeviceId: () => `device-${++this.#strangers}` as DeviceId,
      hindrances: () => [],
      warnings: () => undefined,
      uptime: () => this.now,
    });
    const server = await new Promise<Server>((resolve) => {
      const listening = http.listen(0, '127.0.0.1', () => resolve(listening));
    });
    onTestFinished(() => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    });
    return server;
  }

  async #load(): Promise<void> {
    this.#registry = new DocumentRegistry({
      store: this.store,
      idleTimeout: HOUR,
      maxDepth: 64,
      compactUpdates: 1_000,
      compactBytes: 1e6,
      keepFor: 90 * DAY,
      historyDays: 90,
      now: () => this.now,
      randomId: () => Math.floor(Math.random() * 2 ** 32),
      onHistoryDamaged: fault,
      onFailed: fault,
      onRebuilt: fault,
      onCompacted: () => {},
      onUnexpected: fault,
    });
    this.document = (await this.#registry.open(ANNA)).document;
  }
}

function fault(...what: unknown[]): never {
  throw new Error('a fault of the server', { cause: what.at(-1) });
}

/** A JSON device: its own copy of the records, a queue of what it changes while it has no connection. */
export class App {
  readonly device: DeviceId;
  /** collection → id → record. */
  copy: ById = {};
  queue: Change[] = [];
  /** What the app has read, across connections. */
  readonly read: ServerMessage[] = [];
  /** Whether its socket answers pings. */
  answersPings = true;
  readonly #practice: Practice;
  readonly #clock: number;
  readonly #stamps: Stamps;
  #line: JsonLine | null = null;
  #http: HttpDevice | null = null;

  constructor(practice: Practice, device: string, { clock = 0, stamps = 'both' }: AppOptions) {
    this.#practice = practice;
    this.device = device as DeviceId;
    this.#clock = clock;
    this.#stamps = stamps;
  }

  get isConnected(): boolean {
    return this.#line !== null;
  }

  /** What the server sent back to correct the app. */
  get corrections(): ServerMessage[] {
    return this.read.filter(({ fromDevice }) => fromDevice === 'server');
  }

  connect(): void {
    const { document } = this.#practice;
    const now = () => this.#practice.now;
    this.#line = new JsonLine({ document, device: this.device, now, closed: fault });
  }

  /** The connection is lost, with what the app has not read; the server notices if it is still there. */
  lose(noticed = true): void {
    if (noticed) this.#line?.leave();
    this.#line = null;
  }

  /** The connection is lost, but the server notices only when the function that it returns is called. */
  abandon(): () => void {
    const line = this.#line;
    this.lose(false);
    return () => line?.leave();
  }

  /** The socket answers the pings that came, and those that come of it. */
  async pong(): Promise<void> {
    await this.#practice.settle();
    for (let ping = this.#line?.takePing(); ping !== undefined; ping = this.#line?.takePing()) {
      if (this.answersPings) this.#line?.pong(ping);
    }
  }

  /** The app reads what its socket has. */
  async readAll(): Promise<void> {
    await this.#practice.settle();
    while (this.#readOne() !== undefined);
  }

  /** The app reads the next message that its socket has. */
  async readNext(): Promise<ServerMessage | undefined> {
    await this.#practice.settle();
    return this.#readOne();
  }

  #readOne(): ServerMessage | undefined {
    const message = this.#line?.takeMessage();
    if (message === undefined) return undefined;
    if (message.type === 'ERROR') throw new Error(`${this.device} got ${message.code}`);
    this.read.push(message);
    this.copy = taken(this.copy, message);
    return message;
  }

  /** The app reads everything, its socket answers every ping. */
  async catchUp(): Promise<void> {
    do {
      await this.pong();
      await this.readAll();
    } while (this.#line !== null && this.#line.frames.length > 0);
  }

  record(id: string, collection = VISITS): JsonRecord | undefined {
    return this.copy[collection]?.[id];
  }

  /** Changes fields of its copy of a record (`undefined` drops one) and sends, or queues, the whole of it. */
  edit(id: string, fields: Record<string, Json | undefined>, collection = VISITS): void {
    const document = { ...this.record(id, collection), id: this.record(id, collection)?.id ?? id, ...fields };
    for (const [name, value] of Object.entries(fields)) {
      if (value === undefined) delete (document as Record<string, unknown>)[name];
    }
    this.write(document as JsonRecord, collection);
  }

  /** Writes a whole record over its copy; sends it, or queues it. */
  write(document: JsonRecord, collection = VISITS): void {
    this.#change({ collection, document, madeAt: this.#time() });
  }

  remove(documentId: string, collection = VISITS): void {
    this.#change({ collection, documentId, madeAt: this.#time() });
  }

  /** Sends what is queued, oldest first; `keep`: it does not know that it did. */
  async replay(keep: 'keep' | 'forget' = 'forget'): Promise<void> {
    const { queue } = this;
    if (keep === 'forget') this.queue = [];
    for (const change of queue) {
      apply(this.copy, change);
      this.#line?.say(this.#message(change));
    }
    await this.#practice.settle();
  }

  requestSync(): void {
    const timestamp = this.#stamps === 'none' ? {} : { timestamp: this.#time() };
    this.#line?.say({ type: 'REQUEST_SYNC', ...timestamp });
  }

  /** GET: with the tag of what it has, where it has been told one. The answer replaces its copy, unless it is lost. */
  get(fate: 'arrives' | 'is lost' = 'arrives'): Promise<number> {
    return this.#overHttp((http) => http.get(fate), fate);
  }

  /**
   * POST of what is queued, which it forgets, unless the answer is lost.
   *
   * @param tag whether it tells what it has, as with GET
   */
  async post(
    fate: 'arrives' | 'is lost' = 'arrives',
    tag: 'tagged' | 'untagged' = 'untagged',
  ): Promise<number> {
    const changes = this.queue.map((change) => this.#message(change));
    const status = await this.#overHttp((http) => http.post(changes, { fate, tag }), fate);
    if (fate === 'arrives') this.queue = [];
    return status;
  }

  async #overHttp(
    request: (http: HttpDevice) => Promise<number>,
    fate: 'arrives' | 'is lost',
  ): Promise<number> {
    await this.#practice.settle();
    this.#http ??= new HttpDevice(await this.#practice.url(), ANNA, this.device);
    const status = await request(this.#http);
    if (fate === 'arrives' && status === 200) this.copy = this.#http.store;
    return status;
  }

  #time(): number {
    return this.#practice.now + this.#clock;
  }

  #change(change: Change): void {
    apply(this.copy, change);
    if (this.#line === null) this.queue.push(change);
    else this.#line.say(this.#message(change));
  }

  #message(change: Change): object {
    return messageOf(change, this.#stamps, this.#time());
  }
}
