/**
 * The document of the shared collections fails, or hangs, while a JSON device is there: what it sent for its user's own
 * document, which is in order, counts all the same, and the device is made to come again (L1, L11, D8). Where that
 * fails, the device is told (N3).
 */
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import type { Commit, StoredDocument } from '../../../server/store/store.js';
import { SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import type { JsonDevice } from '../../support/devices/json-device.js';
import type { TestServer } from '../../support/server.js';
import { openJson, useJson, useNative, useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const RAO = { id: 'd1', name: 'Dr. Rao' };
const LEE = { id: 'd2', name: 'Dr. Lee' };
const VISIT = { id: 'a1', at: '9:00' };
const LATER = { id: 'a2', at: '17:00' };
const SHARED = { SHARED_COLLECTIONS: 'doctors' };

/** A store in which what is to become of commits of the shared document, and when loads are answered, is up to the test. */
class PartlyHeldStore extends MemoryStore {
  #shared: Promise<void> | null = null;
  #loads: Promise<void> | null = null;
  loads = 0;

  /** From here on, commits of the shared document wait, until they are let go, or made to fail. */
  holdShared(): { readonly release: () => void; readonly fail: () => void } {
    let [release, fail] = [() => {}, () => {}];
    this.#shared = new Promise((resolve, reject) => {
      release = resolve;
      fail = () => reject(new Error('The commit was made to fail.'));
    });
    return { release, fail };
  }

  /** Loads wait from here on until what this returns is called. */
  holdLoads(): () => void {
    let release = (): void => {};
    this.#loads = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  override async load(user: UserId): Promise<StoredDocument> {
    this.loads++;
    await this.#loads;
    return super.load(user);
  }

  override async commit(user: UserId, commit: Commit): Promise<void> {
    if (user === SHARED_DOCUMENT && this.#shared !== null) await this.#shared;
    await super.commit(user, commit);
  }
}

interface Scene {
  readonly store: PartlyHeldStore;
  readonly server: TestServer;
  readonly phone: JsonDevice;
  /** What is held of the shared document goes on, or fails. */
  readonly release: () => void;
  readonly fail: () => void;
}

/** A phone says something to a server whose shared collections are being changed. */
async function early(say: (phone: JsonDevice) => void): Promise<Scene> {
  const store = new PartlyHeldStore();
  const server = await useServer({ ...SHARED, PING_INTERVAL: '1s' }, { store });
  const desk = await useJson(server, 'admin', 'desk');
  const held = store.holdShared();
  desk.update('doctors', RAO);
  await desk.heard();
  const before = await received(server);
  const phone = openJson(server, 'anna', 'phone');
  await phone.until(() => phone.ws.readyState === phone.ws.OPEN);
  inOneGo(phone, say);
  await expect.poll(() => received(server), { timeout: PATIENCE }).toBeGreaterThan(before);
  return { store, server, phone, ...held };
}

/** What it says arrives together, so that all of it has come in before the server reads nothing more. */
function inOneGo(phone: JsonDevice, say: (phone: JsonDevice) => void): void {
  const stream = Reflect.get(phone.ws, '_socket') as Pick<Socket, 'cork' | 'uncork'>;
  stream.cork();
  say(phone);
  stream.uncork();
}

async function metric({ url }: TestServer, line: RegExp): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(line.exec(text)?.[1]);
}

/** How many messages of JSON devices have come in. */
const received = (server: TestServer) => metric(server, /messages_received_total\{[^}]*json[^}]*\} (\d+)/);

async function appointments({ url }: TestServer): Promise<object[]> {
  const answer = await fetch(`${url}/api/sync/anna`);
  return ((await answer.json()) as Record<string, object[]>).appointments ?? [];
}

test('[L1 L11 D8] what waits for the first full sync is saved, and answered, as the shared document fails', async () => {
  const { server, phone, fail } = await early((it) => {
    it.update('appointments', VISIT, { ack: 'first' });
    it.update('doctors', LEE, { ack: 'shared' });
    it.update('appointments', LATER, { ack: 'last' });
  });
  fail();
  expect((await phone.end()).code).toBe(1011);
  expect(phone.of('ERROR')).toMatchObject([{ code: 'NOT_SAVED', ack: 'shared' }]);
  expect(phone.of('ACK').map(({ ack }) => ack)).toEqual(['first', 'last']);
  expect(await appointments(server)).toEqual([VISIT, LATER]);
});

test('[L1 D8] nothing more is read while the shared document hangs; what came is saved as the phone goes', async () => {
  const { store, server, phone, release } = await early((it) => it.update('appointments', VISIT));
  const before = await received(server);
  for (let count = 0; count < 100; count++) phone.update('appointments', LATER);
  await phone.until(() => phone.ws.bufferedAmount === 0);
  expect((await received(server)) - before).toBe(0);
  phone.ws.terminate();
  const saved = () => store.contents.get('anna' as UserId)?.revision ?? 0;
  await expect.poll(saved, { timeout: PATIENCE }).toBeGreaterThan(0);
  release();
});

test('[L11 D8] what waits for the document of the user is saved where the shared one fails meanwhile', async () => {
  const store = new PartlyHeldStore();
  const server = await useServer({ ...SHARED, REST_AFTER: '20ms' }, { store });
  const desk = await useJson(server, 'admin', 'desk');
  const phone = await useJson(server, 'anna', 'phone');
  phone.update('appointments', { id: 'a0' });
  await phone.saved();
  const inMemory = () => metric(server, /^telemed_documents (\d+)/m);
  await expect.poll(inMemory, { timeout: PATIENCE }).toBe(1); // the shared one
  const { fail } = store.holdShared();
  const releaseLoads = store.holdLoads();
  const { loads } = store;
  desk.update('doctors', RAO);
  await desk.heard();
  inOneGo(phone, (it) => {
    it.update('appointments', VISIT, { ack: 'first' });
    it.update('appointments', LATER, { ack: 'last' });
  });
  await expect.poll(() => store.loads, { timeout: PATIENCE }).toBeGreaterThan(loads);
  fail();
  await desk.end();
  releaseLoads();
  expect((await phone.end()).code).toBe(1011);
  expect(phone.of('ACK').map(({ ack }) => ack)).toContain('last');
  expect(await appointments(server)).toEqual([{ id: 'a0' }, VISIT, LATER]);
});

test('[L11 D8] where the store takes nothing at all, the phone is told', async () => {
  const { store, phone, fail } = await early((it) => it.update('appointments', VISIT, { ack: 'w' }));
  store.failNext({ kept: false });
  fail();
  expect((await phone.end()).code).toBe(1011);
  expect(phone.of('ERROR')).toMatchObject([{ code: 'NOT_SAVED', ack: 'w' }]);
});

test('[N3 L11 D8] what waits for the first full sync is told as the document of the user fails', async () => {
  const { store, server, phone, release } = await early((it) => {
    it.update('appointments', VISIT, { ack: 'first' });
    it.update('appointments', LATER);
    it.update('doctors', LEE, { ack: 'shared' });
  });
  const tablet = await useNative(server, 'anna', 'tablet');
  store.failNext({ kept: false });
  tablet.record('appointments', 'a3').set('at', '12:00');
  expect((await phone.end()).code).toBe(1011);
  expect(phone.of('ERROR')).toMatchObject([{ code: 'NOT_SAVED', ack: 'first' }, { code: 'NOT_SAVED' }]);
  expect(phone.of('ACK')).toEqual([]);
  release();
});
