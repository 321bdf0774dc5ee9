import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/** What somebody on the way says to everything, over HTTP and to sockets. */
export interface ForeignAnswer {
  readonly status: number;
  readonly body: Uint8Array | string;
  /** How a WebSocket ends that is opened; `text`: it says something first; null: none is opened. */
  readonly socket: number | 'text' | null;
}

const STATUSES = [
  200, 201, 204, 301, 302, 307, 308, 400, 401, 403, 404, 407, 409, 410, 413, 418, 421, 426, 429, 431, 451,
  500, 502, 503, 504, 511, 530,
];
const BODIES: readonly ForeignAnswer['body'][] = [
  '',
  '<h1>Welcome to our network</h1>',
  '{"code":"ERASED","message":"The data of this user was erased."}',
  Uint8Array.of(1, 0, 0), // reads as an exchange
];
const SOCKETS: readonly ForeignAnswer['socket'][] = [
  ...[1000, 1001, 1007, 1008, 1009, 1011, 1012, 1013, 4400, 4401, 4403, 4410, 4999],
  'text',
  null,
  null,
  null,
];

export const foreignAnswer = (below: (limit: number) => number): ForeignAnswer => ({
  status: STATUSES[below(STATUSES.length)] ?? 410,
  body: BODIES[below(BODIES.length)] ?? '',
  socket: SOCKETS[below(SOCKETS.length)] ?? null,
});

/** Stands where the server should: a portal, a proxy, another application at a retired host. */
export class ForeignServer {
  answer: ForeignAnswer = { status: 410, body: '', socket: null };
  /** Requests and sockets that came. */
  asked = 0;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.asked++;
      const { status, body } = this.answer;
      request.resume();
      request.on('end', () =>
        response.writeHead(status, { location: '/login' }).end(status === 204 ? '' : body),
      );
    });
    this.#server.on('upgrade', (request, stream, head) => {
      this.asked++;
      const { status, socket } = this.answer;
      stream.on('error', () => {});
      if (socket === null) {
        stream.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#sockets.handleUpgrade(request, stream, head, (opened) => {
        if (socket === 'text') opened.send('Hello, who are you?');
        else opened.close(socket, 'Gone for good.');
      });
    });
  }

  static async start(): Promise<ForeignServer> {
    const server = new ForeignServer();
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  /** Where it answers instead of the server that was meant. */
  insteadOf(url: string): string {
    const address = new URL(url);
    address.port = String((this.#server.address() as AddressInfo).port);
    return address.href;
  }

  close(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
