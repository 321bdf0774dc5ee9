/** What an edit costs where the documents are in PostgreSQL: at the node, in the database, and on the wrong node. */
import { startNodes } from './support/cluster.js';
import { atRest, DEVICES, USERS } from './support/contest.js';
import { Crowd } from './support/crowd.js';
import { Database } from './support/database.js';
import { type Edits, prepareEdits } from './support/edits.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { durableServer } from './support/programs.js';
import { inRounds, type Measured } from './support/race.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

/** `rate`: edits a second of all users together, the same for all: how many come together in a batch makes the cost. */
const LONG = { rounds: 5, rate: 2_000, seconds: 10 };
const SHORT = { rounds: 3, rate: 2_000, seconds: 4 };
/** What an edit is for a node that leads on: it comes in once, and goes out to each other device. */
const MESSAGES = DEVICES;

export const nodes = armBenchmark({
  name: 'nodes',
  line: `server CPU per update on PostgreSQL, ${USERS} users × ${DEVICES} native devices, beside LevelDB, and on two nodes`,
  options: { profile: 'writes CPU profiles of all nodes on PostgreSQL to artifacts/' },
  measure,
});

interface Setting {
  /** How many nodes; on LevelDB it is one. */
  readonly nodes: number;
  /** At which node the document of a user is, and at which its devices are. */
  readonly home: (index: number) => number;
  readonly door: (index: number) => number;
}

interface NodesArm {
  readonly id: string;
  readonly name: string;
  /** `null`: on LevelDB. */
  readonly on: Setting | null;
}

const first = () => 0;
const ARMS: readonly NodesArm[] = [
  { id: 'level', name: 'LevelDB', on: null },
  { id: 'ours', name: 'PostgreSQL, one node', on: { nodes: 1, home: first, door: first } },
  {
    id: 'ours-two',
    name: 'two nodes, half of the users each',
    on: { nodes: 2, home: (n) => n % 2, door: (n) => n % 2 },
  },
  {
    id: 'ours-wrong',
    name: 'two nodes, every device at the wrong one',
    on: { nodes: 2, home: first, door: () => 1 },
  },
];

const MEASURES = [
  { id: 'warm', line: 'CPU of all nodes per update, warm', unit: 'µs' },
  { id: 'cold', line: 'the same, cold', unit: 'µs' },
  { id: 'front', line: 'of it at the wrong node, per message', unit: 'µs' },
  { id: 'database', line: 'CPU of PostgreSQL per update', unit: 'µs' },
  { id: 'batch', line: 'CPU of PostgreSQL per batch', unit: 'µs' },
  { id: 'together', line: 'updates in a batch', unit: '' },
  { id: 'log', line: 'its log per update', unit: 'bytes' },
  { id: 'kept', line: 'its tables per update', unit: 'bytes' },
];

async function measure(start: Start): Promise<Found> {
  const { options, scope } = start;
  const { rounds, ...load } = sizeOf(options, LONG, SHORT);
  const edits = prepareEdits(2 * Math.ceil((load.rate * load.seconds) / USERS));
  return {
    setting: { users: USERS, devices: DEVICES, 'updates a second': load.rate, seconds: load.seconds, rounds },
    limit: 'level',
    measures: MEASURES,
    arms: await inRounds({
      arms: ARMS,
      rounds,
      scope,
      run: (arm, inner) => runOne(arm, { ...start, scope: inner }, edits, load),
    }),
    goals: [{ arm: 'ours', measure: 'warm', of: 'level', most: 1.1 }],
  };
}

interface Load {
  readonly rate: number;
  readonly seconds: number;
}

async function runOne(
  { on }: NodesArm,
  { options, cores, scope }: Start,
  edits: Edits<Uint8Array>,
  load: Load,
): Promise<Measured> {
  if (on === null) {
    const program = durableServer(await scope.folder())(cores?.server ?? null);
    const server = await ServerProcess.start(program, scope);
    const crowd = await gather([server], () => 0, edits, scope);
    return { cold: await cpuOf([server], crowd, load), warm: await cpuOf([server], crowd, load) };
  }
  const database = await Database.start(scope);
  const nodeOptions = options.has('profile') ? ['--cpu-prof', '--cpu-prof-dir=artifacts'] : [];
  const nodes = await startNodes(on.nodes, { database, cores, scope, nodeOptions });
  const visitors = await comeHome(nodes, on.home);
  const crowd = await gather(nodes, on.door, edits, scope);
  for (const each of visitors) each.close();
  const cold = await cpuOf(nodes, crowd, load);
  const isWrong = on.home(0) !== on.door(0);
  return { cold, ...(await warmOf(database, nodes, crowd, { ...load, isWrong })) };
}

/** A device of each user at the node that is to have the document. */
async function comeHome(
  nodes: readonly ServerProcess[],
  home: Setting['home'],
): Promise<readonly NativeDevice[]> {
  const devices = Array.from({ length: USERS }, (_, index) => deviceAt(nodes[home(index)], `user-${index}`));
  for (const each of devices) await each.open();
  return devices;
}

const deviceAt = (node: ServerProcess | undefined, user: string): NativeDevice =>
  new NativeDevice(`ws://127.0.0.1:${node?.port}/yjs/${user}`, true);

async function gather(
  nodes: readonly ServerProcess[],
  door: Setting['door'],
  edits: Edits<Uint8Array>,
  scope: Scope,
): Promise<Crowd<Uint8Array>> {
  const crowd = await Crowd.gather({
    users: USERS,
    devicesPerUser: DEVICES,
    device: (user) => deviceAt(nodes[door(Number(user.replace('user-', '')))], user),
    edits,
  });
  scope.atEnd(() => crowd.leave());
  return crowd;
}

/** Per update, in µs. */
async function cpuOf(
  servers: readonly Pick<ServerProcess, 'cpu'>[],
  crowd: Crowd<Uint8Array>,
  { rate, seconds }: Load,
): Promise<number> {
  const all = { cpu: () => servers.reduce((sum, server) => sum + server.cpu(), 0) };
  const before = all.cpu();
  const { edits } = await crowd.edit(rate, seconds);
  await atRest(all);
  return ((all.cpu() - before) * 1_000) / edits;
}

async function warmOf(
  database: Database,
  nodes: readonly ServerProcess[],
  crowd: Crowd<Uint8Array>,
  { isWrong, ...load }: Load & { readonly isWrong: boolean },
): Promise<Measured> {
  const counts = async () => [await database.batches(), await database.log(), await database.size()] as const;
  const before = await counts();
  const [ofDatabase, ofFront] = [database.cpu(), nodes[1]?.cpu() ?? 0];
  const warm = await cpuOf(nodes, crowd, load);
  const [cpu, front] = [database.cpu() - ofDatabase, (nodes[1]?.cpu() ?? 0) - ofFront];
  const [batches = 0, log = 0, kept = 0] = (await counts()).map((after, n) => after - (before[n] ?? 0));
  const edits = load.rate * load.seconds;
  return {
    warm,
    ...(isWrong && { front: (front * 1_000) / edits / MESSAGES }),
    database: (cpu * 1_000) / edits,
    batch: (cpu * 1_000) / batches,
    together: edits / batches,
    log: log / edits,
    kept: kept / edits,
  };
}
