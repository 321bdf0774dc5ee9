/** Real servers that share a PostgreSQL, and a load balancer that knows nothing of users. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import { type CollectedEvent, collectingLog } from '../../server/log.js';
import { freePort } from './free-port.js';
import { joinSockets } from './joined-sockets.js';
import { temporaryFolder } from './level-fixture.js';
import { PostgresFixture } from './postgres.js';
import type { TestServer } from './server.js';
import { useServer } from './use.js';

export interface PostgresNode extends TestServer {
  /** Its `CLUSTER_ADDRESS`. */
  readonly address: string;
  readonly events: readonly CollectedEvent[];
}

export const SECRET = 'the secret that all nodes of the tests share';

/**
 * Nodes that find each other in one schema.
 *
 * @param way by which address the node of this number reaches it
 */
export async function usePostgresNodes(
  count: number,
  options: Readonly<Record<string, string>> = {},
  way = (url: string, _node: number): string => url,
): Promise<{ nodes: readonly PostgresNode[]; fixture: PostgresFixture }> {
  const fixture = await PostgresFixture.create();
  onTestFinished(() => fixture.remove());
  const nodes: PostgresNode[] = [];
  for (let n = 0; n < count; n++) {
    const { log, events } = collectingLog();
    const address = `127.0.0.1:${await freePort()}`;
    const cluster = {
      CLUSTER_ADDRESS: address,
      CLUSTER_SECRET: SECRET,
    };
    const store = await fixture.open({ address, url: way(fixture.schema.url, n) });
    nodes.push({ ...(await useServer({ ...cluster, ...options }, { store, log })), address, events });
  }
  return { nodes, fixture };
}

/** The same, as processes that can be killed and stopped. */
export async function usePostgresProcesses(
  count: number,
): Promise<{ nodes: readonly NodeProcess[]; fixture: PostgresFixture }> {
  const fixture = await PostgresFixture.create();
  onTestFinished(() => fixture.remove());
  const nodes = await Promise.all(Array.from({ length: count }, () => startProcess(fixture.schema.url)));
  return { nodes, fixture };
}

export interface NodeProcess {
  readonly port: number;
  readonly url: string;
  /** Its `CLUSTER_ADDRESS`. */
  readonly address: string;
  signal(signal: NodeJS.Signals): void;
}

async function startProcess(database: string): Promise<NodeProcess> {
  const [port, inner] = [await freePort(), await freePort()];
  const address = `127.0.0.1:${inner}`;
  const folder = await temporaryFolder();
  const env = {
    ...{ PATH: process.env.PATH, POSTGRES: database, DATA_DIR: folder, PORT: String(port) },
    ...{ CLUSTER_ADDRESS: address, CLUSTER_SECRET: SECRET, UPGRADE_TIMEOUT: '1s' },
  };
  const child = spawn(process.execPath, ['test/support/postgres-node.mjs'], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  });
  const lines = createInterface({ input: child.stdout });
  await new Promise<void>((listens, fails) => {
    lines.on('line', (line) => line.includes('"event":"listening"') && listens());
    void ended.then(() => fails(new Error('the node ended')));
  });
  return { port, url: `http://127.0.0.1:${port}`, address, signal: (signal) => void child.kill(signal) };
}

/** At a port, of this machine unless told, or by a file. */
interface Listening {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
}

export interface RoundRobin {
  readonly url: string;
  takeOut(node: Listening): void;
  putBack(node: Listening): void;
}

/** Leads connections to the nodes in turns. */
export async function useRoundRobin(nodes: readonly Listening[]): Promise<RoundRobin> {
  let healthy = nodes;
  let turn = 0;
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const { host = '127.0.0.1', port = 0, path } = healthy[turn++ % healthy.length] ?? {};
    const node = connect({ ...(path === undefined ? { host, port } : { path }), allowHalfOpen: true });
    joinSockets(client, node);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    takeOut(node) {
      healthy = healthy.filter((each) => each !== node);
    },
    putBack(node) {
      healthy = [...healthy, node];
    },
  };
}
