import type { Json, JsonRecord } from '../../shared/json.js';
import type { ById } from './clinic.js';
import { JsonDevice } from './devices/json-device.js';
import { apply, type Change, messageOf, type ServerMessage, type Stamps } from './devices/json-words.js';

export interface PhoneHabits {
  readonly stamps: Stamps;
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
    return this.#change({ collection, document, madeAt: Date.now() });
  }

  delete(collection: string, documentId: string): number {
    return this.#change({ collection, documentId, madeAt: Date.now() });
  }

  #change(change: Change): number {
    apply(this.store, change);
    if (this.#line === null) this.#queue.push(change);
    else this.#send(this.#line, change);
    return change.madeAt;
  }

  #send(line: JsonDevice, change: Change): void {
    apply(line.store, change);
    line.say({ ...messageOf(change, this.habits.stamps, Date.now()), ack: `${++this.#acks}` });
  }

  #connected(): JsonDevice {
    if (this.#line === null) throw new Error(`${this.device} has no connection`);
    return this.#line;
  }
}
