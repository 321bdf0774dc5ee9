/** Where nodes run: in network namespaces of their own, joined by pairs of interfaces, or all on this machine. */
import { execFileSync, spawnSync } from 'node:child_process';

/** One node's place. */
export interface Place {
  /** What the server is started by. */
  readonly command: readonly string[];
  /** Its own address, and the one at which it finds PostgreSQL. */
  readonly host: string;
  readonly database: string;
}

export interface Network {
  readonly places: readonly Place[];
  /** `null` where it can't be done. */
  readonly parts: Parts | null;
}

export interface Parts {
  /** Between a node and PostgreSQL; what is returned heals it. */
  fromDatabase(node: number): () => void;
  /** Between two nodes, and these alone. */
  fromEachOther(one: number, other: number): () => void;
}

const ip = (command: string): void => void execFileSync('ip', command.split(' '), { stdio: 'pipe' });

/** Runs a program where it may make namespaces that nobody else sees. */
export const APART = [
  ...['unshare', '-nm', 'sh', '-c'],
  'mount -t tmpfs tmpfs /run && ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward && exec "$0" "$@"',
];
const TRIAL =
  'ip netns add trial && ip link add trial type veth peer name inner netns trial && ip rule add from 10.77.1.2 to 10.77.2.2 blackhole';

/** What parts networks. */
const TOOLS = ['unshare', 'ip'];

/** Of the tools, those that this machine does not have. */
export const missingTools = (): string[] =>
  TOOLS.filter((tool) => spawnSync(tool, ['-V'], { stdio: 'ignore' }).error !== undefined);

/** Whether this user may do all that it takes. */
export function canPart(): boolean {
  const [program = '', ...args] = APART;
  return spawnSync(program, [...args, 'sh', '-c', TRIAL], { stdio: 'ignore' }).status === 0;
}

/** To be called inside of `APART`. */
export function partableNetwork(count: number): Network {
  const places = Array.from({ length: count }, (_, index) => placeApart(index + 1));
  const host = (node: number) => places[node]?.host ?? '';
  return {
    places,
    parts: {
      fromDatabase(node) {
        ip(`link set db${node + 1} down`);
        return () => ip(`link set db${node + 1} up`);
      },
      fromEachOther(one, other) {
        const rules = [
          `from ${host(one)} to ${host(other)} blackhole`,
          `from ${host(other)} to ${host(one)} blackhole`,
        ];
        for (const rule of rules) ip(`rule add ${rule}`);
        return () => {
          for (const rule of rules) ip(`rule del ${rule}`);
        };
      },
    },
  };
}

/** By one way it reaches PostgreSQL, by another one the other nodes; so each can be cut by itself. */
function placeApart(number: number): Place {
  const space = `node${number}`;
  ip(`netns add ${space}`);
  ip(`-n ${space} link set lo up`);
  for (const [name, net] of [
    ['www', 77],
    ['db', 78],
  ] as const) {
    ip(`link add ${name}${number} type veth peer name ${name} netns ${space}`);
    ip(`addr add 10.${net}.${number}.1/30 dev ${name}${number}`);
    ip(`link set ${name}${number} up`);
    ip(`-n ${space} addr add 10.${net}.${number}.2/30 dev ${name}`);
    ip(`-n ${space} link set ${name} up`);
  }
  ip(`-n ${space} route add default via 10.77.${number}.1`);
  return {
    command: ['ip', 'netns', 'exec', space],
    host: `10.77.${number}.2`,
    database: `10.78.${number}.1`,
  };
}

/** All on this machine: nodes can't be parted from each other. */
export function plainNetwork(count: number): Network {
  const place = { command: [], host: '127.0.0.1', database: '127.0.0.1' };
  return { places: Array.from({ length: count }, () => place), parts: null };
}
