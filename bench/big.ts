/** A user with very many records: how long each thing takes, and how long it keeps others waiting. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import { Bystander } from './support/bystander.js';
import { updateFrame } from './support/frames.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { copyOf, nativeUrl, userName } from './support/population.js';
import { durableServer, floorServer, type Program } from './support/programs.js';
import { type Arm, type Measured, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 3, records: 20_000 };
const SHORT = { rounds: 1, records: 5_000 };
const TAIL = 100;
const PART = 500;
const STALL = 50;

export const big = armBenchmark({
  name: 'big',
  line: 'one user with very many records, not in memory: time, and the longest wait of another user',
  measure,
});

interface BigUser {
  /** Of a device that has everything. */
  readonly vector: Uint8Array;
  /** Of one that lacks the last few edits. */
  readonly behind: Uint8Array;
  readonly edit: Uint8Array;
  readonly folder: string;
  readonly etag: string;
}

interface Task extends Arm {
  /** Makes ready; what is timed is the rest. */
  readonly task: (port: number) => Promise<() => Promise<unknown>>;
}

async function measure({ options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const ours = await seed(durableServer, size.records, scope);
  const floor = await seed(floorServer, size.records, scope);
  const arms = [
    ...tasks('ours', 'durable server', durableServer, ours),
    ...tasks('floor', 'floor server', floorServer, floor).filter(({ id }) => id !== 'floor-304'),
  ];
  const goals = ['fresh', 'edit', '304', 'behind'].map((id) => `ours-${id}`);
  return {
    setting: size,
    limit: 'ours-nothing',
    measures: [
      { id: 'stall', line: 'longest wait of another user', unit: 'ms' },
      { id: 'time', line: 'time', unit: 'ms' },
    ],
    arms: await race({ arms, rounds: size.rounds, cores, scope, run: perform }),
    goals: goals.map((arm) => ({ arm, measure: 'stall', of: null, most: STALL })),
  };
}

async function perform({ port }: ServerProcess, { task }: Task, scope: Scope): Promise<Measured> {
  const bystander = await Bystander.watch(port, scope);
  await sleep(500); // the code of an answer to a ping is warm
  const carryOut = await task(port);
  await bystander.stall();
  const began = performance.now();
  await carryOut();
  const time = performance.now() - began;
  return { time, stall: await bystander.stall() };
}

function tasks(arm: string, server: string, program: (folder: string) => Program, user: BigUser): Task[] {
  const read = (vector?: Uint8Array) => async (port: number) => {
    const device = await connected(port);
    return () => device.read(vector);
  };
  const edit = async (port: number) => {
    const device = await connected(port);
    await device.read(user.vector);
    return () => device.save(updateFrame(user.edit));
  };
  const unchanged = async (port: number) => async () => {
    const { status } = await ask(port, { 'if-none-match': user.etag });
    if (status !== 304) throw new Error(`GET /api/sync answered ${status}, and nothing had changed.`);
  };
  const each: [string, string, Task['task']][] = [
    ['nothing', 'nothing happens', async () => () => sleep(300)],
    ['fresh', 'a fresh device', read()],
    ['behind', `a device that lacks ${TAIL} edits`, read(user.behind)],
    ['edit', 'the first edit', edit],
    ['304', 'GET /api/sync, unchanged', unchanged],
  ];
  const prepare = (scope: Scope) => copyOf(user.folder, scope);
  return each.map(([id, what, task]) => ({
    id: `${arm}-${id}`,
    name: `${server}: ${what}`,
    program,
    prepare,
    task,
  }));
}

async function connected(port: number): Promise<NativeDevice> {
  const device = new NativeDevice(nativeUrl(port, 0), false);
  await device.open();
  return device;
}

const ask = (port: number, headers: Record<string, string>): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/api/sync/${userName(0)}`, {
    headers: { 'accept-encoding': 'identity', ...headers },
  });

async function seed(program: (folder: string) => Program, records: number, scope: Scope): Promise<BigUser> {
  const folder = await scope.folder();
  const server = await ServerProcess.start(program(folder)(null), scope);
  const device = new NativeDevice(nativeUrl(server.port, 0), true);
  await device.open();
  const doc = new Y.Doc();
  for (let at = 0; at < records; at += PART) {
    await device.save(updateFrame(change(doc, () => fill(doc, at, Math.min(records, at + PART)))));
  }
  const behind = Y.encodeStateVector(doc);
  for (let n = 0; n < TAIL; n++)
    await device.save(updateFrame(change(doc, () => touch(doc, (n * 37) % records))));
  const vector = Y.encodeStateVector(doc);
  const edit = change(doc, () => touch(doc, 5));
  const answer = program === durableServer ? await ask(server.port, {}) : null;
  await answer?.arrayBuffer();
  device.close();
  await server.close();
  return { vector, behind, edit, folder, etag: answer?.headers.get('etag') ?? '' };
}

function change(doc: Y.Doc, edit: () => void): Uint8Array {
  const before = Y.encodeStateVector(doc);
  doc.transact(edit);
  return Y.encodeStateAsUpdate(doc, before);
}

function fill(doc: Y.Doc, from: number, to: number): void {
  const records = doc.getMap('appointments');
  for (let n = from; n < to; n++) {
    const fields = Array.from({ length: 7 }, (_, k): [string, string] => [
      `field${k}`,
      `value ${k} of record ${n}`,
    ]);
    records.set(`a${n}`, new Y.Map([['id', `a${n}`], ...fields]));
  }
}

function touch(doc: Y.Doc, n: number): void {
  (doc.getMap('appointments').get(`a${n}`) as Y.Map<string>).set('field1', `edited ${n}`);
}
