/** The way from one node to PostgreSQL, which may break off, or lead nowhere for a while. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { joinSockets } from '../../support/joined-sockets.js';

/** What of a commit has reached PostgreSQL when the connection is gone. */
export type Cut = 'nothing' | 'half of it' | 'all of it';

/** The prepared statements of a batch, by the names that a node gives them. */
const COMMITS = [Buffer.from('\0commit\0'), Buffer.from('\0change\0')];

export class DatabaseProxy {
  readonly #server: Server;
  readonly #ways = new Map<Socket, Socket>();
  #armed: { readonly cut: Cut; readonly done: () => void } | null = null;
  #isStalled = false;

  private constructor(target: string) {
    this.#server = createServer({ allowHalfOpen: true }, (node) => this.#open(node, target));
  }

  /** @param target the socket file of PostgreSQL */
  static async listen(host: string, target: string): Promise<DatabaseProxy> {
    const proxy = new DatabaseProxy(target);
    proxy.#server.listen(0, host);
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Resolves when a commit has come, and its connection is gone. */
  cutNextCommit(cut: Cut): Promise<void> {
    return new Promise((done) => {
      this.#armed = { cut, done };
    });
  }

  disarm(): void {
    this.#armed?.done();
    this.#armed = null;
  }

  /** Nothing comes through any more, and nobody is told. */
  stall(): void {
    this.#isStalled = true;
    for (const way of this.#ways) for (const socket of way) socket.pause();
  }

  /** What has waited comes through. */
  flow(): void {
    this.#isStalled = false;
    for (const way of this.#ways) for (const socket of way) socket.resume();
  }

  close(): void {
    this.#server.close();
    for (const [node, database] of this.#ways) for (const socket of [node, database]) socket.destroy();
  }

  #open(node: Socket, target: string): void {
    const database = connect({ path: target, allowHalfOpen: true });
    this.#ways.set(node, database);
    // Before the pipe: what is cut here does not go on.
    node.prependListener('data', (chunk: Buffer) => this.#watch(chunk, node, database));
    joinSockets(node, database);
    if (this.#isStalled) for (const socket of [node, database]) socket.pause();
    node.once('close', () => this.#ways.delete(node));
  }

  #watch(chunk: Buffer, node: Socket, database: Socket): void {
    const armed = this.#armed;
    if (armed === null || !COMMITS.some((name) => chunk.includes(name))) return;
    this.#armed = null;
    node.unpipe(database);
    if (armed.cut === 'half of it') database.write(chunk.subarray(0, chunk.length >> 1));
    if (armed.cut === 'all of it') database.write(chunk);
    node.destroy();
    armed.done();
  }
}
