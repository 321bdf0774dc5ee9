/** Apps as they are in the field, over real sockets: one with a queue for the time without a network, one over HTTP. */
import type { Collections, Json, JsonRecord } from '../../shared/json.js';
import { type ById, byId } from './clinic.js';
import { JsonDevice, type ServerMessage } from './devices/json-device.js';

interface Change {
  readonly type: 'DATA_UPDATE' | 'DATA_DELETE';
  readonly collection: string;
  readonly document?: JsonRecord;
  readonly documentId?: string;
  /** By the clock of the phone. */
  readonly madeAt: number;
}

export interface PhoneHabits {
  /**
   * Which timestamps its messages carry: when the change was made and when it is sent; `stored`: the time of the
   * change as both of them; or none.
   */
  readonly stamps: 'both' | 'stored' | 'none';
  /** When it sends its queue: once it has the full sync, or as soon as the socket is open. */
  readonly replays: 'after the full sync' | 'at open';
}

/**
 * A JSON device with a queue: what it changes without a connection waits there. What the server sends replaces its
 * copy, a full sync all of it.
 */
export class Phone {
  readonly device: string;
  readonly habits: PhoneHabits;
  /** What the server sent, across connections. */
  readonly received: ServerMessage[] = [];
  readonly #url: string;
  readonly #user: string;
  #copy: ById = {};
  #queue: Change[] = [];
  #line: JsonDevice | null = null;
  #acks = 0;

  constructor(url: string, user: string, device: string, habits: PhoneHabits) {
    this.#url = url;
    this.#user = user;
    this.device = device;
    this.habits = habits;
  }

  /** Its copy of the records: collection → id → record. */
  get store(): ById {
    return this.#line?.store ?? this.#copy;
  }

  get isOnline(): boolean {
    return this.#line !== null;
  }

  /** Connects and sends its queue; resolves when it has everything that comes of that. */
  async connect(): Promise<void> {
    const line = new JsonDevice(this.#url, this.#user, this.device);
    line.store = this.#copy;
    this.#line = line;
    if (this.habits.replays === 'at open') await line.until(() => line.ws.readyState === line.ws.OPEN);
    else await line.next('FULL_SYNC');
    const queue = this.#queue.splice(0);
    for (const change of queue) this.#send(line, change);
    await line.next('CONNECTION_CONFIRMED');
    if (queue.length > 0) await this.saved();
  }

  /** Closes its connection, if it has one. */
  async disconnect(): Promise<void> {
    const line = this.#line;
    if (line === null) return;
    if (line.closed === null) await line.close();
    this.#copy = line.store;
    this.received.push(...line.messages);
    this.#line = null;
  }

  /** Resolves when everything that it sent is durable, and what corrects it has arrived. */
  async saved(): Promise<void> {
    const line = this.#connected();
    const ack = `${this.#acks}`;
    await line.until(() => line.messages.some((message) => message.type === 'ACK' && message.ack === ack));
  }

  /** Resolves with the first value of `look` that says yes. */
  until<T>(look: () => T | null | undefined | false): Promise<T> {
    return this.#connected().until(look);
  }

  /** The messages of this type on the connection that it has. */
  of(type: ServerMessage['type']): ServerMessage[] {
    return this.#connected().of(type);
  }

  record(collection: string, id: string): JsonRecord {
    const found = this.store[collection]?.[id];
    if (found === undefined) throw new Error(`${this.device} has no ${collection}/${id}`);
    return found;
  }

  /** Changes fields of its copy of a record, and sends or queues the whole of it; returns the time. */
  edit(collection: string, id: string, fields: Readonly<Record<string, Json>>): number {
    return this.write(collection, { ...this.record(collection, id), ...fields });
  }

  /** Writes a whole record over its copy, and sends or queues it; returns the time. */
  write(collection: string, document: JsonRecord): number {
    return this.#change({ type: 'DATA_UPDATE', collection, document, madeAt: Date.now() });
  }

  delete(collection: string, documentId: string): number {
    return this.#change({ type: 'DATA_DELETE', collection, documentId, madeAt: Date.now() });
  }

  #change(change: Change): number {
    if (this.#line !== null) {
      this.#send(this.#line, change);
      return change.madeAt;
    }
    this.#queue.push(change);
    const { collection, document, documentId } = change;
    const { [documentId ?? '']: _, ...records } = this.#copy[collection] ?? {};
    const changed = document === undefined ? records : { ...records, [String(document.id)]: document };
    this.#copy = { ...this.#copy, [collection]: changed };
    return change.madeAt;
  }

  #send(line: JsonDevice, { collection, document, documentId, madeAt }: Change): void {
    const { stamps } = this.habits;
    const time = stamps === 'none' ? undefined : madeAt;
    const timestamp = stamps === 'both' ? Date.now() : time;
    const ack = `${++this.#acks}`;
    if (document !== undefined) {
      line.update(collection, document, { data: { collection, document, timestamp: time }, timestamp, ack });
    } else if (documentId !== undefined) {
      const data = { collection, documentId, timestamp: time };
      line.delete(collection, documentId, { data, timestamp, ack });
    }
  }

  #connected(): JsonDevice {
    if (this.#line === null) throw new Error(`${this.device} has no connection`);
    return this.#line;
  }
}

/** A device whose network blocks WebSockets: it gets what there is, and posts what it changed. */
export class HttpDevice {
  readonly device: string;
  /** Its copy of the records: collection → id → record. */
  store: ById = {};
  readonly #url: string;
  readonly #user: string;
  #etag: string | null = null;

  constructor(url: string, user: string, device: string) {
    this.#url = `${url}/api/sync/${user}`;
    this.#user = user;
    this.device = device;
  }

  /** Asks for what is new since the last answer; returns its status. */
  get(): Promise<number> {
    return this.#ask({});
  }

  /** Writes whole records, `[collection, record]`, made now, and says by the tag what it had. */
  async write(...records: readonly (readonly [collection: string, record: JsonRecord])[]): Promise<void> {
    const timestamp = Date.now();
    const envelope = { type: 'DATA_UPDATE', userId: this.#user, deviceId: this.device, timestamp };
    const changes = records.map(([collection, document]) => ({
      ...envelope,
      data: { collection, document, timestamp },
    }));
    const status = await this.#ask({ method: 'POST', body: JSON.stringify({ changes }) });
    if (status !== 200) throw new Error(`POST got ${status}`);
  }

  record(collection: string, id: string): JsonRecord {
    const found = this.store[collection]?.[id];
    if (found === undefined) throw new Error(`${this.device} has no ${collection}/${id}`);
    return found;
  }

  async #ask(request: RequestInit): Promise<number> {
    const headers = { 'Device-ID': this.device, ...(this.#etag !== null && { 'If-None-Match': this.#etag }) };
    const response = await fetch(this.#url, { ...request, headers });
    const text = await response.text();
    if (response.status !== 200 && response.status !== 304) throw new Error(`got ${response.status} ${text}`);
    this.#etag = response.headers.get('etag');
    if (response.status === 200) this.store = byId(JSON.parse(text) as Collections);
    return response.status;
  }
}
