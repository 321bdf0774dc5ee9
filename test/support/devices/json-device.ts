import type { ClientOptions } from 'ws';
import type { JsonRecord } from '../../../shared/json.js';
import type { ById } from '../clinic.js';
import { DeviceSocket } from './device-socket.js';
import { apply, type Change, messageOf, type ServerMessage, taken } from './json-words.js';

/** A record that never is, for `saved`. */
export const NO_RECORD = 'no-such-record';

/** A JSON device as they are in the field: one socket, and a local store that does what the server says. */
export class JsonDevice extends DeviceSocket<ServerMessage> {
  readonly user: string;
  readonly device: string;
  /** The device's own copy of the records: collection → id → record. */
  store: ById = {};
  #acks = 0;

  /** Opens a connection and does not wait for anything. */
  constructor(url: string, user: string, device: string, options: ClientOptions = {}) {
    super(url, `/sync?${new URLSearchParams({ userId: user, deviceId: device })}`, device, options);
    this.user = user;
    this.device = device;
  }

  /** Resolves when the connection is confirmed, which comes after the first FULL_SYNC. */
  static async connect(
    url: string,
    user: string,
    device: string,
    options: ClientOptions = {},
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

  protected read(data: Buffer): ServerMessage {
    const message: ServerMessage = JSON.parse(data.toString());
    this.store = taken(this.store, message);
    return message;
  }

  #change(change: Change, more: object): void {
    apply(this.store, change);
    this.say({ ...messageOf(change, 'both', change.madeAt), ...more });
  }
}
