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
  /** Each waits for a commit of its own. */
  readonly #armed: { readonly cut: Cut; readonly done: () => void }[] = [];
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

  /** Resolves with whether a commit has come within so many ms, and its connection is gone. */
  cutNextCommit(cut: Cut, ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const armed = { cut, done: () => settle(true) };
      const settle = (isCut: boolean): void => {
        clearTimeout(timer);
        if (!isCut) this.#armed.splice(this.#armed.indexOf(armed), 1);
        resolve(isCut);
      };
      const timer = setTimeout(() => settle(false), ms);
      this.#armed.push(armed);
    });
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
    const isCommit = this.#armed.length > 0 && COMMITS.some((name) => chunk.includes(name));
    const armed = isCommit ? this.#armed.shift() : undefined;
    if (armed === undefined) return;
    node.unpipe(database);
    if (armed.cut === 'half of it') database.write(chunk.subarray(0, chunk.length >> 1));
    if (armed.cut === 'all of it') database.write(chunk);
    node.destroy();
    armed.done();
  }
}
