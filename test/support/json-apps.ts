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
import { JsonSession } from '../../server/gateways/json/session.js';
import { silentLog } from '../../server/log.js';
import { Metrics } from '../../server/metrics.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import type { Collections, Json, JsonRecord } from '../../shared/json.js';
import type { CollectionName, DeviceId, RecordId, UserId } from '../../shared/names.js';
import type { ById } from './clinic.js';
import { byId } from './clinic.js';
import { jsonOutbox } from './devices/outbox.js';

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

/** A message as an app gets it. */
interface Received {
  readonly type: string;
  readonly data: { collection: string; document: JsonRecord; documentId: string };
  readonly fromDevice?: string;
  readonly code?: string;
}

/** A change that an app made, as it keeps it in its queue. */
interface Change {
  readonly type: 'DATA_UPDATE' | 'DATA_DELETE';
  readonly collection: string;
  readonly document?: JsonRecord;
  readonly documentId?: string;
  /** By the clock of the device. */
  readonly madeAt: number;
}

/**
 * Which timestamps an app gives its messages: when the change was made and when it is sent; `stored`: the time of
 * the change as both of them; or none.
 */
export type Stamps = 'both' | 'stored' | 'none';

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
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/api/sync/${ANNA}`;
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
    const url = (await this.url()).replace('/api/sync/', '/api/history/');
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
      get registry() {
        return practice.#registry;
      },
      log: silentLog,
      now: () => this.now,
      newDeviceId: () => `device-${++this.#strangers}` as DeviceId,
      isReady: () => true,
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
  readonly read: Received[] = [];
  /** Whether its socket answers pings. */
  answersPings = true;
  readonly #practice: Practice;
  readonly #clock: number;
  readonly #stamps: Stamps;
  /** Of the last answer over HTTP that arrived. */
  #etag: string | null = null;
  #session: JsonSession | null = null;
  #inbox: Received[] = [];
  #pings: string[] = [];

  constructor(practice: Practice, device: string, { clock = 0, stamps = 'both' }: AppOptions) {
    this.#practice = practice;
    this.device = device as DeviceId;
    this.#clock = clock;
    this.#stamps = stamps;
  }

  get isConnected(): boolean {
    return this.#session !== null;
  }

  /** What the server sent back to correct the app. */
  get corrections(): Received[] {
    return this.read.filter(({ fromDevice }) => fromDevice === 'server');
  }

  connect(): void {
    const inbox: Received[] = [];
    const pings: string[] = [];
    this.#inbox = inbox;
    this.#pings = pings;
    this.#session = new JsonSession({
      document: this.#practice.document,
      device: this.device,
      now: () => this.#practice.now,
      log: silentLog,
      maxDepth: 64,
      maxMessage: 1_000_000,
      outbox: jsonOutbox({
        send: (text) => inbox.push(JSON.parse(text.toString())),
        ping: (payload) => pings.push(payload),
        close: fault,
      }),
    });
    this.#session.start();
  }

  /** The connection is lost, with what the app has not read; the server notices if it is still there. */
  lose(noticed = true): void {
    if (noticed) this.#session?.leave();
    this.#session = null;
    this.#inbox = [];
    this.#pings = [];
  }

  /** The connection is lost, but the server notices only when the function that it returns is called. */
  abandon(): () => void {
    const session = this.#session;
    this.lose(false);
    return () => session?.leave();
  }

  /** The socket answers the pings that came, and those that come of it. */
  async pong(): Promise<void> {
    await this.#practice.settle();
    for (let ping = this.#pings.shift(); ping !== undefined; ping = this.#pings.shift()) {
      if (this.answersPings) this.#session?.pong(ping);
    }
  }

  /** The app reads what its socket has. */
  async readAll(): Promise<void> {
    await this.#practice.settle();
    for (const message of this.#inbox.splice(0)) this.#take(message);
  }

  /** The app reads the next message that its socket has. */
  async readNext(): Promise<Received | undefined> {
    await this.#practice.settle();
    const message = this.#inbox.shift();
    if (message !== undefined) this.#take(message);
    return message;
  }

  /** The app reads everything, its socket answers every ping. */
  async catchUp(): Promise<void> {
    do {
      await this.pong();
      await this.readAll();
    } while (this.#inbox.length > 0 || this.#pings.length > 0);
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
    this.#change({ type: 'DATA_UPDATE', collection, document, madeAt: this.#time() });
  }

  remove(documentId: string, collection = VISITS): void {
    this.#change({ type: 'DATA_DELETE', collection, documentId, madeAt: this.#time() });
  }

  /** Sends what is queued, oldest first; `keep`: it does not know that it did. */
  async replay(keep: 'keep' | 'forget' = 'forget'): Promise<void> {
    const { queue } = this;
    if (keep === 'forget') this.queue = [];
    for (const change of queue) {
      this.#apply(change);
      this.#send(change);
    }
    await this.#practice.settle();
  }

  requestSync(): void {
    const timestamp = this.#stamps === 'none' ? {} : { timestamp: this.#time() };
    this.#deliver({ type: 'REQUEST_SYNC', userId: ANNA, deviceId: this.device, ...timestamp });
  }

  /** GET: with the tag of what it has, where it has been told one. The answer replaces its copy, unless it is lost. */
  async get(fate: 'arrives' | 'is lost' = 'arrives'): Promise<number> {
    await this.#practice.settle();
    const headers = { 'Device-ID': this.device, ...(this.#etag !== null && { 'If-None-Match': this.#etag }) };
    const response = await fetch(await this.#practice.url(), { headers });
    return this.#answer(response, fate);
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
    await this.#practice.settle();
    const changes = this.queue.map((change) => this.#message(change));
    const headers = {
      'Device-ID': this.device,
      ...(tag === 'tagged' && this.#etag !== null && { 'If-None-Match': this.#etag }),
    };
    const body = JSON.stringify({ changes });
    const response = await fetch(await this.#practice.url(), { method: 'POST', headers, body });
    if (response.status !== 200) throw new Error(`POST got ${response.status}: ${await response.text()}`);
    if (fate === 'arrives') this.queue = [];
    return this.#answer(response, fate);
  }

  async #answer(response: Response, fate: 'arrives' | 'is lost'): Promise<number> {
    const text = await response.text();
    if (fate === 'is lost') return response.status;
    this.#etag = response.headers.get('etag');
    if (response.status === 200) this.copy = byId(JSON.parse(text) as Collections);
    return response.status;
  }

  #time(): number {
    return this.#practice.now + this.#clock;
  }

  #change(change: Change): void {
    this.#apply(change);
    if (this.#session === null) this.queue.push(change);
    else this.#send(change);
  }

  #send(change: Change): void {
    this.#deliver(this.#message(change));
  }

  #message({ madeAt, type, ...data }: Change): object {
    const envelope = { type, userId: ANNA, deviceId: this.device };
    if (this.#stamps === 'none') return { ...envelope, data };
    const timestamp = this.#stamps === 'stored' ? madeAt : this.#time();
    return { ...envelope, data: { ...data, timestamp: madeAt }, timestamp };
  }

  #deliver(message: object): void {
    this.#session?.receive(JSON.stringify(message));
  }

  #take(message: Received): void {
    const { type, data } = message;
    this.read.push(message);
    if (type === 'FULL_SYNC') this.copy = byId(data as unknown as Collections);
    else if (type === 'DATA_UPDATE' || type === 'DATA_DELETE') this.#apply({ type, ...data });
    else if (type === 'ERROR') throw new Error(`${this.device} got ${message.code}`);
  }

  #apply({ type, collection, document, documentId }: Omit<Change, 'madeAt'>): void {
    const records = { ...this.copy[collection] };
    this.copy = { ...this.copy, [collection]: records };
    if (type === 'DATA_UPDATE' && document !== undefined) records[String(document.id)] = document;
    else delete records[documentId ?? ''];
  }
}
