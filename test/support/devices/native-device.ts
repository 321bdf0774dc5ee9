import * as decoding from 'lib0/decoding';
import WebSocket from 'ws';
import { WebsocketProvider } from 'y-websocket';
import * as Y from 'yjs';
import { messages } from '../../../server/protocol/yjs.js';
import type { ById } from '../clinic.js';
import { Watched } from '../wait.js';

const CHECKPOINT = 100;

export interface NativeOptions {
  readonly doc?: Y.Doc;
  readonly params?: Record<string, string>;
  readonly WebSocketPolyfill?: unknown;
  /** The longest time between attempts to connect, in ms; 100 unless told. */
  readonly maxBackoffTime?: number;
}

/** A native device: an unmodified `WebsocketProvider`. */
export class NativeDevice {
  readonly doc: Y.Doc;
  readonly provider: WebsocketProvider;
  /** Checkpoints that the server answered. */
  readonly checkpoints: number[] = [];
  /** Close codes of its connections that the server ended. */
  readonly closes: number[] = [];
  /** How many connections it had. */
  connections = 0;
  readonly #events = new Watched();
  #lastCheckpoint = 0;

  /** Begins to connect and does not wait. */
  constructor(url: string, user: string, device: string, options: NativeOptions = {}) {
    this.doc = options.doc ?? new Y.Doc();
    this.provider = new WebsocketProvider(`${url.replace(/^http/, 'ws')}/yjs`, user, this.doc, {
      params: { deviceId: device, ...options.params },
      disableBc: true,
      WebSocketPolyfill: (options.WebSocketPolyfill ?? WebSocket) as typeof globalThis.WebSocket,
      maxBackoffTime: options.maxBackoffTime ?? 100,
    });
    this.provider.on('sync', () => this.#events.changed());
    this.provider.on('status', ({ status }) => {
      if (status === 'connected') this.connections++;
      this.#events.changed();
    });
    this.provider.on('connection-close', (event) => {
      if (event !== null) this.closes.push(event.code);
      this.#events.changed();
    });
    this.provider.awareness.on('change', () => this.#events.changed());
    this.doc.on('update', () => this.#events.changed());
    this.provider.messageHandlers[CHECKPOINT] = (_, decoder) => {
      this.checkpoints.push(decoding.readVarUint(decoder));
      this.#events.changed();
    };
  }

  /** Resolves when the provider reports `synced`. */
  static async connect(
    url: string,
    user: string,
    device: string,
    options: NativeOptions = {},
  ): Promise<NativeDevice> {
    const native = new NativeDevice(url, user, device, options);
    await native.synced();
    return native;
  }

  collection(name: string): Y.Map<unknown> {
    return this.doc.getMap(name);
  }

  /** The map of a record; made if it does not exist. */
  record(collection: string, id: string): Y.Map<unknown> {
    const found = this.collection(collection).get(id);
    if (found instanceof Y.Map) return found;
    return this.collection(collection).set(id, new Y.Map<unknown>());
  }

  /** What the document has, collection → id → record, without empty collections. */
  json(): ById {
    const names = [...this.doc.share.keys()].sort();
    const entries = names.map((name) => [name, this.collection(name).toJSON()] as const);
    return Object.fromEntries(entries.filter(([, records]) => Object.keys(records).length > 0));
  }

  synced(): Promise<boolean> {
    return this.until(() => this.provider.synced);
  }

  /**
   * Resolves when everything that was edited before is durable on the server (N4). What was edited without a connection
   * goes out with the sync of the next one, and a question whose connection ends is not answered: it is asked anew.
   */
  async saved(): Promise<void> {
    const n = ++this.#lastCheckpoint;
    let asked: unknown = null;
    await this.until(() => {
      const { ws, synced } = this.provider;
      if (synced && ws?.readyState === WebSocket.OPEN && ws !== asked) {
        asked = ws;
        ws.send(new Uint8Array(messages.checkpoint(n)));
      }
      return this.checkpoints.includes(n);
    });
  }

  offline(): void {
    this.provider.disconnect();
  }

  /** Connects again; resolves when the provider reports `synced`. */
  async online(): Promise<void> {
    this.provider.connect();
    await this.synced();
  }

  /** Resolves with the first value of `look` that says yes; looks at each update, state and close. */
  until<T>(look: () => T | null | undefined | false): Promise<T> {
    return this.#events.until(look, () => `what the native device ${this.provider.url} waits for`);
  }

  close(): void {
    this.provider.destroy();
  }
}
