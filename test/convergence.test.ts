import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { type Source, unite } from '../server/documents/union/unite.js';
import type { Json, JsonRecord } from '../shared/json.js';
import { sharedValue } from '../shared/records.js';
import { JsonDevice } from './support/devices/json-device.js';
import { NativeDevice } from './support/devices/native-device.js';
import { storeOptions } from './support/either-store.js';
import { HandFlushed, type QueuedJson, type QueuedNative } from './support/hand-flushed.js';
import { seededRandom } from './support/hostile.js';
import {
  duplicateIds,
  type Edit,
  editArbitrary,
  editJson,
  editNative,
  editOwn,
  editWithin,
  holds,
  moveOwn,
  type OwnEdit,
  ownEditArbitrary,
  type Path,
} from './support/random-edits.js';
import { client, jsonOfDoc, Server, unnamedDoc, viewOf } from './support/replicas.js';
import { runs } from './support/runs.js';
import { startServer } from './support/server.js';
import { PATIENCE } from './support/wait.js';

/** Runs per property; more by hand: `CONVERGENCE_RUNS=20000 npx vitest run test/convergence.test.ts`. */
const RUNS = Number(process.env.CONVERGENCE_RUNS ?? runs(500));
/** The same cases in each run; others by hand, with `CONVERGENCE_SEED=2`. */
const SEED = Number(process.env.CONVERGENCE_SEED ?? 1);
/** Of the one property with real sockets; all of them on a PostgreSQL, too, where few random runs are made. */
const USERS = process.env.TEST_STORE === undefined ? runs(50) : 50;
/** On a busy machine, 100 runs of what takes longest took 6 to 17 s. */
const TIMEOUT = 30_000 + 150 * RUNS;
const options = (numRuns = RUNS) => ({ numRuns, seed: SEED });

const MOVES = [
  'send',
  'send',
  'receive',
  'receive',
  'flush',
  'connect',
  'connect',
  'drop',
  'hold',
  'release',
  'compact',
  'sleep',
  'sleep',
  'restart',
  'meet',
] as const;
type Move = (typeof MOVES)[number];

interface Step<E> {
  readonly device: number;
  readonly move: Move | null;
  readonly edit: E;
}

const stepsOf = <E>(edit: fc.Arbitrary<E>, maxLength: number) =>
  fc.array(
    fc.record({
      device: fc.nat(6),
      move: fc.option(fc.constantFrom(...MOVES), { freq: 2 }),
      edit,
    }),
    { maxLength, size: 'max' },
  );

const setupArbitrary = (maxJsons: number) =>
  fc.record({
    natives: fc.uniqueArray(
      fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 2 ** 32 - 1 })),
      {
        minLength: 2,
        maxLength: 5,
      },
    ),
    jsons: fc.nat(maxJsons),
    ids: fc.constantFrom('low', 'high', 'random'),
  });
type Setup = { natives: number[]; jsons: number; ids: string };

function open({ natives, jsons, ids }: Setup, compactUpdates = 1_000): Promise<HandFlushed> {
  const used = new Set(natives);
  const random = seededRandom(natives[0] ?? 0);
  const first: Record<string, number> = { low: 100, high: 2 ** 32 - 100_000 };
  /** Fresh ones, below or above those of the devices, or anywhere. */
  const serverIds = (): number => {
    let id = first[ids] ?? Math.floor(random() * 2 ** 32);
    while (used.has(id)) id++;
    used.add(id);
    return id;
  };
  return HandFlushed.open({ natives, jsons, serverIds, compactUpdates });
}

async function move(world: HandFlushed, device: QueuedNative | QueuedJson, kind: Move): Promise<void> {
  if (kind === 'send') device.sendOne();
  else if (kind === 'receive') device.receiveOne();
  else if (kind === 'flush') device.flush();
  else if (kind === 'connect') device.connect();
  else if (kind === 'drop') device.disconnect();
  else if (kind === 'hold') world.store.hold();
  else if (kind === 'release') world.store.release();
  else if (kind === 'compact') {
    if (world.followed.isAwake) world.document.compact();
  } else if (kind === 'sleep') world.sleep();
  else if (kind === 'restart') await world.restart();
  else await world.quiesce();
  await world.settle();
}

