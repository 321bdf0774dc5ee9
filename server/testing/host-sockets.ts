import WebSocket from 'ws';
import type { FromHost, HostRequest, HostResponse, WireEvent } from '../../shared/test-host.js';

const NEVER_OPENED = { code: 1006, reason: '' };

/** The devices' ends of the sockets of a server for tests. */
export class HostSockets {
  readonly #say: (message: FromHost) => void;
  readonly #open = new Map<number, WebSocket>();
  readonly #closing = new Set<Promise<void>>();
  /** Of these a device hears nothing more. */
  readonly #torn = new WeakSet<WebSocket>();

  constructor(say: (message: FromHost) => void) {
    this.#say = say;
  }

  /** @param origin where the server listens; null while it is down */
  take(socket: number, event: WireEvent, origin: string | null): void {
    if (event.do === 'open' && origin === null) this.#say({ socket, closed: NEVER_OPENED });
    else if (event.do === 'open') this.#dial(socket, `ws://${origin}${event.path}`, event.protocols);
    else if (event.do === 'send') this.#open.get(socket)?.send(event.data);
    else this.#close(socket);
  }

  async fetch({ path, method, headers, body }: HostRequest, origin: string | null): Promise<HostResponse> {
    if (origin === null) throw new Error('The server is down.');
    const sent = body === null ? {} : { body: new Uint8Array(body) };
    const answer = await fetch(`http://${origin}${path}`, { method, headers, ...sent });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    return { status: answer.status, headers: [...answer.headers], body: bytes };
  }

  /** All connections are gone at once; the devices hear nothing more of them but that. */
  tear(): void {
    for (const [socket, ws] of this.#open) {
      this.#torn.add(ws);
      ws.terminate();
      this.#say({ socket, closed: NEVER_OPENED });
    }
    this.#open.clear();
  }

  /** Resolves when the server has seen the end of each socket that a device has closed. */
  async allClosed(): Promise<void> {
    await Promise.all(this.#closing);
  }

  #dial(socket: number, url: string, protocols: readonly string[]): void {
    const ws = new WebSocket(url, [...protocols], { perMessageDeflate: false });
    this.#open.set(socket, ws);
    const say = (message: FromHost): void => {
      if (!this.#torn.has(ws)) this.#say(message);
    };
    ws.on('open', () => say({ socket, opened: true }));
    ws.on('message', (data: Buffer, isBinary) =>
      say({ socket, data: isBinary ? new Uint8Array(data) : data.toString() }),
    );
    ws.on('error', () => {}); // 'close' follows
    ws.on('close', (code, reason) => {
      this.#open.delete(socket);
      say({ socket, closed: { code, reason: reason.toString() } });
    });
  }

  /** What the device had sent before arrives: it is written before the closing handshake. */
  #close(socket: number): void {
    const ws = this.#open.get(socket);
    if (ws === undefined) return;
    const closed = new Promise<void>((resolve) => ws.on('close', () => resolve()));
    this.#closing.add(closed);
    void closed.then(() => this.#closing.delete(closed));
    ws.close(1000);
  }
}
