import WebSocket from 'ws';
import { decodeMessage, type YjsMessage } from '../../../server/protocol/yjs.js';
import { handled } from '../handled.js';
import { Watched } from '../wait.js';
import type { Close } from './json-device.js';

/** A bare socket at the native endpoint, to see and to send single messages. */
export class RawNative {
  readonly ws: WebSocket;
  readonly #url: string;
  readonly messages: YjsMessage[] = [];
  closed: Close | null = null;
  /** Of an upgrade that was refused. */
  status: number | null = null;
  readonly #events = new Watched();
  readonly #taken = new Map<string, number>();

  constructor(url: string, user: string, device?: string, params: Readonly<Record<string, string>> = {}) {
    this.#url = url;
    const asked = new URLSearchParams({ ...(device === undefined ? {} : { deviceId: device }), ...params });
    const query = asked.size === 0 ? '' : `?${asked}`;
    this.ws = new WebSocket(`${url.replace(/^http/, 'ws')}/yjs/${user}${query}`);
    this.ws.on('message', (data: Buffer) => {
      this.messages.push(decodeMessage(new Uint8Array(data)));
      this.#events.changed();
    });
    this.ws.on('unexpected-response', (request, response) => {
      this.status = response.statusCode ?? 0;
      request.destroy();
      this.#events.changed();
    });
    this.ws.on('error', () => {}); // 'close' follows
    this.ws.on('open', () => this.#events.changed());
    this.ws.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#events.changed();
    });
  }

  /** Resolves when the server's first message came. */
  static async connect(url: string, user: string, device?: string): Promise<RawNative> {
    const raw = new RawNative(url, user, device);
    await raw.until(() => raw.messages.length > 0);
    return raw;
  }

  send(bytes: Uint8Array | string): void {
    this.ws.send(bytes);
  }

  of<Type extends YjsMessage['type']>(type: Type): Extract<YjsMessage, { type: Type }>[] {
    const isOfType = (message: YjsMessage): message is Extract<YjsMessage, { type: Type }> =>
      message.type === type;
    return this.messages.filter(isOfType);
  }

  /** The next message of this type that `next` has not given yet; waits for it. */
  async next<Type extends YjsMessage['type']>(type: Type): Promise<Extract<YjsMessage, { type: Type }>> {
    const taken = this.#taken.get(type) ?? 0;
    this.#taken.set(type, taken + 1);
    return this.until(() => {
      const message = this.of(type)[taken];
      if (message === undefined && this.closed !== null) {
        throw new Error(`closed with ${this.closed.code} ${this.closed.reason}, waiting for ${type}`);
      }
      return message;
    });
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

  until<T>(look: () => T | null | undefined | false): Promise<T> {
    return this.#events.until(look, () => 'what the bare socket waits for');
  }

  end(): Promise<Close> {
    return this.until(() => this.closed);
  }

  close(): Promise<Close> {
    this.ws.close();
    return this.end();
  }
}
