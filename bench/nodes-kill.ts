/** One of several nodes is killed in mid-run: what is gone of the edits that others had seen, and of those confirmed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startNodes } from './support/cluster.js';
import type { Cores } from './support/cores.js';
import { Crowd } from './support/crowd.js';
import { Database } from './support/database.js';
import { prepareEdits } from './support/edits.js';
import { CHECKPOINT, SYNC, UPDATE } from './support/frames.js';
import { hasHocuspocus, hocuspocus, hocuspocusDevice, peersOption } from './support/hocuspocus.js';
import { editsStored, lastEditIn } from './support/loss.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { print } from './support/print.js';
import { inRounds, type Measured } from './support/race.js';
import { hasRedis, startRedis } from './support/redis.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const USERS = 200;
/** The first one edits. */
const DEVICES = 2;
/** `rate`: edits a second of all users together; `seconds`: until a node is killed. */
const LONG = { rounds: 3, rate: 400, seconds: 15 };
const SHORT = { rounds: 1, rate: 400, seconds: 15 };
/** What had left a node when it was killed arrives. */
const ON_THE_WAY = 200;

interface KillArm {
  readonly id: string;
  readonly name: string;
  readonly start: (scope: Scope, cores: Cores | null) => Promise<readonly ServerProcess[]>;
  readonly device: (port: number, user: string) => NativeDevice;
  readonly reader: (port: number, user: string) => NativeDevice;
}

export const nodesKill = armBenchmark({
  name: 'nodes-kill',
  line: `one of several nodes is killed while ${USERS} users edit, ${DEVICES} devices each at any node: what is gone`,
  options: {
    peers: `${peersOption.peers}, two of it with Redis, where there is a redis-server`,
  },
  measure,
});

/** It asks for a confirmation behind each update, as our client does. */
class AskingDevice extends NativeDevice {
  override send(message: Uint8Array): void {
    super.send(message);
    if (message[0] === SYNC && message[1] === UPDATE) super.send(CHECKPOINT);
  }
}

const urlOf = (port: number, user: string): string => `ws://127.0.0.1:${port}/yjs/${user}`;

const OURS: KillArm = {
  id: 'ours',
  name: 'three nodes on PostgreSQL',
  start: async (scope, cores) => startNodes(3, { database: await Database.start(scope), cores, scope }),
  device: (port, user) => new AskingDevice(urlOf(port, user), true),
  reader: (port, user) => new NativeDevice(urlOf(port, user), true),
};

const HOCUSPOCUS: KillArm = {
  id: 'hocuspocus',
  name: 'Hocuspocus 4.7, two nodes with Redis on one SQLite, on Node 26',
  start: async (scope, cores) => {
    const REDIS_PORT = String(await startRedis(scope));
    const program = hocuspocus(await scope.folder(), { REDIS_PORT })(cores?.server ?? null);
    return [await ServerProcess.start(program, scope), await ServerProcess.start(program, scope)];
  },
  device: hocuspocusDevice,
  reader: hocuspocusDevice,
};

function armsFor(options: ReadonlySet<string>): KillArm[] {
  if (!hasHocuspocus(options)) return [OURS];
  if (hasRedis()) return [OURS, HOCUSPOCUS];
  print('There is no redis-server (apt install redis-server): Hocuspocus is left out.');
  return [OURS];
}

async function measure(start: Start): Promise<Found> {
  const { rounds, ...load } = sizeOf(start.options, LONG, SHORT);
  return {
    setting: {
      ...{ users: USERS, devices: DEVICES, 'edits a second': load.rate },
      ...{ 'seconds until the kill': load.seconds, rounds },
    },
    limit: 'ours',
    measures: [
      { id: 'lost', line: 'lost of what another device had seen', unit: 'edits' },
      { id: 'seen', line: 'seen by another device', unit: 'edits' },
      { id: 'lostConfirmed', line: 'lost of what was confirmed', unit: 'edits' },
      { id: 'confirmed', line: 'confirmed to the device that made them', unit: 'edits' },
    ],
    arms: await inRounds({
      arms: armsFor(start.options),
      rounds,
      scope: start.scope,
      run: (arm, scope) => killed(arm, load, { ...start, scope }),
    }),
    goals: ['lost', 'lostConfirmed'].map((measure) => ({ arm: 'ours', measure, of: null, most: 0 })),
  };
}

interface Load {
  readonly rate: number;
  readonly seconds: number;
}

async function killed(arm: KillArm, load: Load, { cores, scope }: Start): Promise<Measured> {
  const nodes = await arm.start(scope, cores);
  const authors = new Map<string, NativeDevice>();
  const seen = new Map<string, number>();
  const crowd = await Crowd.gather<Uint8Array>({
    users: USERS,
    devicesPerUser: DEVICES,
    device: (user, index) => {
      const device = arm.device(portOf(nodes, user, index), user);
      if (index === 0) authors.set(user, device);
      else device.onContent = (message) => note(seen, user, lastEditIn(message.toString('latin1')));
      return device;
    },
    edits: prepareEdits(Math.ceil((2 * load.rate * load.seconds) / USERS)),
  });
  scope.atEnd(() => crowd.leave());
  await sleep(ON_THE_WAY);
  const before = new Map([...authors].map(([user, { confirmed }]) => [user, confirmed]));
  crowd.edit(load.rate, 2 * load.seconds).catch(() => {}); // what was at the killed node never arrives
  await sleep(load.seconds * 1_000);
  await nodes[0]?.kill();
  await sleep(ON_THE_WAY);
  const confirmed = new Map(
    [...authors].map(([user, device]) => [user, device.confirmed - (before.get(user) ?? 0)]),
  );
  crowd.leave();
  const users = [...authors.keys()];
  const survivor = nodes[1]?.port ?? 0;
  const stored = await editsStored(
    users.map((user) => arm.reader(survivor, user)),
    users,
    scope,
  );
  return {
    lost: missing(seen, stored),
    seen: sum(seen),
    lostConfirmed: missing(confirmed, stored),
    confirmed: sum(confirmed),
  };
}

/** As a load balancer leads that knows nothing of users: each pair of nodes is met by as many users. */
function portOf(nodes: readonly ServerProcess[], user: string, device: number): number {
  const index = Number(user.replace('user-', ''));
  return nodes[Math.floor(index / nodes.length ** device) % nodes.length]?.port ?? 0;
}

/** Edits are numbered, and made in order; a server may pass several on as one. */
function note(seen: Map<string, number>, user: string, edits: number): void {
  seen.set(user, Math.max(edits, seen.get(user) ?? 0));
}

const sum = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((total, count) => total + count, 0);

const missing = (expected: ReadonlyMap<string, number>, stored: ReadonlyMap<string, number>): number =>
  [...expected].reduce((total, [user, count]) => total + Math.max(0, count - (stored.get(user) ?? 0)), 0);