const deviceAt = (world: HandFlushed, index: number) =>
  world.devices[index % world.devices.length] as QueuedNative | QueuedJson;

/** As `toEqual`, which costs more than the steps of a run, for what is equal nearly always. */
function expectEqual(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

/** Everybody has the same, and so has whoever reads what is stored. */
function expectConverged(world: HandFlushed): void {
  expectEqual(world.faults, []);
  const reloaded = world.reloaded().doc;
  const plain = unnamedDoc();
  for (const update of [...world.store.contents.values()].flatMap(({ updates }) => updates)) {
    Y.applyUpdate(plain, update);
  }
  const expected = jsonOfDoc(reloaded);
  for (const doc of [plain, ...world.natives.map(({ doc }) => doc)]) {
    expectEqual([doc.store.pendingStructs, doc.store.pendingDs], [null, null]);
    expectEqual(jsonOfDoc(doc), expected);
  }
  const view = viewOf(reloaded);
  for (const device of world.devices) expectEqual(device.view(), view);
  expectEqual(duplicateIds(expected), []);
}

/** A run in one line, to be made a test of its own when it fails. */
const told = (setup: Setup, steps: readonly Step<{ kind: string }>[]): string =>
  JSON.stringify([setup, steps.map(({ device, move, edit }) => [device, move ?? edit])]);

async function runEdits(setup: Setup, steps: readonly Step<Edit>[]): Promise<void> {
  const world = await open(setup, 12);
  for (const [index, step] of steps.entries()) {
    const device = deviceAt(world, step.device);
    if (step.move !== null) await move(world, device, step.move);
    else if ('doc' in device) editNative(device.doc, step.edit, `v${index}`);
    else editAsJson(device, step.edit, `v${index}`);
  }
  await world.quiesce();
  expectConverged(world);
}

function editAsJson(device: QueuedJson, edit: Edit, value: string): void {
  const changed = editJson(device.record(edit.collection, edit.id), edit, value);
  if (changed === null) device.delete(edit.collection, edit.id);
  else device.update(edit.collection, changed);
}

test('[D3 D4 D5 N2 P6] all replicas, JSON devices and the stored document end up equal', async () => {
  await fc.assert(
    fc.asyncProperty(setupArbitrary(2), stepsOf(editArbitrary, 60), telling(runEdits)),
    options(),
  );
}, 120_000);

/** Runs that failed once, as their failures told them. */
type Told<E> = [number, Move | E][];
const stepsFrom = <E extends object>(steps: Told<E>, none: E): Step<E>[] =>
  steps.map(([device, what]) =>
    typeof what === 'string' ? { device, move: what, edit: none } : { device, move: null, edit: what },
  );
/** What has to be found at the end: the last value that its only author wrote there. */
type Model = Map<string, { path: Path; value: string }>;

/** Excluded in D4: a message that is lost after its author merged the other side; so it arrives before. */
async function makeSafe(world: HandFlushed, devices: readonly QueuedNative[]): Promise<void> {
  while (devices.some(({ isSafe }) => !isSafe)) {
    world.store.release();
    for (const device of devices) device.flush();
    await world.settle();
  }
}

async function moveSafely(world: HandFlushed, device: QueuedNative, kind: Move): Promise<void> {
  if (kind === 'drop') await makeSafe(world, [device]);
  if (kind === 'restart') await makeSafe(world, world.natives);
  await move(world, device, kind);
}

const telling =
  <E extends { kind: string }>(run: (setup: Setup, steps: readonly Step<E>[]) => Promise<void>) =>
  (setup: Setup, steps: readonly Step<E>[]): Promise<void> =>
    run(setup, steps).catch((error) => {
      throw new Error(`${told(setup, steps)}\n${error.message}`, { cause: error });
    });

async function runOwnEdits(setup: Setup, steps: readonly Step<OwnEdit>[]): Promise<void> {
  const world = await open(setup, 12);
  const model: Model = new Map();
  for (const [index, step] of steps.entries()) {
    const device = deviceAt(world, step.device) as QueuedNative;
    if (step.move !== null) await moveSafely(world, device, step.move);
    else {
      const value = `v${index}`;
      const path = editOwn(device.doc, device.name, step.edit, value);
      model.set(path.join(' '), { path, value: path.at(-2) === 'tags' ? '' : value });
    }
  }
  await world.quiesce();
  expectConverged(world);
  const json = (jsonOfDoc(world.reloaded().doc) as Record<string, Json>).appointments;
  const lost = [...model.values()].filter(({ path, value }) => !holds(json, path, value));
  expectEqual({ lost, json }, { lost: [], json });
}

test('[D4] what a device wrote into a record that others created apart is never lost', async () => {
  await fc.assert(
    fc.asyncProperty(setupArbitrary(0), stepsOf(ownEditArbitrary, 40), telling(runOwnEdits)),
    options(Math.ceil(RUNS / 2)),
  );
}, 120_000);

interface MovingEdit extends OwnEdit {
  readonly moves: boolean;
  /** In an object of the element, where it has one. */
  readonly within?: boolean;
}

/** A list that all have, whose elements they edit, add and move, each in fields of its own. */
async function runMoves(setup: Setup, steps: readonly Step<MovingEdit>[]): Promise<void> {
  const world = await open(setup, 12);
  const [first] = world.natives as [QueuedNative];
  const model: Model = new Map();
  const write = (device: QueuedNative, edit: Omit<MovingEdit, 'moves'>, value: string) => {
    const path = (edit.within ? editWithin : editOwn)(device.doc, device.name, edit, value);
    model.set(path.join(' '), { path, value });
  };
  for (const key of [0, 1]) write(first, { kind: 'element', id: 'x', key, at: key }, `first ${key}`);
  const items = first.doc.getMap<Y.Map<unknown>>('appointments').get('x')?.get('items') as Y.Array<
    Y.Map<unknown>
  >;
  for (const element of items) element.set('dose', new Y.Map());
  write(first, { kind: 'ownElement', id: 'x', key: 0, at: 1 }, 'first own');
  await world.quiesce();
  for (const [index, step] of steps.entries()) {
    const device = deviceAt(world, step.device) as QueuedNative;
    if (step.move !== null) await moveSafely(world, device, step.move);
    else if (step.edit.moves) moveOwn(device.doc, step.edit);
    else write(device, step.edit, `v${index}`);
  }
  await world.quiesce();
  expectConverged(world);
  const json = (jsonOfDoc(world.reloaded().doc) as Record<string, Json>).appointments;
  const lost = [...model.values()].filter(({ path, value }) => !holds(json, path, value));
  expectEqual({ lost, json }, { lost: [], json });
}

const movingArbitrary = fc.tuple(ownEditArbitrary, fc.nat(2), fc.boolean()).map(([edit, n, within]) => ({
  ...edit,
  within,
  id: 'x' as const,
  kind: edit.kind === 'ownElement' ? ('ownElement' as const) : ('element' as const),
  moves: n === 0,
}));

test('[D3] what a device writes into an element that others move is never lost', async () => {
  await fc.assert(
    fc.asyncProperty(setupArbitrary(0), stepsOf(movingArbitrary, 40), telling(runMoves)),
    options(Math.ceil(RUNS / 2)),
  );
}, 120_000);

test('[D3] what a mover writes into its copy is no copy of what it had seen', async () => {
  const edit = { kind: 'element', id: 'x', key: 0, at: 0 } as const;
  const moving = { ...edit, moves: true };
  const writing = { ...edit, moves: false };
  const told: Told<MovingEdit> = [
    [0, { ...moving, key: 1 }],
    [0, 'send'],
    [1, 'flush'],
    [6, { ...moving, key: 1, at: 1 }],
    [0, writing],
    [1, 'send'],
    [0, 'flush'],
    [0, 'drop'],
    [0, { ...moving, at: 1 }],
    [0, writing],
  ];
  await runMoves({ natives: [1, 2, 3, 10, 11], jsons: 0, ids: 'low' }, stepsFrom(told, writing));
});

test('[D3] what a mover had seen is known where a late edit was joined with it', async () => {
  const edit = { kind: 'element', id: 'x', key: 0, at: 0 } as const;
  const moving = { ...edit, at: 1, moves: true };
  const writing = { ...edit, moves: false };
  const told: Told<MovingEdit> = [
    [5, writing],
    [0, moving],
    [0, 'meet'],
    [0, moving],
    [1, writing],
    [2, moving],
  ];
  await runMoves({ natives: [1, 10, 11, 2], jsons: 0, ids: 'low' }, stepsFrom(told, writing));
});

test('[D3] what the server carried into a copy that was moved is no later edit', async () => {
  const edit = { kind: 'element', id: 'x', key: 0, at: 0 } as const;
  const moving = { ...edit, moves: true };
  const writing = { ...edit, moves: false };
  const told: Told<MovingEdit> = [
    [1, writing],
    [0, moving],
    [0, 'send'],
    [0, moving],
    [3, 'receive'],
    [3, 'send'],
    [3, writing],
  ];
  await runMoves({ natives: [10, 1], jsons: 0, ids: 'low' }, stepsFrom(told, writing));
});

const creationArbitrary = editArbitrary.filter(({ kind }) =>
  ['create', 'set', 'nestedSet', 'element', 'elementSet', 'tag'].includes(kind),
);

interface Creations {
  /** Per author, by client id, its edits before it hears of anybody. */
  readonly authors: readonly { id: number; edits: readonly Edit[] }[];
  readonly orders: readonly number[];
}

const creationsArbitrary: fc.Arbitrary<Creations> = fc.record({
  authors: fc.uniqueArray(
    fc.record({
      id: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 10, max: 3_999_999_999 })),
      edits: fc.array(creationArbitrary, { minLength: 1, maxLength: 8, size: 'max' }),
    }),
    { minLength: 2, maxLength: 4, selector: ({ id }) => id },
  ),
  orders: fc.array(fc.nat(), { minLength: 3, maxLength: 3 }),
});

