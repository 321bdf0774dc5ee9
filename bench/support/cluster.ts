/** Nodes of ours on one PostgreSQL. */
import { freePort } from '../../test/support/free-port.js';
import type { Cores } from './cores.js';
import type { Database } from './database.js';
import { durableServer } from './programs.js';
import type { Scope } from './scope.js';
import { ServerProcess } from './server-process.js';

const SECRET = 'the secret that all nodes of the benchmarks share';

export interface ClusterOptions {
  readonly database: Database;
  readonly cores: Cores | null;
  readonly scope: Scope;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
}

/** All on the one core that is for servers: CPU is compared, and no two of them have one to themselves. */
export async function startNodes(count: number, options: ClusterOptions): Promise<ServerProcess[]> {
  const nodes: ServerProcess[] = [];
  for (let n = 0; n < count; n++) nodes.push(await startNode(options));
  return nodes;
}

async function startNode({
  database,
  cores,
  scope,
  env = {},
  nodeOptions = [],
}: ClusterOptions): Promise<ServerProcess> {
  const cluster = {
    STORE: database.url,
    CLUSTER_ADDRESS: `127.0.0.1:${await freePort()}`,
    CLUSTER_SECRET: SECRET,
    MAX_SOCKETS_PER_ADDRESS: '20000',
  };
  const program = durableServer(await scope.folder(), nodeOptions, { ...cluster, ...env });
  return ServerProcess.start(program(cores?.server ?? null), scope);
}
