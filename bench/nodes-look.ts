/** Every 3 s a node asks whether those who are connected to it are still its users: what that costs it and PostgreSQL. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type OwningStore, StorePlacement } from '../server/cluster/store-placement.js';
import { PostgresStore } from '../server/store/postgres/postgres-store.js';
import type { UserId } from '../shared/names.js';
import { Database } from './support/database.js';
import { sizeOf } from './support/outcome.js';
import { forEachUser, userName } from './support/population.js';
import { inRounds, type Measured } from './support/race.js';
import type { Scope } from './support/scope.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 3, users: 25_000, looks: 20 };
const SHORT = { rounds: 1, users: 25_000, looks: 20 };
const NEVER = Number.POSITIVE_INFINITY;

interface LookArm {
  readonly id: string;
  readonly name: string;
  readonly ask: (store: PostgresStore) => OwningStore;
}

const ARMS: readonly LookArm[] = [
  { id: 'ours', name: 'all in some statements', ask: (store) => store },
  {
    id: 'each',
    name: 'each by itself, in batches as of commits',
    ask: (store) => ({ owner: (user, relieved) => store.owner(user, relieved) }),
  },
];

export const nodesLook = armBenchmark({
  name: 'nodes-look',
  line: `a node with ${LONG.users.toLocaleString('en')} connected users asks PostgreSQL whether they are still its own`,
  measure,
});

async function measure({ options, scope }: Start): Promise<Found> {
  const { rounds, ...size } = sizeOf(options, LONG, SHORT);
  return {
    setting: { ...size, rounds },
    limit: 'each',
    measures: [
      { id: 'node', line: 'CPU of the node per look', unit: 'ms' },
      { id: 'database', line: 'CPU of PostgreSQL per look', unit: 'ms' },
      { id: 'took', line: 'until all are known', unit: 'ms' },
      { id: 'held', line: 'the longest that nothing else got its turn', unit: 'ms' },
    ],
    arms: await inRounds({ arms: ARMS, rounds, scope, run: (arm, inner) => look(arm, size, inner) }),
    goals: [],
  };
}

async function look(
  { ask }: LookArm,
  { users, looks }: Omit<typeof LONG, 'rounds'>,
  scope: Scope,
): Promise<Measured> {
  const database = await Database.start(scope);
  const store = await PostgresStore.open({ url: database.url });
  scope.atEnd(() => store.close());
  const placement = new StorePlacement(ask(store), () => performance.now());
  placement.serve({ isInUse: () => true, lose: () => {} });
  await forEachUser(users, async (index) => {
    await placement.whereIs(userName(index) as UserId);
  });
  for (let warm = 0; warm < 3; warm++) await placement.look(NEVER);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [ofNode, ofDatabase, began] = [process.cpuUsage(), database.cpu(), performance.now()];
  for (let n = 0; n < looks; n++) await placement.look(NEVER);
  const { user, system } = process.cpuUsage(ofNode);
  return {
    node: (user + system) / 1_000 / looks,
    database: (database.cpu() - ofDatabase) / looks,
    took: (performance.now() - began) / looks,
    held: delay.max / 1e6,
  };
}
