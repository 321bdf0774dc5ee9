/** Nine years of one user: what the client ids and structs that stay behind cost every edit, reconnect and load. */
import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import { updateFrame } from './support/frames.js';
import { NativeDevice } from './support/native-device.js';
import { sizeOf } from './support/outcome.js';
import { copyOf, nativeUrl, seedByLeveldb, userName } from './support/population.js';
import { durableServer } from './support/programs.js';
import { type Arm, type Measured, race } from './support/race.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

/** In the tenth year, an id per start makes more than the 50,000 that a state vector may name. */
const LONG = { rounds: 3, years: 9, 'edits a year': 100_000, devices: 5, 'starts a day': 3 };
const SHORT = { ...LONG, rounds: 1, years: 1 };
const RECORDS = 1_000;
const FIELDS = ['title', 'status', 'doctor', 'room', 'date'];
const EDITS = 500;
/** What nine years have left takes a busy machine longer to load than a connection waits for. */
const PATIENT = { UPGRADE_TIMEOUT: '5m' };
/** How often it is looked whether the document was rewritten, in ms. */
const POLL = 500;

export const lifetime = armBenchmark({
  name: 'lifetime',
  line: 'one user after years of edits and starts of the app, beside a fresh document of the same content',
  measure,
});

interface Life extends Arm {
  readonly folder: string;
  readonly doc: Y.Doc;
  readonly bytes: number;
}

