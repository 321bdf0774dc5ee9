import WebSocket from 'ws';
import { isObject, type JsonRecord } from '../../shared/json.js';
import type { ById } from '../support/clinic.js';
import { JsonDevice, NO_RECORD } from '../support/devices/json-device.js';
import { apply, type Change as Named, type ServerMessage } from '../support/devices/json-words.js';
import { Watched } from '../support/wait.js';
import type { Chance } from './chance.js';
import { aboutOne, Course, keyOf } from './course.js';
import { type Fact, FREE_FOR_ALL, recordKey } from './ledger.js';
import type { Shared, Writer } from './writer.js';

/** How long the last messages may wait for their turn, in ms. */
const LAST_MESSAGES = 10_000;

interface Change {
  readonly ack: string;
  readonly facts: readonly Fact[];
  /** What it writes, and when it was made. */
  readonly data: Omit<Named, 'madeAt'> & { readonly timestamp: number };
}

/** A JSON device that asks for an ACK of each change, and sends again what was not acknowledged. */
export class JsonWriter implements Writer {
  readonly name: string;
  readonly errors: string[] = [];
  readonly course = new Course();
  device: JsonDevice | null = null;
  readonly #events = new Watched();
  readonly #shared: Shared;
  readonly #chance: Chance;
  readonly #unacknowledged = new Map<string, Change>();
  #isConnecting = false;
  #number = 0;
  #lastTime = 0;
  /** The device's own records, which outlive a connection. */
  #copy: ById = {};
  readonly #made: string[] = [];

  constructor(name: string, shared: Shared, chance: Chance) {
    this.name = name;
    this.#shared = shared;
    this.#chance = chance;
  }

