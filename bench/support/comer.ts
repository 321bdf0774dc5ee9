/** A device that comes anew, natively, by JSON or over HTTP, and comes again when it is put off, until it is in. */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';

const WAYS = ['native', 'json', 'http'] as const;
/** As our client: a random part of it, after what the server says. */
const PAUSE = 8_000;
/** What a server says that is too busy. */
const TRY_AGAIN = 1013;
const UNAVAILABLE = 503;

export class Comer {
  readonly #user: string;
  readonly #way: (typeof WAYS)[number];
  #ws: WebSocket | null = null;
  #hasLeft = false;
  /** How often it was told to come again. */
  putOff = 0;
  /** What else it met: a lost connection, another code. */
  readonly failures: string[] = [];
  /** When it was in, by `performance.now()`. */
  inAt: number | null = null;

  constructor(index: number) {
    this.#user = `comer-${index}`;
    this.#way = WAYS[index % WAYS.length] ?? 'native';
  }

  async come(port: number): Promise<void> {
    while (!this.#hasLeft) {
      const answer = await (this.#way === 'http' ? this.#ask(port) : this.#connect(port)).catch(String);
      if (answer === 'in') {
        this.inAt = performance.now();
        return;
      }
      if (typeof answer === 'number') this.putOff++;
      else this.failures.push(answer);
      await sleep((typeof answer === 'number' ? answer : 0) + Math.random() * PAUSE);
    }
  }

  leave(): void {
    this.#hasLeft = true;
    this.#ws?.terminate();
  }

  /** `in`, or after how many ms to come again. */
  async #ask(port: number): Promise<number | string> {
    const response = await fetch(`http://127.0.0.1:${port}/api/sync/${this.#user}`);
    await response.arrayBuffer();
    if (response.ok) return 'in';
    const after = response.headers.get('Retry-After');
    return response.status === UNAVAILABLE && after !== null
      ? Number(after) * 1_000
      : `HTTP ${response.status}`;
  }

  /** It is in when the server sends its first message. */
  async #connect(port: number): Promise<number | string> {
    const path =
      this.#way === 'native' ? `yjs/${this.#user}?deviceId=p` : `sync?userId=${this.#user}&deviceId=p`;
    const ws = new WebSocket(`ws://127.0.0.1:${port}/${path}`, { perMessageDeflate: false });
    this.#ws = ws;
    const refused = once(ws, 'unexpected-response').then(([request, response]) => {
      request.destroy();
      const after = Number(response.headers['retry-after']);
      return response.statusCode === UNAVAILABLE ? after * 1_000 : `HTTP ${response.statusCode}`;
    });
    refused.catch(() => {});
    const closed = new Promise<number | string>((resolve) =>
      ws.once('close', (code) => resolve(code === TRY_AGAIN ? 0 : `closed with ${code}`)),
    );
    const isIn = once(ws, 'message').then(() => 'in');
    isIn.catch(() => {});
    ws.on('error', () => {});
    return Promise.race([refused.catch(() => closed), isIn.catch(() => closed), closed]);
  }
}
