/** Leads connections to nodes in turns, and knows nothing of users; it asks each whether it is ready. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { joinSockets } from '../../support/joined-sockets.js';

/** From one question whether a node is ready to the next, and how long its answer may take, in ms. */
const LOOK = 500;
const PATIENCE = 1_000;

interface Backend {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

export class Balancer {
  readonly #server: Server;
  readonly #nodes: readonly Backend[];
  readonly #ready = new Set<Backend>();
  readonly #looking: NodeJS.Timeout;
  /** Each with the node that it is led to. */
  readonly #clients = new Map<Socket, Backend>();
  #turn = 0;

  private constructor(nodes: readonly Backend[]) {
    this.#nodes = nodes;
    for (const node of nodes) this.#ready.add(node);
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#lead(client));
    this.#looking = setInterval(() => void this.#look(), LOOK);
  }

  static async listen(nodes: readonly Backend[]): Promise<Balancer> {
    const balancer = new Balancer(nodes);
    balancer.#server.listen(0, '127.0.0.1');
    await once(balancer.#server, 'listening');
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get areAllReady(): boolean {
    return this.#ready.size === this.#nodes.length;
  }

  /** The name of the node that the client at this port is led to. */
  frontOf(port: number | undefined): string {
    const found = [...this.#clients].find(([{ remotePort }]) => remotePort === port);
    return found?.[1].name ?? 'no node';
  }

  close(): void {
    clearInterval(this.#looking);
    this.#server.close();
    for (const client of this.#clients.keys()) client.destroy();
  }

  /** To the next node that is ready; to any where none is. */
  #lead(client: Socket): void {
    const ready = this.#nodes.filter((node) => this.#ready.has(node));
    const nodes = ready.length > 0 ? ready : this.#nodes;
    const node = nodes[this.#turn++ % nodes.length] as Backend;
    this.#clients.set(client, node);
    client.once('close', () => this.#clients.delete(client));
    joinSockets(client, connect({ host: node.host, port: node.port, allowHalfOpen: true }));
  }

  async #look(): Promise<void> {
    await Promise.all(
      this.#nodes.map(async (node) => {
        if (await isReady(node)) this.#ready.add(node);
        else this.#ready.delete(node);
      }),
    );
  }
}

export const isReady = ({ url }: { readonly url: string }): Promise<boolean> =>
  fetch(`${url}/ready`, { signal: AbortSignal.timeout(PATIENCE) }).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.status === 200;
    },
    () => false,
  );
