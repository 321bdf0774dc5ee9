/** A line to a server that takes so many bytes a second each way, and breaks from time to time. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Scope } from './scope.js';

export interface LineOptions {
  /** Bytes a second in each direction, all connections together. */
  readonly rate: number;
  /** In ms, from `breakFromHere` on. */
  readonly breaksEvery: number;
}

const BEAT = 5;

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export class BadLine {
  /** Bytes that got to the server. */
  uploaded = 0;
  readonly #to: number;
  readonly #rate: number;
  readonly #pairs = new Set<Pair>();
  readonly #server = createServer((client) => this.#join(client));

  readonly #breaksEvery: number;
  #breaks: NodeJS.Timeout | undefined;

  private constructor(to: number, { rate, breaksEvery }: LineOptions) {
    this.#to = to;
    this.#rate = rate;
    this.#breaksEvery = breaksEvery;
  }

  static async open(to: number, options: LineOptions, scope: Scope): Promise<BadLine> {
    const line = new BadLine(to, options);
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    let last = performance.now();
    const beat = setInterval(() => {
      const now = performance.now();
      line.#carry(now - last);
      last = now;
    }, BEAT);
    scope.atEnd(() => {
      clearInterval(beat);
      clearInterval(line.#breaks);
      line.#server.close();
      line.#cut();
    });
    return line;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  breakFromHere(onBreak: () => void): void {
    this.#breaks = setInterval(() => {
      onBreak();
      this.#cut();
    }, this.#breaksEvery);
  }

  #join(client: Socket): void {
    const pair = { client, server: connect(this.#to, '127.0.0.1') };
    this.#pairs.add(pair);
    for (const socket of [client, pair.server]) {
      socket.setNoDelay(true);
      socket.on('readable', () => {}); // read at the beat of the line
      socket.on('error', () => {});
      socket.on('close', () => this.#end(pair));
    }
  }

  #carry(ms: number): void {
    const most = Math.ceil((this.#rate * ms) / 1_000);
    const pairs = [...this.#pairs];
    this.uploaded += pass(
      pairs.map(({ client, server }) => [client, server]),
      most,
    );
    pass(
      pairs.map(({ client, server }) => [server, client]),
      most,
    );
  }

  #cut(): void {
    for (const pair of [...this.#pairs]) this.#end(pair);
  }

  #end(pair: Pair): void {
    this.#pairs.delete(pair);
    pair.client.destroy();
    pair.server.destroy();
  }
}

/** Passes on at most so many bytes in all; returns how many. */
function pass(ways: readonly (readonly [from: Socket, to: Socket])[], most: number): number {
  let left = most;
  for (const [from, to] of ways) {
    const size = Math.min(left, from.readableLength);
    const chunk = size > 0 && to.writableLength === 0 ? (from.read(size) as Buffer | null) : null;
    if (chunk === null) continue;
    left -= chunk.length;
    to.write(chunk);
  }
  return most - left;
}
