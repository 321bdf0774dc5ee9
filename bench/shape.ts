/** The scenarios that y/hub publishes, written anew: the shape of a crowd, as ratios of one run. */
import * as Y from 'yjs';
import { Crowd } from './support/crowd.js';
import { prepareEdits } from './support/edits.js';
import { updateFrame } from './support/frames.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { forEachUser } from './support/population.js';
import { durableServer, floorServer, memoryReference, referenceServer } from './support/programs.js';
import { type Arm, type Measured, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import type { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 1, connections: 1_500, joining: 150, writers: 200, edits: 50, documents: 100 };
const SHORT = { rounds: 1, connections: 500, joining: 50, writers: 50, edits: 20, documents: 10 };
type Size = typeof LONG;

const PART = 100;
/** Of so many records of a kilobyte each: 4 MB. */
const PARTS = 40;
const MANY = {
  MAX_SOCKETS_PER_ADDRESS: '20000',
  MAX_SOCKETS_PER_USER: '1000',
  USER_RATE: '1000',
  BYTE_RATE: '1 GiB',
  BYTE_BURST: '4 GiB',
};

export const shape = armBenchmark({
  name: 'shape',
  line: "y/hub's scenarios: connecting, joining and writing in one large document, many large documents",
  measure,
});

const ARMS: readonly Arm[] = [
  { id: 'floor', name: 'floor server', program: floorServer },
  { id: 'ours', name: 'durable server', program: (folder) => durableServer(folder, [], MANY) },
  { id: 'memory', name: '@y/websocket-server 0.1.1, in memory', program: memoryReference },
  { id: 'leveldb', name: '@y/websocket-server 0.1.1 + y-leveldb', program: referenceServer },
];

async function measure({ options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const content = contentFrames();
  const run = (server: ServerProcess, _: Arm, inner: Scope) => scenes(server, size, content, inner);
  return {
    setting: size,
    limit: 'floor',
    measures: [
      { id: 'connect', line: 'connecting, CPU each', unit: 'ms' },
      { id: 'join', line: 'joining one document of 4 MB, CPU each', unit: 'ms' },
      { id: 'one', line: 'one writes, all others there read, CPU per update', unit: 'µs' },
      { id: 'many', line: 'all write, each in a document with one reader, CPU per update', unit: 'µs' },
      { id: 'large', line: 'joining a document of 4 MB of their own, CPU each', unit: 'ms' },
    ],
    arms: await race({ arms: ARMS, rounds: size.rounds, cores, scope, run }),
    goals: [],
  };
}

async function scenes(
  server: ServerProcess,
  size: Size,
  content: readonly Uint8Array[],
  scope: Scope,
): Promise<Measured> {
  const url = (name: string) => `ws://127.0.0.1:${server.port}/yjs/${name}`;
  const each = async (users: number, task: (index: number) => Promise<void>): Promise<number> => {
    const before = server.cpu();
    await forEachUser(users, task);
    return (server.cpu() - before) / users;
  };
  const devices: NativeDevice[] = [];
  scope.atEnd(() => {
    for (const device of devices) device.close();
  });
  const open = async (name: string): Promise<NativeDevice> => {
    const device = new NativeDevice(url(name), true);
    devices.push(device);
    await device.open();
    return device;
  };
  const fill = async (name: string): Promise<void> => {
    const device = await open(name);
    for (const frame of content) device.send(frame);
    await device.read();
    device.close();
  };
  const connect = await each(size.connections, async (n) => void (await open(`user-${n}`)));
  await fill('crowded');
  const join = await each(size.joining, async () => void (await open('crowded')));
  const one = await writing(server, { users: 1, devices: size.joining, name: () => 'one' }, size, scope);
  const many = await writing(
    server,
    { users: size.writers, devices: 2, name: (n) => `pair-${n}` },
    size,
    scope,
  );
  for (let n = 0; n < size.documents; n++) await fill(`large-${n}`);
  const large = await each(size.documents, async (n) => void (await open(`large-${n}`)));
  return { connect, join, one, many, large };
}

interface Writing {
  readonly users: number;
  readonly devices: number;
  readonly name: (user: string) => string;
}

async function writing(
  server: ServerProcess,
  { users, devices, name }: Writing,
  { edits }: Size,
  scope: Scope,
): Promise<number> {
  const crowd = await Crowd.gather({
    users,
    devicesPerUser: devices,
    device: (user) => new NativeDevice(`ws://127.0.0.1:${server.port}/yjs/${name(user)}`, true),
    edits: prepareEdits(edits),
  });
  scope.atEnd(() => crowd.leave());
  const before = server.cpu();
  const made = (await crowd.editInTurn(edits)).edits;
  return ((server.cpu() - before) * 1_000) / made;
}

function contentFrames(): Uint8Array[] {
  const doc = new Y.Doc();
  const frames: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => frames.push(updateFrame(update)));
  for (let part = 0; part < PARTS; part++) {
    doc.transact(() => {
      for (let n = 0; n < PART; n++) {
        const [id, note] = [`r${part}-${n}`, `${part}`.padEnd(950, 'n')];
        doc.getMap('medicalRecords').set(id, new Y.Map(Object.entries({ id, note })));
      }
    });
  }
  return frames;
}
