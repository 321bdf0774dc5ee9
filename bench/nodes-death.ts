/** A node is gone, and everybody whom it served comes to the other one at once: how fast that one has them all. */
import { startNodes } from './support/cluster.js';
import { Database } from './support/database.js';
import { updateFrame } from './support/frames.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { CONTENT, connectAll, forEachUser, nativeUrl, RECORDS } from './support/population.js';
import { inRounds, type Measured } from './support/race.js';
import type { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 1, users: 3_000 };
const SHORT = { rounds: 3, users: 1_000 };

interface DeathArm {
  readonly id: string;
  readonly name: string;
  readonly end: (node: ServerProcess) => Promise<void>;
}

const ARMS: readonly DeathArm[] = [
  { id: 'ours', name: 'the node was killed (SIGKILL)', end: (node) => node.kill() },
  { id: 'ours-stopped', name: 'the node was stopped (SIGTERM)', end: (node) => node.close() },
];

export const nodesDeath = armBenchmark({
  name: 'nodes-death',
  line: `a node ends, and all its users with ${RECORDS} records each come to the other one at once`,
  measure,
});

async function measure(start: Start): Promise<Found> {
  const { rounds, users } = sizeOf(start.options, LONG, SHORT);
  return {
    setting: { users, records: RECORDS, rounds },
    limit: 'ours',
    measures: [
      { id: 'rate', line: 'users who are back, a second', unit: '' },
      { id: 'all', line: 'until all are back', unit: 's' },
      { id: 'node', line: 'CPU of the node that takes over, per user', unit: 'ms' },
      { id: 'database', line: 'CPU of PostgreSQL per user', unit: 'ms' },
      { id: 'kept', line: 'tables per user', unit: 'KB' },
      { id: 'incomplete', line: 'users without all records', unit: '' },
    ],
    arms: await inRounds({
      arms: ARMS,
      rounds,
      scope: start.scope,
      run: (arm, scope) => outlive(arm, users, { ...start, scope }),
    }),
    goals: [],
  };
}

async function outlive({ end }: DeathArm, users: number, { cores, scope }: Start): Promise<Measured> {
  const database = await Database.start(scope);
  const [ending, other] = await startNodes(2, { database, cores, scope });
  if (ending === undefined || other === undefined) throw new Error('There are too few nodes.');
  const devices: NativeDevice[] = [];
  await forEachUser(users, async (index) => {
    const device = new NativeDevice(nativeUrl(ending.port, index), true);
    devices.push(device);
    await device.open();
    await device.save(updateFrame(CONTENT));
  });
  const kept = await database.size();
  await end(ending);
  for (const each of devices) each.close();
  const [ofNode, ofDatabase, began] = [other.cpu(), database.cpu(), performance.now()];
  const back = await connectAll('up to date', users, other.port);
  const seconds = (performance.now() - began) / 1_000;
  const [node, cpu] = [other.cpu() - ofNode, database.cpu() - ofDatabase];
  back.leave();
  const { incomplete, leave } = await connectAll('fresh', users, other.port);
  leave();
  return {
    rate: users / seconds,
    all: seconds,
    node: node / users,
    database: cpu / users,
    kept: kept / 1_024 / users,
    incomplete,
  };
}
