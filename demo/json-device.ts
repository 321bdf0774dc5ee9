/** A device of an older app: whole records as JSON over a plain WebSocket, its own store, its own queue. */
import type { SyncRecord } from '../client/index.js';
import { readSetting, writeSetting } from '../web/settings.js';
import { COLLECTION } from './appointments.js';

/** A message that the server has not acknowledged yet, as it is sent again after a reconnect. */
interface Queued {
  readonly ack: string;
  readonly type: 'DATA_UPDATE' | 'DATA_DELETE';
  readonly data: { readonly collection: string; readonly timestamp: number } & (
    | { readonly document: SyncRecord }
    | { readonly documentId: string | number }
  );
}

export interface LogEntry {
  readonly number: number;
  readonly direction: 'in' | 'out';
  readonly type: string;
  readonly at: number;
  readonly message: unknown;
}

export interface JsonState {
  readonly connection: 'offline' | 'connecting' | 'online';
  readonly wanted: boolean;
  /** The appointments as this device holds them. */
  readonly records: readonly SyncRecord[];
  readonly queue: readonly Queued[];
  /** The newest first. */
  readonly log: readonly LogEntry[];
}

interface Incoming {
  readonly type?: string;
  readonly ack?: string;
  readonly data?: {
    readonly collection?: string;
    readonly document?: SyncRecord;
    readonly documentId?: string;
    readonly appointments?: readonly SyncRecord[];
  };
}

interface Saved {
  readonly records: readonly SyncRecord[];
  readonly queue: readonly Queued[];
  readonly wanted: boolean;
}

const LOG_LENGTH = 60;
const FIRST_PAUSE = 500;
const LAST_PAUSE = 5_000;

export class JsonDevice {
  readonly deviceId: string;
  readonly #user: string;
  readonly #listeners = new Set<() => void>();
  #state: JsonState;
  #socket: WebSocket | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #pause = FIRST_PAUSE;
  #count = 0;
  #writes = 0;

  constructor(user: string, deviceId: string) {
    this.#user = user;
    this.deviceId = deviceId;
    this.#state = { connection: 'offline', log: [], ...this.#load() };
    if (this.#state.wanted) this.#connect();
  }

  /** How often somebody has written on it, since the page is open. */
  get writes(): number {
    return this.#writes;
  }

  get state(): JsonState {
    return this.#state;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  setOnline(wanted: boolean): void {
    this.#set({ wanted });
    clearTimeout(this.#retry);
    if (wanted) this.#connect();
    else this.#socket?.close();
  }

  /** Changes one field, and sends the whole record as this device holds it. */
  change(id: string | number, field: string, value: unknown): void {
    const record = this.#state.records.find((each) => each.id === id);
    if (record === undefined) return;
    const document = { ...record, [field]: value };
    this.#enqueue('DATA_UPDATE', { collection: COLLECTION, document, timestamp: Date.now() });
  }

  delete(documentId: string | number): void {
    this.#enqueue('DATA_DELETE', { collection: COLLECTION, documentId, timestamp: Date.now() });
  }

  requestSync(): void {
    this.#send({ type: 'REQUEST_SYNC' });
  }

  #enqueue(type: Queued['type'], data: Queued['data']): void {
    this.#writes += 1;
    const change = { ack: crypto.getRandomValues(new Uint32Array(1)).join(), type, data };
    this.#set({
      queue: [...this.#state.queue, change],
      records: withChange(this.#state.records, change),
    });
    if (this.#state.connection === 'online') this.#send(change);
  }

  #connect(): void {
    if (this.#socket !== null) return;
    const query = new URLSearchParams({ userId: this.#user, deviceId: this.deviceId });
    const socket = new WebSocket(`${location.origin.replace(/^http/, 'ws')}/sync?${query}`);
    this.#socket = socket;
    this.#set({ connection: 'connecting' });
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(String(data)));
    socket.onclose = () => this.#closed();
  }

  #closed(): void {
    this.#socket = null;
    this.#set({ connection: 'offline' });
    if (!this.#state.wanted) return;
    this.#retry = setTimeout(() => this.#connect(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, LAST_PAUSE);
  }

  #receive(message: Incoming): void {
    this.#record('in', message.type ?? '?', message);
    if (message.type === 'FULL_SYNC') this.#replace(message.data?.appointments ?? []);
    if (message.type === 'CONNECTION_CONFIRMED') this.#sendQueue();
    if (message.type === 'DATA_UPDATE' || message.type === 'DATA_DELETE') this.#apply(message);
    if (message.type === 'ACK') this.#done(message.ack);
    // Errors don't say which message they answer; the oldest one was answered first.
    if (message.type === 'ERROR') this.#done(message.ack ?? this.#state.queue[0]?.ack);
  }

  /** What is queued is not on the server yet, so it goes on top. */
  #replace(records: readonly SyncRecord[]): void {
    this.#set({ records: this.#state.queue.reduce(withChange, records) });
  }

  #apply({ data }: Incoming): void {
    if (data?.collection !== COLLECTION) return;
    const { records } = this.#state;
    if (data.document) this.#set({ records: withRecord(records, data.document) });
    else this.#set({ records: without(records, data.documentId) });
  }

  #sendQueue(): void {
    this.#pause = FIRST_PAUSE;
    this.#set({ connection: 'online' });
    for (const change of this.#state.queue) this.#send(change);
  }

  #done(ack: string | undefined): void {
    this.#set({ queue: this.#state.queue.filter((change) => change.ack !== ack) });
  }

  #send(message: { readonly type: string }): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    const sent = { ...message, userId: this.#user, deviceId: this.deviceId, timestamp: Date.now() };
    this.#socket.send(JSON.stringify(sent));
    this.#record('out', message.type, sent);
  }

  #record(direction: 'in' | 'out', type: string, message: unknown): void {
    this.#count += 1;
    const entry = { number: this.#count, direction, type, at: Date.now(), message };
    this.#set({ log: [entry, ...this.#state.log].slice(0, LOG_LENGTH) });
  }

  #set(changes: Partial<JsonState>): void {
    this.#state = { ...this.#state, ...changes };
    const { records, queue, wanted } = this.#state;
    const saved: Saved = { records, queue, wanted };
    writeSetting(this.#key, JSON.stringify(saved), 'session');
    for (const listener of this.#listeners) listener();
  }

  get #key(): string {
    return `${this.#user}:old-app`;
  }

  #load(): Saved {
    const saved = readSetting(this.#key, 'session');
    return saved === null ? { records: [], queue: [], wanted: true } : JSON.parse(saved);
  }
}

const without = (records: readonly SyncRecord[], id: unknown): SyncRecord[] =>
  records.filter((record) => String(record.id) !== String(id));

function withRecord(records: readonly SyncRecord[], record: SyncRecord): SyncRecord[] {
  const index = records.findIndex(({ id }) => String(id) === String(record.id));
  return index < 0 ? [...records, record] : records.with(index, record);
}

function withChange(records: readonly SyncRecord[], { data }: Queued): readonly SyncRecord[] {
  return 'document' in data ? withRecord(records, data.document) : without(records, data.documentId);
}