  async connect(): Promise<void> {
    const device = new JsonDevice(this.#shared.url, this.#shared.user, this.name);
    this.course.follow(device);
    device.ws.on('message', () => {
      const message = device.messages.at(-1);
      if (message?.type === 'FULL_SYNC') this.#takeAll(device);
      if (message !== undefined) this.#note(message);
      this.#events.changed();
    });
    device.ws.on('close', () => this.#events.changed());
    this.device = device;
    this.#isConnecting = true;
    try {
      await device.next('CONNECTION_CONFIRMED');
    } finally {
      this.#isConnecting = false;
    }
    for (const change of this.#unacknowledged.values()) this.#send(device, change);
  }

  /**
   * A FULL_SYNC takes the place of the device's records as it comes: the connection may end before it is confirmed,
   * and its pong is on its way. What is in the queue is written over the first one when it is sent, and over another
   * one at once, which can't have it yet.
   */
  #takeAll({ store }: JsonDevice): void {
    if (!this.#isConnecting) for (const { data } of this.#unacknowledged.values()) apply(store, data);
    this.#copy = store;
  }

  #send(device: JsonDevice, { ack, data }: Change): void {
    const { collection, document, documentId = '' } = data;
    if (document === undefined) device.delete(collection, documentId, { data, ack });
    else device.update(collection, document, { data, ack });
    this.course.note(`sent "${ack}", ${device.ws.bufferedAmount} bytes wait`);
  }

  async disconnect(): Promise<void> {
    this.device?.ws.terminate();
    await this.disconnected();
  }

  async disconnected(): Promise<void> {
    await this.device?.end();
    this.device = null;
  }

  /** None while it connects: what it sent then would come once more with its queue, behind what came after it. */
  edit(): void {
    if (this.#isConnecting) return;
    const change = this.#chance.pick([
      [40, () => this.#settled()],
      [15, () => this.#contested()],
      [10, () => this.#makeShortLived()],
      [10, () => this.#removeShortLived()],
      [10, () => this.#free()],
    ])();
    for (const fact of change.facts) this.#shared.ledger.issue(fact);
    this.#unacknowledged.set(change.ack, change);
    const { ack, data } = change;
    this.course.note(`made "${ack}" of ${keyOf(data)} at ${data.timestamp}`, aboutOne(data));
    if (this.device?.ws.readyState === WebSocket.OPEN) this.#send(this.device, change);
  }

  confirm(): void {}

  get isOnline(): boolean {
    return !this.#isConnecting && this.device?.ws.readyState === WebSocket.OPEN;
  }

  get unconfirmed(): number {
    return this.#unacknowledged.size;
  }

  async settle(): Promise<void> {
    await this.#events.until(
      () => this.#isAllAcknowledged(),
      () => `the ACKs of ${this.#unacknowledged.size} changes of ${this.#shared.user} ${this.name}`,
    );
    await this.device?.saved();
  }

  /** Resolves when the device has these records: messages may wait for each other (L4). */
  async has(isAll: (store: object) => boolean): Promise<void> {
    await this.#events.until(
      () => isAll(this.store()),
      () => `what ${this.#shared.user} ${this.name} lacks`,
      LAST_MESSAGES,
    );
  }

  store(): object {
    return this.device?.store ?? {};
  }

  close(): void {
    this.device?.ws.terminate();
  }

  #isAllAcknowledged(): boolean {
    const { closed = null } = this.device ?? {};
    if (closed !== null) throw new Error(`${this.name} was closed with ${closed.code} ${closed.reason}`);
    if (this.errors.length > 0) throw new Error(`${this.name} was refused: ${this.errors}`);
    return this.#unacknowledged.size === 0;
  }

  #note({ type, data, ack, code }: ServerMessage): void {
    const { ledger } = this.#shared;
    if (type === 'FULL_SYNC') ledger.sawAll(data as never);
    else if (type === 'DATA_UPDATE') ledger.saw(data.collection, data.document);
    // Deleting what never was may be answered with what it is: not there.
    else if (type === 'DATA_DELETE' && data.documentId !== NO_RECORD)
      ledger.sawRemoval(recordKey(data.collection, data.documentId));
    else if (type === 'ERROR') this.errors.push(code);
    else if (type === 'ACK') this.#acknowledged(ack);
  }

  #acknowledged(ack: string): void {
    for (const fact of this.#unacknowledged.get(ack)?.facts ?? []) this.#shared.ledger.confirm(fact);
    this.#unacknowledged.delete(ack);
  }

  /** As apps do it: the whole record as the device has it, with the change in it; a queue sends the same again. */
  #update(collection: string, change: { id: string; by?: object }, facts: Fact[]): Change {
    const records = this.#copy[collection] ?? {};
    this.#copy[collection] = records;
    const old = records[change.id];
    const by = change.by === undefined ? {} : { by: { ...(isObject(old?.by) ? old.by : {}), ...change.by } };
    const document = { ...old, ...change, ...by } as JsonRecord;
    records[change.id] = document;
    return {
      ack: `change ${++this.#number}`,
      facts,
      data: { collection, document, timestamp: this.#now() },
    };
  }

  /** No two changes of a device at one moment, which nobody makes by hand. */
  #now(): number {
    this.#lastTime = Math.max(Date.now(), this.#lastTime + 1);
    return this.#lastTime;
  }

  #settled(): Change {
    const id = this.#shared.settled[this.#chance.below(this.#shared.settled.length)] ?? '';
    const value = ++this.#number;
    const record = recordKey('appointments', id);
    if (this.#chance.happens(0.5)) {
      const document = { id, [this.name]: value };
      return this.#update('appointments', document, [{ kind: 'value', record, field: this.name, value }]);
    }
    const field = `by.${this.name}`;
    const document = { id, by: { [this.name]: value } };
    return this.#update('appointments', document, [{ kind: 'value', record, field, value }]);
  }

  #contested(): Change {
    const id = this.#shared.contested(this.#chance);
    const field = `${this.name}-${++this.#number}`;
    const record = recordKey('consultations', id);
    return this.#update('consultations', { id, [field]: 1 }, [{ kind: 'value', record, field, value: 1 }]);
  }

  #makeShortLived(): Change {
    const id = `${this.name}-${++this.#number}`;
    this.#made.push(id);
    const record = recordKey('prescriptions', id);
    return this.#update('prescriptions', { id, made: 1 } as { id: string }, [
      { kind: 'value', record, field: 'made', value: 1 },
    ]);
  }

  #removeShortLived(): Change {
    const id = this.#made.shift();
    if (id === undefined) return this.#makeShortLived();
    return {
      ack: `change ${++this.#number}`,
      facts: [{ kind: 'removal', record: recordKey('prescriptions', id) }],
      data: { collection: 'prescriptions', documentId: id, timestamp: this.#now() },
    };
  }

  #free(): Change {
    const text = `${this.name} ${++this.#number}`;
    return this.#update(FREE_FOR_ALL, { id: 'shared', last: text, text } as { id: string }, []);
  }
}
