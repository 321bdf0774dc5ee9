/** Nodes as processes of their own, each with a way of its own to one PostgreSQL, behind a load balancer. */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../../support/free-port.js';
import { NO_POSTGRES, startPostgres, type TestPostgres } from '../../support/postgres-server.js';
import { ServerProcess } from '../../support/server-process.js';
import { PATIENCE } from '../../support/wait.js';
import { Balancer } from './balancer.js';
import { DatabaseProxy } from './database-proxy.js';
import type { Surroundings } from './evidence.js';
import type { Network, Place } from './network.js';

const OPTIONS = {
  ...{
    CLUSTER_SECRET: 'the secret that all nodes of the fault tests share',
    ADMIN_TOKEN: 'the-admin-token-of-faults',
  },
  ...{ LOG_FORMAT: 'json', LOG_LEVEL: 'info', NODE_ENV: 'development' },
  // Batches with compactions, documents that are let go, and many who come from one address.
  ...{ COMPACT_UPDATES: '25', IDLE_TIMEOUT: '2s', REST_AFTER: '100ms', MAX_SOCKETS_PER_ADDRESS: '2000' },
};
/** So many lines of each node are told about a user. */
const TOLD = 100;
/** Clocks of updates and revisions of entries lie one after the other. */
const GAPS = `
SELECT d.user_id FROM document d
 WHERE d.last - d.first + 1 <> (SELECT count(*) FROM update_row u WHERE u.doc = d.doc AND u.clock BETWEEN d.first AND d.last)
    OR d.revision - d.history_from <> (SELECT count(*) FROM history_row h WHERE h.doc = d.doc AND h.revision BETWEEN d.history_from + 1 AND d.revision)`;

export interface ClusterNode {
  readonly name: string;
  readonly server: ServerProcess;
  readonly proxy: DatabaseProxy;
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Its `CLUSTER_ADDRESS`. */
  readonly address: string;
}

export class FaultCluster implements Surroundings {
  readonly postgres: TestPostgres;
  readonly nodes: readonly ClusterNode[];
  readonly balancer: Balancer;
  readonly network: Network;

  private constructor(
    postgres: TestPostgres,
    nodes: readonly ClusterNode[],
    balancer: Balancer,
    network: Network,
  ) {
    this.postgres = postgres;
    this.nodes = nodes;
    this.balancer = balancer;
    this.network = network;
  }

  static async start(network: Network): Promise<FaultCluster> {
    const postgres = await startPostgres();
    if (postgres === null) throw new Error(NO_POSTGRES);
    const nodes: ClusterNode[] = [];
    for (const [index, place] of network.places.entries()) {
      nodes.push(await startNode(`node ${index + 1}`, place, postgres));
    }
    return new FaultCluster(postgres, nodes, await Balancer.listen(nodes), network);
  }

  get url(): string {
    return this.balancer.url;
  }

  frontOf(port: number | undefined): string {
    return this.balancer.frontOf(port);
  }

  /** The last lines about a user in the log of each node. */
  linesOf(user: string): string[] {
    return this.nodes.flatMap(({ name, server }) => {
      const lines = server.lines.filter((line) => line.includes(`"user":"${user}"`));
      return lines.slice(-TOLD).map((line) => `${name}: ${line}`);
    });
  }

  /** By no proxy. Where another fault has just killed PostgreSQL, when it is back. */
  async ask(sql: string, values: unknown[] = []): Promise<pg.QueryResult['rows']> {
    const deadline = Date.now() + PATIENCE;
    for (;;) {
      try {
        return await this.#askOnce(sql, values);
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await pause(50);
      }
    }
  }

  async #askOnce(sql: string, values: unknown[]): Promise<pg.QueryResult['rows']> {
    const client = new pg.Client({ connectionString: this.postgres.url });
    client.on('error', () => {}); // whoever asks is told
    await client.connect();
    try {
      return (await client.query(sql, values)).rows;
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** Whose stored updates or entries are not one after the other. */
  async gaps(): Promise<string[]> {
    return (await this.ask(GAPS)).map(({ user_id }) => `the store has gaps in what it has of ${user_id}`);
  }

  /** The users of a node, by what is stored. */
  async usersOf({ address }: ClusterNode): Promise<string[]> {
    const rows = await this.ask(
      'SELECT d.user_id FROM document d JOIN node n ON n.id = d.owner WHERE n.address = $1 AND NOT n.fenced',
      [address],
    );
    return rows.map(({ user_id }) => String(user_id));
  }

  /** What the store has of a user, and what each node says. */
  async revisions(user: string): Promise<string> {
    const stored = await this.ask('SELECT owner, revision, claim FROM document WHERE user_id = $1', [user]);
    const said = this.nodes.map(async ({ name, url }) => {
      const answer = await fetch(`${url}/api/sync/${user}`);
      const length = (await answer.arrayBuffer()).byteLength;
      return `${name} says ${answer.status} ${answer.headers.get('ETag')}, ${length} bytes`;
    });
    return `stored ${JSON.stringify(stored)}, ${(await Promise.all(said)).join(', ')}`;
  }

  async stop(): Promise<void> {
    this.balancer.close();
    await Promise.all(this.nodes.map(({ server }) => server.dispose()));
    for (const { proxy } of this.nodes) proxy.close();
    await this.postgres.stop();
  }
}

async function startNode(name: string, place: Place, postgres: TestPostgres): Promise<ClusterNode> {
  const proxy = await DatabaseProxy.listen(place.database, postgres.socket);
  const { command, host } = place;
  const isAlone = command.length > 0;
  const address = `${host}:${isAlone ? 3101 : await freePort()}`;
  const options = {
    ...OPTIONS,
    ...{ HOST: host, CLUSTER_ADDRESS: address },
    STORE: `postgres://test@${place.database}:${proxy.port}/postgres`,
    ...(isAlone && { PORT: '3001' }),
  };
  const server = await ServerProcess.start(options, { command: () => command });
  const { port } = server;
  return { name, server, proxy, host, port, url: `http://${host}:${port}`, address };
}
