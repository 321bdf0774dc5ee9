import WebSocket from 'ws';
import type { JsonRecord } from '../../../shared/json.js';
import type { ById } from '../clinic.js';
import { handled } from '../handled.js';
import { Watched } from '../wait.js';
import { apply, type Change, messageOf, type ServerMessage, taken } from './json-words.js';

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

  /** Sends a message as it is. */
  send(message: object): void {
    this.ws.send(JSON.stringify(message));
  }

  /** Sends a message, with who it is from. */
  say(message: object): void {
    this.send({ userId: this.user, deviceId: this.device, ...message });
  }

  /** Writes a record now, by a clock that goes right. */
  update(collection: string, document: object, more: object = {}): void {
    this.#change({ collection, document: document as JsonRecord, madeAt: Date.now() }, more);
  }

  delete(collection: string, documentId: string | number, more: object = {}): void {
    this.#change({ collection, documentId: documentId as string, madeAt: Date.now() }, more);
  }

  requestSync(more: object = {}): void {
    this.say({ type: 'REQUEST_SYNC', ...more });
  }

  /** Resolves when everything that was sent before is durable; changes nothing on either side. */
  async saved(): Promise<void> {
    const ack = `saved ${++this.#acks}`;
    this.delete('appointments', NO_RECORD, { ack });
    await this.until(() => this.messages.some((message) => message.type === 'ACK' && message.ack === ack));
  }

  /** The next message of this type that `next` has not given yet; waits for it. */
  async next(type: ServerMessage['type']): Promise<ServerMessage> {
    const index = this.#taken.get(type) ?? 0;
    this.#taken.set(type, index + 1);
    return this.#events.until(
      () => {
        const message = this.of(type)[index];
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

  close(): Promise<Close> {
    this.ws.close();
    return this.end();
  }

  #receive(message: ServerMessage): void {
    this.store = taken(this.store, message);
    this.messages.push(message);
    this.#events.changed();
  }

  #change(change: Change, more: object): void {
    apply(this.store, change);
    this.say({ ...messageOf(change, 'both', change.madeAt), ...more });
  }
}
