import {
  Connection,
  type ConnectionOptions,
  type ConnectionReport,
} from '../../client/connection/connection.js';
import type { Connectivity, Fetch } from '../../client/platform/platform.js';
import { decodeExchange } from '../../server/protocol/exchange.js';
import { type Exchange, encodeExchange } from '../../shared/exchange.js';
import { FakeSockets } from './fake-sockets.js';
import { ManualClock } from './manual-clock.js';
import { PlainSource } from './plain-source.js';

type Hint = 'online' | 'offline' | 'foreground';

/** A status, or what comes with 200: the two parts, or bytes that may be anything. */
type HttpAnswer = number | Exchange | Uint8Array;

/** What the server answers to an exchange; it may wait, or throw: no network. */
export type HttpServer = (exchange: Exchange) => HttpAnswer | Promise<HttpAnswer>;

const noNetwork: HttpServer = () => {
  throw new TypeError('fetch failed');
};

/** Lets everything happen that waits for nothing but its turn. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A connection in a world without a network: sockets, HTTP, time and chance are the test's. */
export class ConnectionWorld {
  readonly clock = new ManualClock();
  readonly sockets = new FakeSockets();
  readonly source = new PlainSource(7);
  readonly reports: ConnectionReport[] = [];
  readonly requests: { readonly url: string; readonly headers: Record<string, string> }[] = [];
  readonly exchanges: Exchange[] = [];
  readonly connection: Connection;
  readonly platform: ConnectionOptions['platform'];
  http: HttpServer = noNetwork;
  /** Drawn for each pause. */
  chance = 0.5;
  /** What answers over HTTP is something on the way, not the server. */
  isForeign = false;
  /** What stands in the header of this name. */
  retryAfter: string | null = null;
  #challenges = 0;
  readonly #hints = new Set<(hint: Hint) => void>();

  constructor({ sockets, ...options }: Partial<ConnectionOptions> & { readonly sockets?: 'none' } = {}) {
    this.platform = {
      WebSocket: sockets === 'none' ? undefined : this.sockets.WebSocket,
      fetch: this.#fetch,
      clock: this.clock,
      connectivity: this.#connectivity,
      random: () => this.chance,
      newId: () => `challenge-${++this.#challenges}`,
    };
    this.connection = new Connection({
      source: this.source,
      serverUrl: 'http://sync.test:3001/base/',
      userId: 'anna@home',
      deviceId: 'phone:1',
      platform: this.platform,
      onChange: (report) => this.reports.push(report),
      ...options,
    });
  }

  /** Starts, and lets the first socket come to be. */
  async started(): Promise<this> {
    this.connection.start();
    await settle();
    return this;
  }

  /** Started, and taken in by a server that has nothing. */
  async online(): Promise<this> {
    await this.started();
    await this.welcomed();
    return this;
  }

  async welcomed(): Promise<void> {
    const { last } = this.sockets;
    last.welcomes();
    await settle();
    last.answers(last.checkpoints[0] ?? -1);
    await settle();
  }

  get report(): ConnectionReport | undefined {
    return this.reports[this.reports.length - 1];
  }

  hint(hint: Hint): void {
    for (const listener of [...this.#hints]) listener(hint);
  }

  async pass(ms: number): Promise<void> {
    this.clock.pass(ms);
    await settle();
  }

  async drop(code?: number, reason?: string): Promise<void> {
    this.sockets.last.drops(code, reason);
    await settle();
  }

  get #connectivity(): Connectivity {
    return {
      subscribe: (listener) => {
        this.#hints.add(listener);
        return () => void this.#hints.delete(listener);
      },
    };
  }

  readonly #fetch: Fetch = async (url, { headers, body, signal }) => {
    this.requests.push({ url, headers });
    const exchange = decodeExchange(body.slice());
    this.exchanges.push(exchange);
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('aborted')));
    });
    const answer = await Promise.race([aborted, Promise.resolve(exchange).then(this.http)]);
    const bytes = bytesOf(answer);
    const status = typeof answer === 'number' ? answer : 200;
    const arrayBuffer = async (): Promise<ArrayBuffer> => bytes.slice().buffer;
    const proof = this.isForeign ? null : (headers['Sync-Challenge'] ?? null);
    const get = (name: string) =>
      name === 'Sync-Proof' ? proof : name === 'Retry-After' ? this.retryAfter : null;
    return { ok: status === 200, status, headers: { get }, arrayBuffer };
  };
}

function bytesOf(answer: HttpAnswer): Uint8Array {
  if (typeof answer === 'number') return new Uint8Array(0);
  return answer instanceof Uint8Array ? answer : encodeExchange(answer);
}
