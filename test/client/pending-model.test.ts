import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { StorageError } from '../../client/errors.js';
import type { Fetch, WebSocketLike } from '../../client/platform/platform.js';
import { systemClock } from '../../client/platform/standard.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { messages } from '../../server/protocol/yjs.js';
import { Chance } from '../faults/chance.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { closeClients, synced, testClient } from '../support/devices/test-client.js';
import { FaultyNetwork } from '../support/faulty-network.js';
import { type ForeignAnswer, ForeignServer, foreignAnswer } from '../support/foreign-server.js';
import { runs } from '../support/runs.js';
import { ServerProcess } from '../support/server-process.js';
import { PATIENCE, Watched } from '../support/wait.js';

/** More by hand: `MODEL_SEED=1 MODEL_RUNS=100 npx vitest run test/client/pending-model.test.ts` takes 1 to 100. */
const { MODEL_SEED, MODEL_RUNS } = process.env;
const SEEDS =
  MODEL_SEED === undefined && MODEL_RUNS === undefined
    ? [1, 2, 3, 6].slice(0, runs(4))
    : Array.from({ length: Number(MODEL_RUNS ?? 1) }, (_, i) => Number(MODEL_SEED ?? 1) + i);
const STEPS = 120;
/** No server of this test takes it. */
const TOO_MANY = Object.fromEntries(Array.from({ length: 2_500 }, (_, i) => [`k${i}`, i]));
const YEAR = 31_536_000_000;

let server: ServerProcess;
let foreign: ForeignServer;
beforeEach(async () => {
  server = await ServerProcess.start({ MAX_STRUCTS: '2000' });
  foreign = await ForeignServer.start();
});
afterEach(async () => {
  await closeClients();
  foreign.close();
  await server.dispose();
});

/**
 * What the count has to be. Changes are numbered as the client numbers them: in the order in which the calls
 * resolve, in each session from 1, what was pending at its start first. An answer confirms when it reaches the
 * device: one that is still on its way when the device gives up that connection confirms nothing, on either side.
 */
class Model {
  #pending: number[] = [];
  #last = 0;

  get count(): number {
    return this.#pending.length;
  }

  changed(): void {
    this.#pending.push(++this.#last);
  }

  confirmed(upTo: number): void {
    this.#pending = this.#pending.filter((number) => number > upTo);
  }

  restarted(): void {
    this.#pending = this.#pending.map((_, index) => index + 1);
    this.#last = this.#pending.length;
  }
}

/** A device whose app is killed and started again. */
class Device {
  readonly network = new FaultyNetwork();
  readonly model = new Model();
  readonly watched = new Watched();
  readonly wrong: string[] = [];
  /** What the server refused, oldest first. */
  readonly refused: string[] = [];
  /** What the app did, and has to be there in the end. */
  readonly records = new Map<string, number>();
  readonly #storage = new BreakableStorage();
  #client!: SyncManager;
  #ids = 0;
  #hasHttp = false;
  #isStored = true;
  /** How far the clock of the device is off, in ms. */
  #clockError = 0;

