/**
 * Many short lives of a device, whose storage, lines and clocks are as bad as they come: nothing is lost, nothing is
 * doubled, nothing stops. The server is in memory and time is driven by hand, so that a run takes milliseconds;
 * `pending-model.test.ts` has fewer and longer ones with the real server.
 *
 * Other seeds by hand: `MODEL_SEED=5 MODEL_RUNS=10000 npx vitest run test/client/pending-runs.test.ts`.
 */
import { afterAll, expect, test } from 'vitest';
import * as Y from 'yjs';
import { StorageError } from '../../client/errors.js';
import type { WebSocketConstructor } from '../../client/platform/platform.js';
import { SyncManager } from '../../client/sync-manager.js';
import { Chance } from '../faults/chance.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { testPlatform } from '../support/devices/test-client.js';
import { drawIdsFrom } from '../support/drawn-ids.js';
import { foreignAnswer } from '../support/foreign-server.js';
import { ManualClock } from '../support/manual-clock.js';
import { CUT, ModelServer, WHOLE } from '../support/model-server.js';
import { runs } from '../support/runs.js';

const RUNS = Number(process.env.MODEL_RUNS ?? runs(800));
const REWRITTEN = Math.ceil(RUNS / 4);
const FIRST = Number(process.env.MODEL_SEED ?? 1);
const STEPS = 18;
const YEAR = 31_536_000_000;
/** More than all that a run writes, and what is said beside it. */
const ENOUGH = 400_000;
/** What a connection has to bring so that a part of the pending changes gets through, with all that goes beside it. */
const ONE_PART = 70_000;
const ONE_BODY = 140_000;

/** Lets everything happen: nothing in a life waits for a thread, a timer or the network, so all of it is in one turn. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Note {
  readonly id: string;
  readonly value: number;
  readonly text: string;
}

/** One device with one store, in which one or two runtimes are open. */
class World {
  readonly clock = new ManualClock();
  readonly server = new ModelServer(this.clock.now);
  readonly storage = new BreakableStorage();
  readonly chance: Chance;
  /** What has been written and has to be there in the end. */
  readonly notes = new Map<string, Note>();
  /** Records that were ever written. */
  readonly ever = new Set<string>();
  readonly damaged = new Set<number>();
  readonly wrong: string[] = [];
  told = 0;
  clients: SyncManager[] = [];
  #clockError = 0;
  #isClockTurned = false;
  #hasFailed = false;
  #ids = 0;
  readonly #sockets: boolean;

  constructor(seed: number) {
    this.chance = new Chance(seed);
    this.#sockets = !this.chance.happens(0.25);
    this.storage.onRead = (change) =>
      this.damaged.has(change.key)
        ? { ...change, bytes: change.bytes.map((byte, at) => (at === 9 ? byte ^ 1 : byte)) }
        : change;
  }

