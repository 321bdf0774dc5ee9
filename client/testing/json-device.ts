/** A device of a ward that speaks JSON: whole records over a socket, and a queue for while there is none. */
import type { Collections, JsonObject, JsonRecord } from '../../shared/json.js';
import { ClientError } from '../errors.js';
import type { WebSocketLike } from '../platform/platform.js';
import { type DeviceNetwork, WARD_URL } from './device-network.js';
import type { WardClock } from './ward-clock.js';

/** What the server did not take of it. */
export interface JsonRefusal {
  readonly code: string;
  readonly message: string;
}

/**
 * An old device that knows nothing of merging: it sends whole records as it has them, and what the server sends
 * replaces its copy. Calls return at once; `ward.settled()` waits for what comes of them.
 *
 * @example
 * const tablet = ward.jsonDevice('old-tablet');
 * await ward.settled();
 * tablet.edit('appointments', 'a1', { room: 4 });
 */
export interface JsonDevice {
  readonly name: string;
  /** Connected, with all records received. */
  readonly isOnline: boolean;
  /** Changes that the server has not confirmed to be on its disk. */
  readonly pendingChanges: number;
  readonly refused: readonly JsonRefusal[];
  /** Its copy of a collection, in the order of ids. */
  records(collection: string): JsonRecord[];
  /** Its copy of one record, or null. */
  record(collection: string, id: string | number): JsonRecord | null;
  /** Writes a whole record. */
  write(collection: string, record: JsonRecord): void;
  /** Changes fields of its copy, and writes all of it. Throws `NOT_FOUND` where it has no such record. */
  edit(collection: string, id: string | number, fields: JsonObject): void;
  delete(collection: string, id: string | number): void;
}

interface Change {
  readonly type: 'DATA_UPDATE' | 'DATA_DELETE';
  readonly ack: string;
  readonly data: {
    readonly collection: string;
    readonly document?: JsonRecord;
    readonly documentId?: string | number;
    readonly timestamp: number;
  };
}

/** The fields that it reads; the server is ours. */
interface FromServer {
  readonly type: string;
  readonly ack?: string;
  readonly code?: string;
  readonly message?: string;
  readonly data?: unknown;
}

type Copy = Map<string, Map<string, JsonRecord>>;

export class WardJsonDevice implements JsonDevice {
  readonly name: string;
  readonly user: string;
  readonly network: DeviceNetwork;
  readonly refused: JsonRefusal[] = [];
  readonly #clock: WardClock;
  #copy: Copy = new Map();
  /** Not confirmed yet, the oldest first. */
  #changes: Change[] = [];
  #socket: WebSocketLike | null = null;
  #isOnline = false;
  #sent = 0;
  readonly #waiting = new Set<() => void>();

  constructor(name: string, user: string, network: DeviceNetwork, clock: WardClock) {
    this.name = name;
    this.user = user;
    this.network = network;
    this.#clock = clock;
    network.connectivity.subscribe((hint) => {
      if (hint !== 'offline') this.connect();
    });
  }

  get isOnline(): boolean {
    return this.#isOnline;
  }

  get pendingChanges(): number {
    return this.#changes.length;
  }

  get isReachable(): boolean {
    return !this.network.isCut;
  }

  get isQuiet(): boolean {
    return !this.isReachable || (this.#isOnline && this.#changes.length === 0);
  }

  records(collection: string): JsonRecord[] {
    const records = [...(this.#copy.get(collection) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    return records.map(([, record]) => structuredClone(record));
  }

  record(collection: string, id: string | number): JsonRecord | null {
    return structuredClone(this.#copy.get(collection)?.get(String(id)) ?? null);
  }

  write(collection: string, record: JsonRecord): void {
    this.#change('DATA_UPDATE', { collection, document: structuredClone(record) });
  }

  edit(collection: string, id: string | number, fields: JsonObject): void {
    const record = this.record(collection, id);
    if (record === null)
      throw new ClientError(
        'NOT_FOUND',
        `${this.name} has no ${collection}/${id}; await ward.settled() first.`,
      );
    this.write(collection, { ...record, ...fields });
  }

  delete(collection: string, id: string | number): void {
    this.#change('DATA_DELETE', { collection, documentId: id });
  }

  connect(): void {
    if (this.network.isCut || this.#socket !== null) return;
    const address = new URLSearchParams({ userId: this.user, deviceId: this.name });
    const socket = new this.network.WebSocket(`${WARD_URL}/sync?${address}`);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#take(JSON.parse(String(data)) as FromServer);
    socket.onclose = () => {
      this.#socket = null;
      this.#isOnline = false;
      this.#changed();
    };
  }

  /** Asks for everything anew, as such apps do when they are opened, once what it sent is confirmed. */
  async round(): Promise<void> {
    this.connect();
    await this.#until(() => this.#isOnline && this.#changes.length === 0);
    if (!this.#isOnline) return;
    const socket = this.#socket;
    this.#say({ type: 'REQUEST_SYNC', timestamp: this.#clock.now() });
    this.#isOnline = false; // until all of it is here
    await this.#until(() => this.#isOnline);
    this.#isOnline = this.#socket === socket && socket !== null;
  }

  async close(): Promise<void> {
    this.#socket?.close();
  }

  #change(type: Change['type'], what: Omit<Change['data'], 'timestamp'>): void {
    this.#clock.tick();
    const change = { type, ack: `${++this.#sent}`, data: { ...what, timestamp: this.#clock.now() } };
    this.#changes.push(change);
    this.#apply(change.data);
    if (this.#isOnline) this.#send(change);
  }

  #send(change: Change): void {
    this.#apply(change.data);
    this.#say({ ...change, timestamp: this.#clock.now() });
  }

  #say(message: object): void {
    const text = JSON.stringify({ userId: this.user, deviceId: this.name, ...message });
    (this.#socket as { send(data: string): void } | null)?.send(text);
  }

  #take(message: FromServer): void {
    switch (message.type) {
      case 'FULL_SYNC':
        this.#replace(message.data as Collections);
        break;
      case 'DATA_UPDATE':
      case 'DATA_DELETE':
        this.#apply(message.data as Change['data']);
        break;
      case 'ACK':
        this.#changes = this.#changes.filter(({ ack }) => ack !== message.ack);
        break;
      case 'ERROR':
        this.#changes = this.#changes.filter(({ ack }) => ack !== message.ack);
        this.refused.push({ code: message.code ?? '', message: message.message ?? '' });
    }
    this.#changed();
  }

  /** All records are here: what waits goes out, on top of them. */
  #replace(collections: Collections): void {
    this.#copy = new Map(
      Object.entries(collections).map(([name, records]) => [
        name,
        new Map(records.map((record) => [String(record.id), record])),
      ]),
    );
    this.#isOnline = true;
    for (const change of this.#changes) this.#send(change);
  }

  #apply({ collection, document, documentId }: Omit<Change['data'], 'timestamp'>): void {
    const records = this.#copy.get(collection) ?? new Map<string, JsonRecord>();
    this.#copy.set(collection, records);
    if (document === undefined) records.delete(String(documentId));
    else records.set(String(document.id), document);
  }

  #changed(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when that holds, or it has lost its connection. */
  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!holds() && this.#socket !== null) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}
