/** How long an edit takes to the other devices while the server has half a core to do. */
import { Crowd } from './support/crowd.js';
import { type Edits, prepareEdits, RECORDS } from './support/edits.js';
import { JsonDevice } from './support/json-device.js';
import { wholeRecords } from './support/json-edits.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { quantile } from './support/print.js';
import { durableServer, floorServer, referenceServer, relay } from './support/programs.js';
import { type Arm, type Measured, race, within } from './support/race.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';
import type { Benchmark } from './support/types.js';

const USERS = 200;
const DEVICES = 3;
const LONG = { rounds: 3, warmUp: 100, seconds: 8 };
const SHORT = { rounds: 3, warmUp: 40, seconds: 3 };
/** More edits a second than any of the servers takes. */
const FASTEST = 10_000;
/** Edits a second of all JSON devices, and of everybody while it is found what an edit costs. */
const GENTLE = 1_000;

interface Users {
  /** Of all users, how many have JSON devices. */
  readonly json: number;
}

const paced = (name: string, what: string, users: Users): Benchmark =>
  armBenchmark({
    name,
    line: `${what}, paced: from an edit to its arrival at the other devices`,
    measure: (start) => measure(users, start),
  });

export const load = paced('load', 'native devices at half load', { json: 0 });
export const mixed = paced('mixed', 'native and JSON devices at half load', { json: 0.5 });

interface LoadArm extends Arm {
  readonly handshake: boolean;
}

const ARMS: readonly LoadArm[] = [
  { id: 'floor', name: 'floor server', program: floorServer, handshake: true },
  { id: 'ours', name: 'durable server', program: durableServer, handshake: true },
  {
    id: 'leveldb',
    name: '@y/websocket-server 0.1.1 + y-leveldb',
    program: referenceServer,
    handshake: true,
  },
  { id: 'relay', name: 'plain relay', program: relay, handshake: false },
];

async function measure(users: Users, { options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const count = size.warmUp + Math.ceil((size.seconds * FASTEST) / USERS);
  const edits = { native: prepareEdits(count), json: wholeRecords(RECORDS, users.json > 0 ? count : 0) };
  const gather = (arm: LoadArm, { port }: ServerProcess, inner: Scope) =>
    gatherAt({ arm, port, users, edits }, inner);
  const arms = users.json > 0 ? ARMS.slice(0, 2) : ARMS;
  const ours = ARMS[1] as LoadArm;
  const rate = await within(scope, async (inner) => {
    const server = await ServerProcess.start(
      ours.program(await inner.folder())(cores?.server ?? null),
      inner,
    );
    return await halfLoad(await gather(ours, server, inner), server, size);
  });
  return {
    setting: { users: USERS, devices: DEVICES, 'edits a second': Math.round(rate), rounds: size.rounds },
    limit: 'floor',
    measures: MEASURES,
    arms: await race({
      arms,
      rounds: size.rounds,
      cores,
      scope,
      run: async (server, arm, inner) => pace(await gather(arm, server, inner), server, rate, size),
    }),
    goals: ['p50', 'p99'].map((id) => ({ arm: 'ours', measure: id, of: 'floor', most: 2 })),
  };
}

const MEASURES = [
  { id: 'p50', line: 'p50, warm', unit: 'ms' },
  { id: 'p99', line: 'p99, warm', unit: 'ms' },
  { id: 'cpu', line: 'CPU per update', unit: 'µs' },
];

/** Those who speak each protocol. */
type Editors = Pick<Crowd<unknown>, 'edit' | 'editInTurn'>;
type Crowds = readonly [native: Editors, json?: Editors];

interface Gathering {
  readonly arm: LoadArm;
  readonly port: number;
  readonly users: Users;
  readonly edits: { readonly native: Edits<Uint8Array>; readonly json: Edits<string> };
}

async function gatherAt({ arm, port, users, edits }: Gathering, scope: Scope): Promise<Crowds> {
  const json = Math.round(users.json * USERS);
  const native = await Crowd.gather({
    users: USERS - json,
    devicesPerUser: DEVICES,
    device: (user) => new NativeDevice(`ws://127.0.0.1:${port}/yjs/${user}`, arm.handshake),
    edits: edits.native,
  });
  scope.atEnd(() => native.leave());
  if (json === 0) return [native];
  const others = await Crowd.gather({
    users: json,
    devicesPerUser: DEVICES,
    device: (user, index) => new JsonDevice(port, `json-${user}`, `device-${index}`),
    edits: edits.json,
  });
  scope.atEnd(() => others.leave());
  return [native, others];
}

/** JSON devices would wait for their pace (L4) before the next edit: they are warmed up at a rate. */
async function warmUp([native, json]: Crowds, edits: number): Promise<void> {
  await json?.edit(GENTLE, (edits * USERS) / 2 / GENTLE);
  await native.editInTurn(edits);
}

/** So many edits a second, of all protocols alike, as take half a core of our server: a JSON edit costs more. */
async function halfLoad(crowds: Crowds, server: ServerProcess, size: typeof LONG): Promise<number> {
  const { cpu = 0 } = await pace(crowds, server, GENTLE, size);
  return 0.5 * (1_000_000 / cpu);
}

async function pace(
  crowds: Crowds,
  server: ServerProcess,
  rate: number,
  size: typeof LONG,
): Promise<Measured> {
  await warmUp(crowds, size.warmUp);
  const before = server.cpu();
  const stretches = await Promise.all(
    crowds.map((crowd) => crowd?.edit(rate / crowds.length, size.seconds) ?? { edits: 0, latencies: [] }),
  );
  const edits = stretches.reduce((sum, { edits }) => sum + edits, 0);
  const cpu = ((server.cpu() - before) * 1_000) / edits;
  const latencies = stretches.flatMap(({ latencies }) => latencies);
  return { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99), cpu };
}