async function measure({ options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const starts = size.years * 365 * size.devices * size['starts a day'];
  const edits = size.years * size['edits a year'];
  const anew = live(edits, (n) => Math.floor((n * starts) / edits));
  const kept = live(edits, (n) => n % size.devices);
  const lived = await enter('anew', `an id per start (${starts.toLocaleString('en')})`, anew, scope);
  const arms = [
    await enter('fresh', 'fresh document, same content', fresh(anew), scope),
    await enter('kept', `an id per device (${size.devices})`, kept, scope),
    lived,
    await rewritten(lived, scope),
  ];
  const measured = await race({ arms, rounds: size.rounds, cores, scope, run: meet });
  return {
    setting: { ...size, edits, starts, records: RECORDS },
    limit: 'fresh',
    measures: MEASURES,
    arms: measured.map((each, index) => ({ ...each, values: withBytes(each.values, arms[index]) })),
    goals: MEASURES.map(({ id }) => ({
      arm: 'rewritten',
      measure: id,
      of: 'fresh',
      most: id === 'bytes' ? 3 : 2,
    })),
  };
}

const MEASURES = [
  { id: 'edit', line: 'CPU per edit', unit: 'µs' },
  { id: 'reconnect', line: 'CPU of a reconnect', unit: 'ms' },
  { id: 'load', line: 'first sync after a restart', unit: 'ms CPU' },
  { id: 'bytes', line: 'bytes of the document', unit: 'KB' },
];

const withBytes = (values: Readonly<Record<string, readonly number[]>>, life: Life | undefined) => ({
  ...values,
  bytes: (values.load ?? []).map(() => (life?.bytes ?? 0) / 1_000),
});

async function enter(id: string, name: string, doc: Y.Doc, scope: Scope): Promise<Life> {
  const update = Y.encodeStateAsUpdate(doc);
  const folder = await seedByLeveldb([userName(0)], scope, update);
  return lifeIn(folder, { id, name, doc, bytes: update.length });
}

const lifeIn = (folder: string, life: Pick<Life, 'id' | 'name' | 'doc' | 'bytes'>): Life => ({
  ...life,
  folder,
  program: (data) => durableServer(data, [], PATIENT),
  prepare: (inner) => copyOf(folder, inner),
});

/** The same life, after a quiet moment in which no other device could be lost (P10). */
async function rewritten({ folder: lived }: Life, scope: Scope): Promise<Life> {
  const folder = await copyOf(lived, scope);
  const quick = { ...PATIENT, HISTORY_DAYS: '0', REST_AFTER: '100ms' };
  const server = await ServerProcess.start(durableServer(folder, [], quick)(null), scope);
  for (;;) {
    const update = await readAnew(server).catch(unlessRewritten);
    const doc = new Y.Doc();
    if (update !== null) Y.applyUpdate(doc, update);
    if (update !== null && doc.store.clients.size === 1 && doc.getMap('appointments').size === RECORDS) {
      await server.close();
      return lifeIn(folder, { id: 'rewritten', name: 'the same, rewritten', doc, bytes: update.length });
    }
    await sleep(POLL);
  }
}

/** It happens while the device reads. */
function unlessRewritten(error: unknown): null {
  if (String(error).includes('4409')) return null;
  throw error;
}

/** What a device is told that has nothing; the last part of it, where it is large. */
async function readAnew(server: ServerProcess): Promise<Uint8Array> {
  const device = new NativeDevice(`${nativeUrl(server.port, 0)}&rewrites=1`, false);
  await device.open();
  const update = await device.read();
  device.close();
  return update;
}

async function meet(server: ServerProcess, { doc }: Life): Promise<Measured> {
  const vector = Y.encodeStateVector(doc);
  const cpuOf = async (task: () => Promise<unknown>): Promise<number> => {
    const before = server.cpu();
    await task();
    return server.cpu() - before;
  };
  const device = new NativeDevice(nativeUrl(server.port, 0), false);
  await device.open();
  const load = await cpuOf(() => device.read());
  const reconnect = await cpuOf(async () => {
    for (let n = 0; n < 5; n++) {
      const again = new NativeDevice(nativeUrl(server.port, 0), false);
      await again.open();
      await again.read(vector);
      again.close();
    }
  });
  const frames = editsOf(doc);
  await device.save(frames[0] as Uint8Array);
  const edit = await cpuOf(async () => {
    for (const frame of frames.slice(1, -1)) device.send(frame);
    await device.save(frames.at(-1) as Uint8Array);
  });
  return { load, reconnect: reconnect / 5, edit: (edit * 1_000) / EDITS };
}

/** In a copy, so that each round makes the same. */
function editsOf(doc: Y.Doc): Uint8Array[] {
  const author = new Y.Doc();
  author.clientID = 4_000_000_000;
  Y.applyUpdate(author, Y.encodeStateAsUpdate(doc));
  const frames: Uint8Array[] = [];
  author.on('update', (update: Uint8Array) => frames.push(updateFrame(update)));
  for (let n = 0; n <= EDITS; n++)
    set(author.getMap<Y.Map<unknown>>('appointments'), n, `edited today, ${n}`);
  return frames;
}

/** All edits in one transaction, so that it takes seconds and not hours; what is stored is the same. */
function live(edits: number, idOf: (edit: number) => number): Y.Doc {
  const doc = new Y.Doc();
  const records = doc.getMap<Y.Map<unknown>>('appointments');
  doc.transact(() => {
    doc.clientID = 1_000;
    for (let n = 0; n < RECORDS; n++)
      records.set(
        `a${n}`,
        recordMap(n, () => ''),
      );
    for (let n = 0; n < edits; n++) {
      doc.clientID = 1_000 + idOf(n);
      set(records, n, `as edited the ${n}th time`);
    }
  });
  return doc;
}

function fresh(lived: Y.Doc): Y.Doc {
  const doc = new Y.Doc();
  const content = lived.getMap<Y.Map<unknown>>('appointments');
  doc.transact(() => {
    for (let n = 0; n < RECORDS; n++) {
      doc.getMap('appointments').set(
        `a${n}`,
        recordMap(n, (field) => content.get(`a${n}`)?.get(field)),
      );
    }
  });
  return doc;
}

const recordMap = (n: number, fieldOf: (field: string) => unknown): Y.Map<unknown> =>
  new Y.Map([['id', `a${n}`], ...FIELDS.map((field): [string, unknown] => [field, fieldOf(field)])]);

const set = (records: Y.Map<Y.Map<unknown>>, n: number, value: string): void => {
  const field = FIELDS[Math.floor(n / RECORDS) % FIELDS.length] ?? 'title';
  records.get(`a${n % RECORDS}`)?.set(field, value);
};
