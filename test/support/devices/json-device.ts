import WebSocket from 'ws';
import type { Collections, JsonRecord } from '../../../shared/json.js';
import { type ById, byId } from '../clinic.js';
import { handled } from '../handled.js';
import { Watched } from '../wait.js';

/** A message of the server to a JSON device; which fields there are depends on `type`. */
export interface ServerMessage {
  readonly type: 'FULL_SYNC' | 'DATA_UPDATE' | 'DATA_DELETE' | 'CONNECTION_CONFIRMED' | 'ERROR' | 'ACK';
  readonly data: { collection: string; document: JsonRecord; documentId: string };
  readonly timestamp: number;
  readonly fromDevice: string;
  readonly userId: string;
  readonly deviceId: string;
  readonly code: string;
  readonly message: string;
  readonly ack: string;
}

/** A record that never is, for `saved`. */
export const NO_RECORD = 'no-such-record';

export interface Close {
  readonly code: number;
  readonly reason: string;
}

/** A JSON device as they are in the field: one socket, and a local store that does what the server says. */
export class JsonDevice {
  readonly user: string;
  readonly device: string;
  readonly ws: WebSocket;
  readonly #url: string;
  /** Every message, in the order of arrival. */
  readonly messages: ServerMessage[] = [];
  /** The device's own copy of the records: collection → id → record. */
  store: ById = {};
  closed: Close | null = null;
  readonly #events = new Watched();
  readonly #taken = new Map<string, number>();
  #acks = 0;

  /** Opens a connection and does not wait for anything. */
  constructor(url: string, user: string, device: string, options: WebSocket.ClientOptions = {}) {
    this.user = user;
    this.device = device;
    this.#url = url;
    const query = new URLSearchParams({ userId: user, deviceId: device });
    this.ws = new WebSocket(`${url.replace(/^http/, 'ws')}/sync?${query}`, options);
    this.ws.on('message', (data) => this.#receive(JSON.parse(data.toString())));
    this.ws.on('error', () => {}); // 'close' follows
    this.ws.on('open', () => this.#events.changed());
    this.ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#events.changed();
    });
  }

  /** Resolves when the connection is confirmed, which comes after the first FULL_SYNC. */
  static async connect(
    url: string,
    user: string,
    device: string,
    options: WebSocket.ClientOptions = {},
  ): Promise<JsonDevice> {
    const connected = new JsonDevice(url, user, device, options);
    await connected.next('CONNECTION_CONFIRMED');
    return connected;
  }

  send(message: object): void {
    this.ws.send(JSON.stringify(message));
  }

  /** Writes a record now, by a clock that goes right. */
  update(collection: string, document: object, more: object = {}): void {
    const { user: userId, device: deviceId } = this;
    const timestamp = Date.now();
    this.#write(collection, document as JsonRecord);
    const data = { collection, document, timestamp };
    this.send({ type: 'DATA_UPDATE', data, userId, deviceId, timestamp, ...more });
  }

  delete(collection: string, documentId: string | number, more: object = {}): void {
    const { user: userId, device: deviceId } = this;
    const timestamp = Date.now();
    delete this.store[collection]?.[String(documentId)];
    const data = { collection, documentId, timestamp };
    this.send({ type: 'DATA_DELETE', data, userId, deviceId, timestamp, ...more });
  }

  requestSync(more: object = {}): void {
    this.send({ type: 'REQUEST_SYNC', userId: this.user, deviceId: this.device, ...more });
  }

  /** Resolves when everything that was sent before is durable; changes nothing on either side. */
  async saved(): Promise<void> {
    const ack = `saved ${++this.#acks}`;
    this.delete('appointments', NO_RECORD, { ack });
    await this.until(() => this.messages.some((message) => message.type === 'ACK' && message.ack === ack));
  }

  /** Resolves when the server has handled everything that was sent before, durable or not. */
  async heard(): Promise<void> {
    let answered = false;
    this.ws.once('pong', () => {
      answered = true;
      this.#events.changed();
    });
    this.ws.ping();
    await this.until(() => answered); // it has arrived; its user's turn may be still to come
    await handled(this.#url);
  }

  /** The next message of this type that `next` has not given yet; waits for it. */
  async next(type: ServerMessage['type']): Promise<ServerMessage> {
    const taken = this.#taken.get(type) ?? 0;
    this.#taken.set(type, taken + 1);
    return this.#events.until(
      () => {
        const message = this.of(type)[taken];
        if (message === undefined && this.closed !== null) {
          throw new Error(`closed with ${this.closed.code} ${this.closed.reason}, waiting for ${type}`);
        }
        return message;
      },
      () => `${type} for ${this.device}`,
    );
  }

  /** The messages of this type so far. */
  of(type: ServerMessage['type']): ServerMessage[] {
    return this.messages.filter((message) => message.type === type);
  }

  /** Resolves with the first value of `look` that says yes; looks at each message and at the close. */
  until<T>(look: () => T | null | undefined | false): Promise<T> {
    return this.#events.until(look, () => `what ${this.device} waits for`);
  }

  /** Resolves when the connection is gone, whoever closed it. */
  end(): Promise<Close> {
    return this.until(() => this.closed);
  }

  close(): Promise<Close> {
    this.ws.close();
    return this.end();
  }

  #receive(message: ServerMessage): void {
    const { type, data } = message;
    if (type === 'FULL_SYNC') this.store = byId(data as unknown as Collections);
    else if (type === 'DATA_UPDATE') this.#write(data.collection, data.document);
    else if (type === 'DATA_DELETE') delete this.store[data.collection]?.[data.documentId];
    this.messages.push(message);
    this.#events.changed();
  }

  #write(collection: string, document: JsonRecord): void {
    this.store[collection] ??= {};
    this.store[collection][String(document.id)] = document;
  }
}