  async start(): Promise<void> {
    const clock = { ...systemClock, now: () => Date.now() + this.#clockError };
    const client = testClient({ storage: this.#storage, WebSocket: this.network.WebSocket, clock });
    this.#client = client;
    this.network.onConfirm = (n) => this.model.confirmed(n);
    client.status.subscribe(({ pendingChanges, connection, reason }) => {
      if (this.#client === client && pendingChanges < this.model.count) {
        this.wrong.push(`${pendingChanges} pending where ${this.model.count} are not confirmed`);
      }
      if (connection === 'refused' || connection === 'needs-token')
        this.wrong.push(`${connection}: ${reason}`);
      this.watched.changed();
    });
    await client.initialize({
      serverUrl: server.url,
      userId: 'anna',
      deviceId: 'phone',
      fetch: this.#fetch,
      onStorageError: (error) => {
        this.#isStored = error === null;
        this.watched.changed();
      },
    });
  }

  /** Checkpoints are to confirm everything here: HTTP would confirm as well, so there is none but that of others. */
  readonly #fetch: Fetch = (url, init) => {
    const { foreign } = this.network;
    if (this.#hasHttp) return fetch(url, init as RequestInit);
    if (foreign === null) return Promise.reject(new Error('there is no HTTP in this test'));
    return fetch(foreign.insteadOf(url), init as RequestInit);
  };

  /** Somebody on the way answers in place of the server, on both ways. */
  async meet(answer: ForeignAnswer): Promise<void> {
    foreign.answer = answer;
    await this.#client.disconnect();
    this.network.mend();
    this.network.foreign = foreign;
    await this.#client.connect();
    const before = foreign.asked;
    const went = await this.#client.forceSync().then(
      () => `${JSON.stringify(answer)} was taken for the server's`,
      () => null,
    );
    if (went !== null) this.wrong.push(went);
    if (foreign.asked - before < 2) this.wrong.push(`not asked on both ways: ${JSON.stringify(answer)}`);
    this.network.foreign = null;
  }

  /**
   * A change among others that the server refuses (C11). It is found over HTTP, which confirms, too: here the count
   * is known at the end only. The app starts anew then, since each change has another number.
   */
  async meetRefusal(): Promise<void> {
    await this.connection(false);
    this.network.mend();
    this.network.loseNone();
    await this.add();
    const id = `big${++this.#ids}`;
    await this.#client.addData('notes', { id, ...TOO_MANY });
    this.refused.push(id);
    await this.add();
    this.model.confirmed(Number.POSITIVE_INFINITY);
    this.#hasHttp = true;
    await this.connection(true);
    const said = () => `${this.#refusedIds} to be ${this.refused}, ${this.#client.status.current.reason}`;
    await this.watched.until(() => this.#refusedIds === String(this.refused), said);
    await this.synced();
    this.#hasHttp = false;
    await this.kill();
    if (this.#refusedIds !== String(this.refused)) this.wrong.push(said());
  }

  get #refusedIds(): string {
    return String(this.#client.status.current.refused.map(({ id }) => id));
  }

  /** What is changed meanwhile is in memory only, until storage works again and gets what it lacks (C7). */
  async failStorage(change: () => Promise<unknown>): Promise<void> {
    this.#storage.failure = new StorageError('UNAVAILABLE', 'The disk is gone.');
    await this.add();
    await change();
    await this.isExact();
    this.#storage.failure = null;
    await this.watched.until(
      () => this.#isStored,
      () => 'storage that works again',
    );
  }

  turnClock(error: number): void {
    this.#clockError = error;
  }

  /** The app is gone without a word; what was stored is stored. */
  async kill(): Promise<void> {
    this.network.onConfirm = () => {};
    const old = this.#client;
    this.#storage.kill();
    this.network.cut();
    this.network.mend();
    this.model.restarted();
    await this.start();
    await old.close();
  }

  async add(): Promise<void> {
    const id = `r${++this.#ids}`;
    await this.#client.addData('notes', { id, value: 0 });
    this.model.changed();
    this.records.set(id, 0);
  }

  /** With answers of the server coming in between. */
  async addOneByOne(count: number): Promise<void> {
    for (let added = 0; added < count; added++) {
      await this.add();
      await setImmediate();
    }
  }

  async update(id: string, value: number): Promise<void> {
    const isNews = this.records.get(id) !== value;
    await this.#client.updateData('notes', id, { value });
    if (isNews) this.model.changed();
    this.records.set(id, value);
  }

  async delete(id: string): Promise<void> {
    await this.#client.deleteData('notes', id);
    this.model.changed();
    this.records.delete(id);
  }

  /** Resolves once the count is what it has to be. */
  async isExact(): Promise<void> {
    const said = () =>
      `${this.#client.getSyncStatus().pendingChanges} pending, ${this.model.count} unconfirmed`;
    await this.watched.until(() => this.#client.getSyncStatus().pendingChanges === this.model.count, said);
  }

  connection(on: boolean): Promise<void> {
    return on ? this.#client.connect() : this.#client.disconnect();
  }

  /** At once, and not after the pause of a failed attempt. */
  async comeOnline(): Promise<void> {
    this.network.mend();
    if (this.#client.getSyncStatus().connected) return;
    await this.#client.disconnect();
    this.network.loseNone();
    await this.#client.connect();
    await this.watched.until(
      () => this.#client.getSyncStatus().connected,
      () => 'a connection',
    );
  }

  synced(): Promise<void> {
    return synced(this.#client);
  }

  get pending(): number {
    return this.#client.getSyncStatus().pendingChanges;
  }
}

async function restartServer(): Promise<void> {
  await server.kill();
  await server.restart();
}

async function records(): Promise<Map<string, number>> {
  const answer = await fetch(`${server.url}/api/sync/anna`);
  const { notes = [] } = (await answer.json()) as { notes?: { id: string; value: number }[] };
  return new Map(notes.map(({ id, value }) => [id, value]));
}

test('a connection that the device has given up brings no answer, whatever is still on its way', async () => {
  const told: number[] = [];
  const network = new FaultyNetwork();
  network.onConfirm = (n) => told.push(n);
  const answering = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  answering.on('connection', (socket) => socket.on('message', (asked) => socket.send(asked)));
  await once(answering, 'listening');
  const dial = (): WebSocketLike =>
    new network.WebSocket(`ws://127.0.0.1:${(answering.address() as AddressInfo).port}`);
  for (const givesUp of [false, true]) {
    const socket = dial();
    await new Promise<void>((resolve) => {
      socket.onopen = () => {
        socket.onmessage = givesUp ? null : () => socket.close();
        socket.send(messages.checkpoint(givesUp ? 2 : 1));
        if (givesUp) socket.close();
      };
      socket.onclose = () => resolve();
    });
  }
  answering.close();
  expect(told).toEqual([1]);
});

test.each(SEEDS)(
  '[C4 C10 C11] the count is that of unconfirmed changes at every step, whoever answers, seed %i',
  async (seed) => {
    const chance = new Chance(seed);
    const device = new Device();
    await device.start();
    const some = () => [...device.records.keys()][chance.below(device.records.size)] ?? '';
    const steps: readonly (readonly [number, () => unknown])[] = [
      [30, () => device.add()],
      [20, () => Promise.all([device.add(), device.add(), device.add()])],
      [20, () => device.addOneByOne(12)],
      [25, () => device.records.size > 0 && device.update(some(), chance.below(3))],
      [15, () => device.records.size > 0 && device.delete(some())],
      [8, () => device.network.cut()],
      [24, () => device.comeOnline()],
      [6, () => device.connection(false)],
      [6, () => device.connection(true)],
      [6, () => device.network.loseSome()],
      [6, () => device.network.doubleSome()],
      [6, () => device.kill()],
      [2, () => device.failStorage(() => device.update(some(), chance.below(3)))],
      [3, () => restartServer()],
      [4, () => device.refused.length < 2 && device.meetRefusal()], // a third one in a minute is shut out (N8)
      [8, () => device.meet(foreignAnswer((limit) => chance.below(limit)))],
      [6, () => device.turnClock((chance.below(5) - 2) * YEAR)],
    ];
    for (let step = 0; step < STEPS; step++) {
      await chance.pick(steps)();
      await device.isExact();
      expect(device.wrong).toEqual([]);
    }
    device.network.mend();
    device.network.loseNone();
    await device.connection(false);
    await device.connection(true);
    await device.synced();
    expect([device.pending, device.model.count]).toEqual([0, 0]);
    await restartServer();
    expect(await records()).toEqual(device.records);
  },
  4 * PATIENCE,
);