  async start(): Promise<SyncManager> {
    const { clock, server } = this;
    const client = new SyncManager(
      testPlatform({
        storage: this.storage,
        clock: { now: () => clock.now() + this.#clockError, after: (ms, task) => clock.after(ms, task) },
        random: () => this.chance.between(0, 1),
        WebSocket: this.#sockets ? server.WebSocket : (undefined as unknown as WebSocketConstructor),
      }),
    );
    client.status.subscribe(({ connection, reason }) => {
      if (connection === 'needs-token' || connection === 'refused')
        this.wrong.push(`${connection}: ${reason}`);
    });
    await client.initialize({
      serverUrl: 'http://sync.test',
      userId: 'anna',
      deviceId: 'phone',
      fetch: server.fetch,
      onStorageError: (error) => {
        if (error?.code === 'CORRUPT') this.told++;
      },
    });
    this.clients.push(client);
    return client;
  }

  get any(): SyncManager {
    return this.clients[this.chance.below(this.clients.length)] as SyncManager;
  }

  async second(): Promise<void> {
    if (this.clients.length < 2) await this.start();
  }

  /**
   * The app is gone without a word; a row of its store may be damaged when it comes back. What is in memory only would
   * be gone with it (C7).
   */
  async kill(isDamaged: boolean): Promise<void> {
    await settle();
    if (this.isInMemory) return;
    const before = this.#pending;
    const old = this.clients;
    this.clients = [];
    this.storage.kill();
    const { line } = this.server;
    this.server.become(CUT);
    if (isDamaged && this.#clockError === 0) this.damaged.add(1 + this.chance.below(20));
    const { told } = this;
    const client = await this.start();
    const { pendingChanges } = client.getSyncStatus();
    if (pendingChanges < before && told === this.told)
      this.wrong.push(`${pendingChanges} pending after a restart, ${before} before it, and nothing is told`);
    await Promise.all(old.map((each) => each.close()));
    this.server.become(line);
  }

  async add(): Promise<void> {
    const text = 'x'.repeat(this.chance.below(4) === 0 ? 20_000 : 20);
    const note = { id: `r${++this.#ids}`, value: 0, text };
    await this.any.addData('notes', { ...note });
    this.#wrote(note);
  }

  async update(): Promise<void> {
    const { client, note } = await this.#some();
    if (note === undefined) return;
    const value = this.chance.below(1_000);
    await client.updateData('notes', note.id, { value });
    this.#wrote({ ...note, value });
  }

  async delete(): Promise<void> {
    const { client, note } = await this.#some();
    if (note === undefined) return;
    await client.deleteData('notes', note.id);
    this.notes.delete(note.id);
  }

  /** Storage fails, or works again: what is written meanwhile is in memory, and two tabs know nothing of each other. */
  toggleStorage(): void {
    if (this.#isClockTurned) return;
    const { storage } = this;
    this.#hasFailed = true;
    storage.failure = storage.failure === null ? new StorageError('QUOTA', 'There is no room.') : null;
  }

  /**
   * Which of two edits is the later one is not known where the clock was turned, and one before them is damaged, or
   * the two tabs that made them did not know of each other.
   */
  turnClock(): void {
    if (this.damaged.size > 0 || this.#hasFailed) return;
    this.#isClockTurned = true;
    this.#clockError = (this.chance.below(5) - 2) * YEAR;
  }

  async pass(): Promise<void> {
    await this.clock.live(this.chance.below(40_000));
  }

  /** The line breaks again and again, and each connection takes at least one part. */
  async trickle(): Promise<void> {
    // While storage takes no document that was written anew, nothing is sent (C11).
    if (this.server.rewrittenSize > 0 && this.isInMemory) return;
    const bytes = (this.#sockets ? ONE_PART : ONE_BODY) + this.server.rewrittenSize;
    for (let left = this.#pending; left > 0 && this.damaged.size === 0; left = this.#pending) {
      this.server.become({ bytes, foreign: null });
      for (let n = 0; n < 7; n++) await this.clock.live(5_000);
      if (this.#pending < left) continue;
      this.wrong.push(`a line of ${bytes} bytes brought none of ${left} changes`);
      return;
    }
  }

  /** Storage fails, or is not taken again yet. */
  get isInMemory(): boolean {
    return this.storage.failure !== null || this.clients.some(({ status }) => !status.current.durable);
  }

  get #pending(): number {
    return Math.max(...this.clients.map((client) => client.getSyncStatus().pendingChanges));
  }

  /** Every client is in step, whatever was before. */
  async mend(): Promise<void> {
    this.server.become(WHOLE);
    this.storage.failure = null;
    for (let n = 0; n < 12 && (n < 3 || !this.isInStep); n++) {
      await this.clock.live(35_000);
    }
  }

  get isInStep(): boolean {
    return this.clients.every((client) => client.getSyncStatus().pendingChanges === 0);
  }

  #wrote(note: Note): void {
    this.clock.pass(1); // of two edits the later one holds
    this.notes.set(note.id, note);
    this.ever.add(note.id);
  }

  /** A runtime, and a record that it knows in its last state. */
  async #some(): Promise<{ client: SyncManager; note: Note | undefined }> {
    const client = this.any;
    const known = await client.getData('notes');
    const notes = known.map(({ id }) => this.notes.get(`${id}`)).filter((note) => note !== undefined);
    return { client, note: notes[this.chance.below(notes.length)] };
  }
}

const stepsOf = (world: World, rewrites: boolean): readonly (readonly [number, () => unknown])[] => {
  const { server, chance } = world;
  return [
    [30, () => world.add()],
    [10, () => Promise.all([world.add(), world.add(), world.add()])],
    [20, () => world.update()],
    [8, () => world.delete()],
    [14, () => world.pass()],
    [10, () => server.become({ bytes: chance.below(60_000), foreign: null })],
    [6, () => server.become(WHOLE)],
    [5, () => server.become(CUT)],
    [8, () => server.become({ bytes: ENOUGH, foreign: foreignAnswer((limit) => chance.below(limit)) })],
    [6, () => world.kill(false)],
    [3, () => world.kill(true)],
    [4, () => world.second()],
    [4, () => world.turnClock()],
    [4, () => world.trickle()],
    [rewrites ? 8 : 0, () => server.rewrite()],
    [6, () => world.toggleStorage()],
  ];
};

/** What is wrong in the end. */
async function faultsOf(world: World): Promise<string[]> {
  const faults = [...world.wrong];
  const there = world.server.records() as Record<string, Note>;
  const client = world.clients[0] as SyncManager;
  if (!world.isInStep)
    faults.push(`${client.getSyncStatus().pendingChanges} still pending: ${client.getSyncStatus().reason}`);
  for (const each of world.clients) {
    const shown = Object.fromEntries((await each.getData('notes')).map((note) => [note.id, note]));
    for (const id of new Set([...Object.keys(shown), ...Object.keys(there)])) {
      if (JSON.stringify(sorted(shown[id])) !== JSON.stringify(sorted(there[id])))
        faults.push(`${id} is ${text(shown[id])} on the device, ${text(there[id])} on the server`);
    }
  }
  // Of an edit that waits behind a damaged row, and the next one, the earlier may hold: they may come without times.
  const isThere = (id: string): boolean => (there[id] === undefined) === (world.notes.get(id) === undefined);
  const isSame = (id: string): boolean =>
    JSON.stringify(sorted(there[id])) === JSON.stringify(sorted(world.notes.get(id)));
  const differs = (id: string): boolean => !(world.damaged.size > 0 ? isThere(id) : isSame(id));
  const lost = [...world.ever].filter(differs);
  if (lost.length > world.damaged.size)
    faults.push(`${lost} are not as they were written; ${world.damaged.size} rows were damaged`);
  for (const id of Object.keys(there)) if (!world.ever.has(id)) faults.push(`${id} was never written`);
  return faults;
}

const sorted = (note: unknown): unknown =>
  note === undefined
    ? null
    : Object.fromEntries(Object.entries(note as object).sort(([a], [b]) => (a < b ? -1 : 1)));
const text = (note: unknown): string => JSON.stringify(note)?.slice(0, 60) ?? 'nothing';

async function lived(seed: number, rewrites: boolean): Promise<World> {
  const ids = new Chance(seed);
  drawIdsFrom(() => ids.between(0, 1));
  const world = new World(seed);
  await world.start();
  const steps = stepsOf(world, rewrites);
  for (let step = 0; step < STEPS; step++) await world.chance.pick(steps)();
  await world.mend();
  return world;
}

async function run(seed: number, rewrites: boolean): Promise<string[]> {
  const world = await lived(seed, rewrites);
  const faults = await faultsOf(world);
  await Promise.all(world.clients.map((client) => client.close()));
  return faults.map((fault) => `seed ${seed}: ${fault}`);
}

async function faultsIn(runs: number, rewrites: boolean): Promise<string[]> {
  const faults: string[] = [];
  for (let seed = FIRST; seed < FIRST + runs && faults.length < 20; seed++)
    faults.push(...(await run(seed, rewrites)));
  return faults;
}

afterAll(() => drawIdsFrom(null));

test('one seed is one life, ids of Yjs included, whatever this process has loaded before', async () => {
  const ends: Uint8Array[] = [];
  for (let n = 0; n < 2; n++) {
    const { server, clients } = await lived(FIRST, true);
    ends.push(Y.encodeStateAsUpdate(server.doc));
    await Promise.all(clients.map((client) => client.close()));
  }
  expect(ends[0]).toEqual(ends[1]);
});

test(`[C4 C10 C11 C12] nothing is lost, doubled or held up in ${RUNS} lives of a device`, async () => {
  expect(await faultsIn(RUNS, false)).toEqual([]);
}, 600_000);

test(`[C4 C9 P10] the same where the document is written anew now and then, in ${REWRITTEN} lives`, async () => {
  expect(await faultsIn(REWRITTEN, true)).toEqual([]);
}, 600_000);