function updatesOf(id: number, edits: readonly Edit[]): Uint8Array[] {
  const doc = client(id);
  const updates: Uint8Array[] = [];
  doc.on('update', (update: Uint8Array) => updates.push(update));
  for (const [index, edit] of edits.entries()) editNative(doc, edit, `${id}.${index}`);
  return updates;
}

/** Each author's updates in its own order, everything else at random. */
function deliver(authors: readonly Uint8Array[][], seed: number): Server {
  const random = seededRandom(seed);
  const server = new Server();
  const queues = authors.map((updates) => [...updates]);
  for (let open = queues; open.length > 0; open = queues.filter((queue) => queue.length > 0)) {
    const update = open[Math.floor(random() * open.length)]?.shift();
    if (update !== undefined) server.receive(update, random() < 0.5 ? null : new Map());
    if (random() < 0.1) server.compact();
    if (random() < 0.2) server.restart();
  }
  return server;
}

/**
 * Lists as bags: what a union inserts and what an author inserts concurrently stand in the order of their Yjs
 * client ids, and whether they are concurrent depends on what arrived first.
 */
function unordered(json: Json): Json {
  if (Array.isArray(json)) {
    return json.map(unordered).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof json !== 'object' || json === null) return json;
  return Object.fromEntries(
    Object.entries(json)
      .map(([key, value]) => [key, unordered(value)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function runCreations({ authors, orders }: Creations): void {
  const updates = authors.map(({ id, edits }) => updatesOf(id, edits));
  const outcomes = orders.map((seed) => unordered(deliver(updates, seed).json()));
  for (const outcome of outcomes) {
    expectEqual(outcome, outcomes[0]);
    expectEqual(duplicateIds(outcome), []);
  }
}

test(
  '[D4] the same creations and late edits come to the same result in every order of arrival',
  () => {
    fc.assert(fc.property(creationsArbitrary, runCreations), options(Math.ceil(RUNS / 2)));
  },
  TIMEOUT,
);

/** The fields of a record and of its nested objects, by path, each with its value. */
function fieldsOf(json: Json | undefined, path = ''): [string, Json][] {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return [[path, json ?? null]];
  return Object.entries(json).flatMap(([key, value]) => fieldsOf(value, `${path}/${key}`));
}

/** Watches the server: a value that was there and is gone must not be there again; nobody writes one twice. */
class Gone {
  readonly #world: HandFlushed;
  readonly #values = new Set<string>();
  #before = new Set<string>();

  constructor(world: HandFlushed) {
    this.#world = world;
  }

  look(): string[] {
    const now = this.#now();
    for (const field of this.#before) if (!now.has(field)) this.#values.add(field);
    this.#before = now;
    return [...now].filter((field) => this.#values.has(field));
  }

  /** A removal that was not durable may be undone by a restart, until its author sends it again. */
  restarted(): void {
    this.#before = this.#now();
    for (const field of this.#before) this.#values.delete(field);
  }

  #now(): Set<string> {
    const records = this.#world.document.collections().appointments ?? [];
    return new Set(
      records.flatMap((record) => fieldsOf(record, String(record.id))).map((field) => field.join(' ')),
    );
  }
}

/** Removes a field of a record, or of the object in it; anybody's. */
function removeField(doc: Y.Doc, { id, key, at }: OwnEdit): void {
  const record = doc.getMap('appointments').get(id);
  if (!(record instanceof Y.Map)) return;
  const dose = record.get('dose');
  const map = at > 1 && dose instanceof Y.Map ? dose : record;
  const fields = [...map.keys()].filter((name) => !(map.get(name) instanceof Y.AbstractType)).sort();
  const field = fields[key % Math.max(1, fields.length)];
  if (field !== undefined) map.delete(field);
}

async function runRemovals(
  setup: Setup,
  steps: readonly Step<OwnEdit & { remove: boolean }>[],
): Promise<void> {
  const world = await open(setup, 12);
  const gone = new Gone(world);
  for (const [index, { device: at, move: kind, edit }] of steps.entries()) {
    const device = deviceAt(world, at) as QueuedNative;
    if (kind !== null) await move(world, device, kind);
    else if (edit.remove) removeField(device.doc, edit);
    else editOwn(device.doc, device.name, edit, `v${index}`);
    if (kind === 'restart') gone.restarted();
    expectEqual(gone.look(), []);
  }
  await world.quiesce();
  expect(gone.look()).toEqual([]);
  expectConverged(world);
}

const removalArbitrary = fc.tuple(ownEditArbitrary, fc.boolean()).map(([edit, remove]) => ({
  ...edit,
  kind: edit.kind === 'deep' || edit.kind === 'nested' ? ('nested' as const) : ('field' as const),
  remove,
}));

test('[D4] a field that was removed and not written again is not brought back by a union', async () => {
  await fc.assert(
    fc.asyncProperty(setupArbitrary(0), stepsOf(removalArbitrary, 40), telling(runRemovals)),
    options(Math.ceil(RUNS / 2)),
  );
}, 120_000);

/** One user's devices at a real server; which of them does what is drawn from the seed. */
class SocketRun {
  readonly user: string;
  readonly natives: NativeDevice[];
  json: JsonDevice | null = null;
  readonly #random: () => number;
  readonly #seed: number;
  #edits = 0;

  constructor(url: string, seed: number) {
    this.#seed = seed;
    this.user = `user-${seed}`;
    this.#random = seededRandom(seed);
    const count = 2 + Math.floor(this.#random() * 3);
    this.natives = Array.from(
      { length: count },
      (_, index) => new NativeDevice(url, this.user, `native-${index}`),
    );
  }

  /** The JSON device gets a connection, and with it everything. */
  async connect(url: string): Promise<void> {
    this.json = await JsonDevice.connect(url, this.user, 'json');
    await Promise.all(this.natives.map((device) => device.online()));
  }

  async steps(count: number): Promise<void> {
    for (const edit of fc.sample(editArbitrary, { seed: this.#seed * 1_000 + this.#edits, numRuns: count })) {
      const device = this.natives[Math.floor(this.#random() * this.natives.length)] as NativeDevice;
      const dice = this.#random();
      if (dice < 0.15) device.offline();
      else if (dice < 0.3) device.provider.connect();
      else if (dice < 0.4) await device.online();
      else if (dice < 0.55 && this.json !== null) this.#editJson(this.json, edit);
      else editNative(device.doc, edit, `v${this.#edits++}`);
    }
  }

  /** Twice: what others sent before their answer has come before the second one. */
  async quiesce(): Promise<void> {
    await Promise.all(this.natives.map((device) => device.online()));
    for (let round = 0; round < 2; round++) {
      await Promise.all(
        [...this.natives, ...(this.json === null ? [] : [this.json])].map((each) => each.saved()),
      );
    }
    // Messages to it may wait for each other (L4); what differs after that is told below.
    const { json, natives } = this;
    const isLast = () =>
      isDeepStrictEqual(nonEmpty(json?.store ?? {}), viewOf((natives[0] as NativeDevice).doc));
    await json?.until(isLast).catch(() => {});
  }

  expectConverged(): Json {
    const [first] = this.natives;
    const expected = jsonOfDoc((first as NativeDevice).doc);
    for (const { doc } of this.natives) {
      expect(doc.store.pendingStructs).toBeNull();
      expect(doc.store.pendingDs).toBeNull();
      expect(jsonOfDoc(doc)).toEqual(expected);
    }
    expect(nonEmpty(this.json?.store ?? {})).toEqual(viewOf((first as NativeDevice).doc));
    expect(duplicateIds(expected)).toEqual([]);
    return expected;
  }

  close(): void {
    for (const device of this.natives) device.close();
    this.json?.ws.terminate();
  }

  #editJson(json: JsonDevice, edit: Edit): void {
    const known = json.store[edit.collection]?.[edit.id] as JsonRecord | undefined;
    const changed = editJson(known, edit, `v${this.#edits++}`);
    if (changed === null) json.delete(edit.collection, edit.id);
    else json.update(edit.collection, changed);
  }
}

const nonEmpty = (collections: object) =>
  Object.fromEntries(Object.entries(collections).filter(([, records]) => Object.keys(records).length > 0));

test(
  `[D3 D4 D5 N2 P6] ${USERS} users with real sockets and LevelDB: all replicas equal, and what is on disk`,
  async () => {
    process.setMaxListeners(0); // each provider listens for the end of the process
    const folder = await mkdtemp(join(tmpdir(), 'convergence-'));
    const told = { DATA_DIR: folder, COMPACT_UPDATES: '20', REST_AFTER: '10ms', ...(await storeOptions()) };
    let server = await startServer(told);
    const { url, port } = server;
    const restart = async (): Promise<void> => {
      await server.close();
      server = await startServer({ ...told, PORT: String(port) });
    };
    const users = Array.from({ length: USERS }, (_, seed) => new SocketRun(url, seed));
    const everybody = (act: (run: SocketRun) => Promise<void>) => Promise.all(users.map(act));
    for (let phase = 0; phase < 3; phase++) {
      await everybody((run) => run.connect(url));
      await everybody((run) => run.steps(12));
      if (phase < 2) await restart();
    }
    await everybody((run) => run.quiesce());
    const expected = users.map((run) => run.expectConverged());
    for (const run of users) run.close();
    await restart();
    for (const [index, run] of users.entries()) {
      const fresh = await NativeDevice.connect(url, run.user, 'fresh');
      expect(jsonOfDoc(fresh.doc)).toEqual(expected[index]);
      fresh.close();
    }
    await server.close();
    await rm(folder, { recursive: true, force: true });
  },
  4 * PATIENCE,
);

const at0 = { id: 'x' as const, key: 0, at: 0 };
const own = (kind: OwnEdit['kind']): OwnEdit => ({ kind, ...at0 });

describe('[D4] nothing is lost', () => {
  const runs: [string, number[], Told<OwnEdit>][] = [
    [
      'when a third map wins over two, one of which had got its list from the other',
      [2, 1, 10, 11, 3],
      [
        [0, own('field')],
        [2, own('element')],
        [6, own('ownElement')],
      ],
    ],
    [
      'when an author makes an object where a union had put one together',
      [10, 102],
      [
        [3, 'connect'],
        [0, own('nested')],
        [3, own('field')],
        [3, own('nested')],
      ],
    ],
    [
      'when two late objects of maps that lost meet that of a union',
      [11, 10, 1, 2],
      [
        [1, 'connect'],
        [6, 'connect'],
        [6, 'receive'],
        [5, own('field')],
        [5, 'send'],
        [5, own('nested')],
        [1, 'send'],
        [0, own('field')],
        [2, 'receive'],
        [6, own('nested')],
      ],
    ],
    [
      'when two devices create an object apart inside a map that has lost',
      [2, 10, 1],
      [
        [0, 'meet'],
        [2, own('field')],
        [5, own('deep')],
        [2, 'send'],
        [0, 'receive'],
        [4, own('field')],
        [0, own('deep')],
      ],
    ],
    [
      'when an author writes a field again after it merged the map that won over its own',
      [1, 10],
      [
        [0, 'meet'],
        [1, own('field')],
        [0, own('deep')],
        [0, own('deep')],
        [3, 'send'],
        [0, 'receive'],
        [0, own('deep')],
      ],
    ],
  ];
  test.each(runs)('%s', (_, natives, steps) =>
    runOwnEdits({ natives, jsons: 0, ids: 'low' }, stepsFrom(steps, own('field'))),
  );
});

describe('[D3 D4] the same result in 60 orders of arrival', () => {
  const edit = (kind: Edit['kind'], key = 0, at = 0): Edit => ({
    kind,
    collection: 'notes',
    id: 'x',
    key,
    at,
  });
  const runs: [string, Record<number, Edit[]>][] = [
    [
      'a field of an element that two authors have',
      { 992913543: [edit('create'), edit('element'), edit('create')], 10: [edit('element'), edit('create')] },
    ],
    [
      'an edit and a creation in two maps that lose against a third',
      { 2: [edit('create')], 1: [edit('create'), edit('create')], 10: [edit('create', 1)] },
    ],
    [
      'a field whose own item was collected after a union had written it again',
      { 10: [edit('create', 1), edit('create')], 11: [edit('create', 1)], 1: [edit('create')] },
    ],
    [
      'an element that was united before its list lost',
      { 11: [edit('create')], 1: [edit('element', 1)], 10: [edit('tag'), edit('element', 1)] },
    ],
    [
      'a late object, first made by a union, with a field that a source edited',
      {
        10: [edit('nestedSet'), edit('nestedSet')],
        1: [edit('create')],
        11: [edit('create'), edit('nestedSet', 0, 4), edit('nestedSet')],
      },
    ],
  ];
  test.each(runs)('%s', (_, authors) =>
    runCreations({
      authors: Object.entries(authors).map(([id, edits]) => ({ id: Number(id), edits })),
      orders: Array.from({ length: 60 }, (_, seed) => seed),
    }),
  );
});

test('[N2 L1] who connects while a commit is under way gets SyncStep1 or FULL_SYNC first', async () => {
  const world = await open({ natives: [1, 2], jsons: 1, ids: 'low' });
  const [writer, reader] = world.natives as [QueuedNative, QueuedNative];
  const lost = 'what the reader wrote into its own map before it heard of the other';
  writer.connect();
  editNative(reader.doc, { kind: 'create', collection: 'notes', id: 'x', key: 0, at: 0 }, lost);
  editNative(writer.doc, { kind: 'create', collection: 'notes', id: 'x', key: 1, at: 0 }, 'v1');
  world.store.hold();
  writer.flush();
  reader.connect();
  world.jsons[0]?.connect();
  await world.quiesce();
  expectConverged(world);
  expect(jsonOfDoc(writer.doc)).toMatchObject({ notes: { x: { field0: lost, field1: 'v1' } } });
});

test('[D4] the union is a pure function: applied again to the same maps, it changes nothing', () => {
  fc.assert(
    fc.property(creationsArbitrary, ({ authors, orders: [seed = 0] }) => {
      const { doc } = deliver(
        authors.map(({ id, edits }) => updatesOf(id, edits)),
        seed,
      ).replica;
      const before = Y.encodeStateVector(doc);
      for (const records of [doc.getMap('appointments'), doc.getMap('notes')]) {
        for (const winner of records._map.values()) doc.transact(() => uniteAgain(winner));
      }
      expect(Y.encodeStateVector(doc)).toEqual(before);
    }),
    options(Math.ceil(RUNS / 2)),
  );
});

function uniteAgain(winner: Y.Item): void {
  const sources: Source[] = [];
  for (let item = winner.left; item !== null; item = item.left) {
    if (item.content instanceof Y.ContentType) sources.push({ type: item.content.type, fresh: false });
  }
  const madeByUnion = (id: number) => id >= 4_000_000_000;
  const never = () => false;
  const context = { madeByUnion, arrived: never, kept: never, isCopy: never, isInCopy: never };
  if (winner.content instanceof Y.ContentType) unite(winner.content.type, sources, context);
}

describe.each([10, 100, 4_000_000_000])(
  '[D4] what was removed stays removed, server ids from %i on',
  (firstId) => {
    async function devices(ids: number[]) {
      let id = firstId;
      const world = await HandFlushed.open({ natives: ids, jsons: 0, serverIds: () => id++ });
      return { world, natives: world.natives as [QueuedNative, QueuedNative, QueuedNative, QueuedNative] };
    }
    /** Those that are online hear everything. */
    async function hear(world: HandFlushed): Promise<void> {
      for (let round = 0; round < 4; round++) {
        for (const device of world.natives) device.flush();
        await world.settle();
      }
    }
    const records = ({ doc }: QueuedNative) => doc.getMap<Y.Map<unknown>>('notes');
    const inRecord = <T>(device: QueuedNative, key: string) => records(device).get('x')?.get(key) as T;
    const items = (device: QueuedNative) => inRecord<Y.Array<unknown>>(device, 'items');
    const create = (device: QueuedNative, json: Json) =>
      records(device).set('x', sharedValue(json) as Y.Map<unknown>);
    const expectRecord = (device: QueuedNative, x: Json) =>
      expect(jsonOfDoc(device.doc)).toEqual({ notes: { x } });

    test('from an object that a union made, when an author makes one at its place', async () => {
      const { world, natives } = await devices([1, 50, 2]);
      const [a, b, c] = natives;
      b.connect();
      b.flush();
      create(a, { dose: { f: 1 } });
      create(b, { s: 1 });
      b.sendOne();
      await world.settle();
      for (const device of [a, c]) {
        device.connect();
        for (let round = 0; round < 2; round++) {
          device.flush();
          await world.settle();
        }
      }
      expectRecord(c, { s: 1, dose: { f: 1 } });
      inRecord<Y.Map<unknown>>(c, 'dose').delete('f');
      c.flush();
      await world.settle();
      records(b)
        .get('x')
        ?.set('dose', sharedValue({ g: 1 }));
      await world.quiesce();
      expectRecord(c, { s: 1, dose: { g: 1 } });
      expectConverged(world);
    });

    async function withJoinedElement() {
      const { world, natives } = await devices([1, 50, 2, 90]);
      const [a, b, c, d] = natives;
      create(a, { items: [] });
      for (const device of [a, b, c]) device.connect();
      await hear(world);
      b.disconnect();
      items(a).push([sharedValue({ id: 'm', a: 1 })]);
      items(b).push([sharedValue({ id: 'm', b: 1 })]);
      b.connect();
      await hear(world);
      expectRecord(c, { items: [{ id: 'm', a: 1, b: 1 }] });
      items(c).delete(0, 1);
      await hear(world);
      expectRecord(a, { items: [] });
      return { world, c, d };
    }

    test('[D3] an element that two had added, when it is added again', async () => {
      const { world, c } = await withJoinedElement();
      items(c).push([sharedValue({ id: 'm', c: 1 })]);
      await world.quiesce();
      expectRecord(c, { items: [{ id: 'm', c: 1 }] });
      expectConverged(world);
    });

    test('[D3] an element that two had added, when its record loses against another', async () => {
      const { world, c, d } = await withJoinedElement();
      create(d, { d: 1 });
      await world.quiesce();
      expectRecord(c, { d: 1, items: [] });
      expectConverged(world);
    });
  },
);
