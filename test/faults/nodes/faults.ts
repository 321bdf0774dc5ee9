/** What goes wrong between nodes and PostgreSQL: each begins, lasts, and is over. */
import { setTimeout as pause } from 'node:timers/promises';
import { PATIENCE } from '../../support/wait.js';
import type { Chance } from '../chance.js';
import { isReady } from './balancer.js';
import type { ClusterNode, FaultCluster } from './cluster.js';

/** How long a node sleeps, or a network is parted, in ms; others take over after 10 s. */
export interface Times {
  readonly asleep: number;
  readonly parted: readonly [least: number, most: number];
}
export const TIMES = {
  short: { asleep: 13_000, parted: [3_000, 13_000] },
  long: { asleep: 60_000, parted: [5_000, 20_000] },
} as const satisfies Record<string, Times>;

/** That of the unit in deploy/, in ms. */
const RESTART_SEC = 2_000;

export interface Scene {
  readonly cluster: FaultCluster;
  readonly chance: Chance;
  readonly times: Times;
  /** Nodes whose process one fault of a round ends or stops: another one leaves them alone. */
  readonly taken: Set<ClusterNode>;
  /** Right when a node that slept goes on: what it says of the users that it had. */
  readonly woken: (node: ClusterNode, users: readonly string[]) => Promise<void>;
}

export type FaultKind =
  | 'kill'
  | 'sleep'
  | 'postgres'
  | 'backends'
  | 'commits'
  | 'database parted'
  | 'nodes parted';

const nodeOf = ({ cluster, chance }: Scene): ClusterNode =>
  cluster.nodes[chance.below(cluster.nodes.length)] as ClusterNode;

function processOf({ cluster, chance, taken }: Scene): ClusterNode {
  const free = cluster.nodes.filter((node) => !taken.has(node));
  const node = free[chance.below(free.length)] as ClusterNode;
  taken.add(node);
  return node;
}

/** Each resolves when it is mended, with what it did. */
export const FAULTS: Record<FaultKind, (scene: Scene) => Promise<string>> = {
  /** SIGKILL of a node; it is started again. */
  async kill(scene) {
    const node = processOf(scene);
    await node.server.kill();
    const ms = Math.round(scene.chance.between(0, 4_000));
    await pause(ms);
    await supervise(node);
    return `${node.name} killed for ${ms} ms`;
  },

  /** SIGSTOP: its users are taken over, and it wakes with what it had in memory. */
  async sleep(scene) {
    const node = processOf(scene);
    const users = await scene.cluster.usersOf(node);
    const { pid } = node.server;
    if (pid === undefined) throw new Error(`${node.name} does not run`);
    process.kill(pid, 'SIGSTOP');
    await pause(scene.times.asleep);
    const asked = scene.woken(node, users); // these wait in its socket, and are what it reads first
    process.kill(pid, 'SIGCONT');
    await asked;
    return `${node.name} stopped for ${scene.times.asleep} ms with ${users.length} users`;
  },

  /** SIGKILL of the whole of PostgreSQL, which goes on with what its log has. */
  async postgres({ cluster, chance }) {
    const ms = Math.round(chance.between(0, 3_000));
    await cluster.postgres.kill();
    await pause(ms);
    await startAgain(cluster);
    return `PostgreSQL killed for ${ms} ms`;
  },

  async backends({ cluster, chance }) {
    const times = 1 + chance.below(5);
    let ended = 0;
    for (let left = times; left > 0; left--) {
      const share = chance.happens(0.5) ? 1 : 0.3;
      const rows = await cluster.ask(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND random() < $1`,
        [share],
      );
      ended += rows.length;
      await pause(chance.between(0, 800));
    }
    return `${ended} backends ended in ${times} goes`;
  },

  /** The connection of a node is gone while it commits: whether PostgreSQL has all of it, it can't know. */
  async commits({ cluster, chance }) {
    const cuts: string[] = [];
    for (let left = 1 + chance.below(4); left > 0; left--) {
      const node = cluster.nodes[chance.below(cluster.nodes.length)] as ClusterNode;
      const cut = chance.pick([
        [3, 'all of it'],
        [1, 'half of it'],
        [1, 'nothing'],
      ] as const);
      const isCut = await node.proxy.cutNextCommit(cut, PATIENCE);
      cuts.push(`${node.name}: ${isCut ? cut : 'it had none to cut'}`);
      await pause(chance.between(0, 500));
    }
    return `commits cut, of which PostgreSQL had (${cuts.join(', ')})`;
  },

  async 'database parted'(scene) {
    const node = nodeOf(scene);
    const { network } = scene.cluster;
    const ms = Math.round(scene.chance.between(...scene.times.parted));
    if (network.parts === null) node.proxy.stall();
    const heal = network.parts?.fromDatabase(scene.cluster.nodes.indexOf(node));
    await pause(ms);
    heal?.();
    node.proxy.flow();
    return `${node.name} parted from PostgreSQL for ${ms} ms`;
  },

  async 'nodes parted'(scene) {
    const { nodes, network } = scene.cluster;
    if (network.parts === null) return 'skipped: no network namespaces here';
    const one = scene.chance.below(nodes.length);
    const other = (one + 1 + scene.chance.below(nodes.length - 1)) % nodes.length;
    const ms = Math.round(scene.chance.between(...scene.times.parted));
    const heal = network.parts.fromEachOther(one, other);
    await pause(ms);
    heal();
    return `${nodes[one]?.name} parted from ${nodes[other]?.name} for ${ms} ms`;
  },
};

export const KINDS = Object.keys(FAULTS) as FaultKind[];

/** As systemd does by deploy/: a start that fails, as without a PostgreSQL, is tried again. */
async function supervise({ server }: ClusterNode): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await server.restart();
    } catch (error) {
      if (Date.now() > deadline || !String(error).includes("can't be reached")) throw error;
      await pause(RESTART_SEC);
    }
  }
}

/** What was left of the killed one ends by itself, and is waited for. */
async function startAgain({ postgres }: FaultCluster): Promise<void> {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await postgres.start();
    } catch (error) {
      await postgres.kill();
      if (Date.now() > deadline) throw error;
      await pause(50);
    }
  }
}

/** Resolves when all nodes say that they are ready, and the balancer has heard it. */
export async function allReady({ nodes, balancer }: FaultCluster): Promise<void> {
  const deadline = Date.now() + 2 * PATIENCE;
  for (;;) {
    const ready = await Promise.all(nodes.map(isReady));
    if (ready.every((is) => is) && balancer.areAllReady) return;
    if (Date.now() > deadline)
      throw new Error(`not ready: ${nodes.filter((_, n) => !ready[n]).map(({ name }) => name)}`);
    await pause(50);
  }
}
