import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { SyncError } from '../../../server/errors.js';
import { decodeExchange, encodeExchange } from '../../../server/protocol/exchange.js';
import { messages } from '../../../server/protocol/yjs.js';
import { newKey } from '../../../server/store/encryption/key-ring.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { user } from '../../support/notes.js';
import { findInFiles } from '../../support/raw-files.js';
import type { TestServer } from '../../support/server.js';
import { openJson, useJson, useNative, useRaw, useServer } from '../../support/use.js';

const GONE = { code: 4410, reason: expect.stringContaining('was erased') };
const EMPTY = { appointments: [], consultations: [], prescriptions: [], medicalRecords: [] };
const MINUTE = 60_000;

const erase = (server: TestServer, id = 'anna'): Promise<Response> =>
  fetch(`${server.url}/api/users/${id}`, { method: 'DELETE' });

const post = (server: TestServer, device: string, ...changes: object[]): Promise<Response> =>
  fetch(`${server.url}/api/sync/anna`, {
    method: 'POST',
    headers: { 'Device-ID': device },
    body: JSON.stringify({ changes }),
  });

const update = (id: string, timestamp: number | null = Date.now()) => ({
  type: 'DATA_UPDATE',
  data: {
    collection: 'appointments',
    document: { id, room: 1 },
    ...(timestamp === null ? {} : { timestamp }),
  },
  userId: 'anna',
  deviceId: 'phone',
  timestamp: timestamp ?? undefined,
});

async function collections(server: TestServer): Promise<Record<string, unknown>> {
  return (await fetch(`${server.url}/api/sync/anna`)).json() as Promise<Record<string, unknown>>;
}

describe('DELETE /api/users/:userId', () => {
  test.each([
    ['plain', {}],
    ['encrypted', { ENCRYPTION_KEY: newKey() }],
  ])(
    '[P7] erases what every protocol wrote, from every file, and sends all devices away: %s',
    async (_, options) => {
      const folder = await mkdtemp(join(tmpdir(), 'erased-'));
      onTestFinished(() => rm(folder, { recursive: true, force: true }));
      const server = await useServer({ ...options, DATA_DIR: folder });
      const native = await useNative(server, 'anna', 'tablet');
      const json = await useJson(server, 'anna', 'phone');
      const other = await useJson(server, 'bert', 'phone');
      native.record('appointments', 'a1').set('note', 'value-of-anna-1');
      json.update('prescriptions', { id: 'p1', drug: 'value-of-anna-2' });
      other.update('prescriptions', { id: 'p1', drug: 'value-of-bert' });
      await native.saved();
      await native.until(() => native.json().prescriptions !== undefined);
      const secrets = ['value-of-anna-1', 'value-of-anna-2'];
      const before = (await findInFiles(folder, secrets)).length;
      expect(before > 0).toBe(!('ENCRYPTION_KEY' in options));
      const answer = await erase(server);
      expect([answer.status, await answer.text()]).toEqual([204, '']);
      expect(await findInFiles(folder, secrets)).toEqual([]);
      await json.until(() => json.closed !== null);
      await native.until(() => native.closes.length > 0);
      expect([json.closed, native.closes]).toEqual([GONE, [4410]]);
      expect(await collections(server)).toEqual(EMPTY);
      const history = await fetch(`${server.url}/api/history/anna`);
      expect(await history.json()).toEqual({ entries: [], next: null });
      expect(other.closed).toBeNull();
    },
  );

  test('[P7] of a user never met, and twice, is answered the same; a bad name is refused', async () => {
    const server = await useServer();
    const statuses = await Promise.all([erase(server), erase(server), erase(server, 'never')]);
    expect(statuses.map(({ status }) => status)).toEqual([204, 204, 204]);
    expect((await erase(server, 'a%20b')).status).toBe(400);
  });

  test('[P7] a damaged document can be erased', async () => {
    const store = new MemoryStore();
    const server = await useServer({}, { store });
    store.damage(user('anna'));
    expect((await fetch(`${server.url}/api/sync/anna`)).status).toBe(500);
    expect((await erase(server)).status).toBe(204);
    expect(await collections(server)).toEqual(EMPTY);
  });

  test('[P7] [N3] where it can not be saved, it says so, and nobody is told that the data is gone', async () => {
    const store = new MemoryStore();
    const server = await useServer({}, { store });
    const json = await useJson(server, 'anna', 'phone');
    json.update('appointments', { id: 'a1' }, { ack: 'x' });
    await json.next('ACK');
    store.failNext({ kept: false });
    expect((await erase(server)).status).toBe(503);
    await json.until(() => json.closed !== null);
    expect(json.closed?.code).toBe(1011);
    expect((await erase(server)).status).toBe(204);
    expect(await collections(server)).toEqual(EMPTY);
  });
});

describe('after an erasure', () => {
  test('[P7] a native device that was offline brings nothing back, with what it had or what it made since', async () => {
    const server = await useServer();
    const native = await useNative(server, 'anna', 'tablet');
    native.record('appointments', 'a1').set('note', 'old');
    await native.saved();
    native.offline();
    native.record('appointments', 'a1').set('note', 'made offline');
    await erase(server);
    native.provider.connect();
    await native.until(() => native.closes.length > 0);
    expect(native.closes).toEqual([4410]);
    expect(await collections(server)).toEqual(EMPTY);
    const fresh = await useNative(server, 'anna', 'tablet');
    expect(fresh.json()).toEqual({});
    fresh.record('appointments', 'a1').set('note', 'new');
    await fresh.saved();
    expect(await collections(server)).toMatchObject({ appointments: [{ id: 'a1', note: 'new' }] });
  });

  test('[P7] also after a restart, refused are: structs of erased clients, what builds on them, deletions, a state vector', async () => {
    const store = new MemoryStore();
    const first = await useServer({}, { store });
    const json = await useJson(first, 'anna', 'phone');
    json.update('appointments', { id: 'a0', room: 1 }, { ack: 'x' });
    await json.next('ACK');
    const native = await useNative(first, 'anna', 'tablet');
    native.record('appointments', 'a1').set('note', 'old');
    await native.saved();
    const { doc } = native;
    await erase(first);
    await first.close();
    const server = await useServer({}, { store: new MemoryStore(store.contents) });
    const stranger = new Y.Doc();
    Y.applyUpdate(stranger, Y.encodeStateAsUpdate(doc));
    const before = Y.encodeStateVector(stranger);
    (stranger.getMap('appointments').get('a0') as Y.Map<unknown>).set('room', 2);
    const built = Y.encodeStateAsUpdate(stranger, before);
    const deleting = new Y.Doc();
    Y.applyUpdate(deleting, Y.encodeStateAsUpdate(doc));
    deleting.getMap('appointments').delete('a1');
    const deletion = Y.encodeStateAsUpdate(deleting, Y.encodeStateVector(deleting));
    const cases = [
      messages.syncStep1(Y.encodeStateVector(doc)),
      messages.syncStep2(Y.encodeStateAsUpdate(doc)),
      messages.update(built),
      messages.update(deletion),
    ];
    for (const message of cases) {
      const raw = await useRaw(server, 'anna');
      raw.ws.send(new Uint8Array(message));
      await raw.until(() => raw.closed !== null);
      expect(raw.closed).toEqual(GONE);
      const body = Buffer.from(
        encodeExchange({ stateVector: Y.encodeStateVector(doc), update: new Uint8Array() }),
      );
      const answer = await fetch(`${server.url}/api/yjs/anna`, { method: 'POST', body });
      expect([answer.status, await answer.json()]).toMatchObject([410, { code: 'ERASED' }]);
    }
    const empty = Buffer.from(
      encodeExchange({ stateVector: Y.encodeStateVector(new Y.Doc()), update: new Uint8Array() }),
    );
    const answer = await fetch(`${server.url}/api/yjs/anna`, { method: 'POST', body: empty });
    const { stateVector } = decodeExchange(new Uint8Array(await answer.arrayBuffer()));
    expect(Y.decodeStateVector(stateVector).size).toBe(0);
  });

  test('[P7] [P6] the server writes under ids that no device has from before', async () => {
    const server = await useServer();
    const native = await useNative(server, 'anna', 'tablet');
    const json = await useJson(server, 'anna', 'phone');
    json.update('appointments', { id: 'a1', room: 1 });
    await native.until(() => native.json().appointments !== undefined);
    const ids = [...native.doc.store.clients.keys()];
    await erase(server);
    const fresh = await useNative(server, 'anna', 'tablet');
    const again = await useJson(server, 'anna', 'new-phone');
    again.update('appointments', { id: 'a2', room: 1 });
    await fresh.until(() => fresh.json().appointments !== undefined);
    for (const id of fresh.doc.store.clients.keys()) expect(ids).not.toContain(id);
  });

  test('[P7] [P6] also where the erasure has failed after the data was gone: devices of the next content stay', async () => {
    const store = new MemoryStore();
    const server = await useServer({}, { store });
    const json = await useJson(server, 'anna', 'phone');
    json.update('appointments', { id: 'a1' }, { ack: 'x' });
    await json.next('ACK');
    const { erase: all } = store;
    store.erase = async (...args) => {
      await all.apply(store, args);
      throw new SyncError('STORE_UNAVAILABLE');
    };
    expect((await erase(server)).status).toBe(503);
    const again = await useJson(server, 'anna', 'new-phone');
    again.update('appointments', { id: 'a2' }, { ack: 'y' });
    await again.next('ACK');
    const native = await useNative(server, 'anna', 'tablet');
    native.record('appointments', 'a2').set('room', 1);
    await native.saved();
    expect(native.closes).toEqual([]);
  });

  test('[P7] a JSON device that was there is refused until it has read the document as it is since', async () => {
    const server = await useServer();
    const before = await useJson(server, 'anna', 'phone');
    before.update('appointments', { id: 'a1', room: 1 }, { ack: 'x' });
    await before.next('ACK');
    await erase(server);
    // Made while it did not know of the erasure, sent at once: it has read nothing yet.
    const early = openJson(server, 'anna', 'phone', { autoPong: false });
    await early.next('CONNECTION_CONFIRMED');
    early.send({ ...update('a1'), ack: 'y' });
    expect(await early.next('ERROR')).toMatchObject({ code: 'ERASED', ack: 'y' });
    await early.until(() => early.closed !== null);
    expect(early.closed).toEqual(GONE);
    expect(await collections(server)).toEqual(EMPTY);
    // A queue that says no times, on a connection that has only begun.
    const untimed = await useJson(server, 'anna', 'phone');
    await untimed.heard(); // its pong has come
    untimed.send(update('a1', null));
    await untimed.until(() => untimed.closed !== null);
    expect(untimed.closed).toEqual(GONE);
    // What it makes now is new.
    const later = await useJson(server, 'anna', 'phone');
    expect(later.store).toEqual({
      appointments: {},
      consultations: {},
      prescriptions: {},
      medicalRecords: {},
    });
    await later.heard(); // its pong has come
    later.update('appointments', { id: 'a2', room: 2 }, { ack: 'z' });
    await later.next('ACK');
    expect(await collections(server)).toMatchObject({ appointments: [{ id: 'a2', room: 2 }] });
  });

  test('[P7] a write from before the erasure is refused from any device, one of a new device is taken', async () => {
    const server = await useServer();
    const before = await useJson(server, 'anna', 'phone');
    before.update('appointments', { id: 'a1', room: 1 }, { ack: 'x' });
    await before.next('ACK');
    await erase(server);
    const stranger = await useJson(server, 'anna', 'never-met');
    stranger.send(update('a1', Date.now() - MINUTE));
    await stranger.until(() => stranger.closed !== null);
    expect(stranger.closed).toEqual(GONE);
    const fresh = await useJson(server, 'anna', 'new-phone');
    fresh.update('appointments', { id: 'a3', room: 3 }, { ack: 'y' });
    await fresh.next('ACK');
    expect(await collections(server)).toMatchObject({ appointments: [{ id: 'a3', room: 3 }] });
  });

  test('[P7] [H2] over HTTP the batch is refused with the position, and an ETag from before proves nothing', async () => {
    const server = await useServer();
    const first = await post(server, 'phone', update('a1'));
    const etag = first.headers.get('ETag') ?? '';
    await erase(server);
    const refused = await post(server, 'phone', update('a2'), update('a3', Date.now() - MINUTE));
    expect([refused.status, await refused.json()]).toMatchObject([410, { code: 'ERASED', index: 0 }]);
    const stranger = await post(server, 'never-met', update('a2'), update('a3', Date.now() - MINUTE));
    expect([stranger.status, await stranger.json()]).toMatchObject([410, { code: 'ERASED', index: 1 }]);
    expect(await collections(server)).toEqual(EMPTY);
    await post(server, 'never-met', update('a4'));
    const read = (tag: string) =>
      fetch(`${server.url}/api/sync/anna`, { headers: { 'Device-ID': 'phone', 'If-None-Match': tag } });
    const now = await read(etag);
    expect(now.status).toBe(200);
    expect((await post(server, 'phone', update('a5'))).status).toBe(410);
    await read(now.headers.get('ETag') ?? '');
    expect((await post(server, 'phone', update('a5'))).status).toBe(200);
  });
});

describe('GET /api/users/:userId/export', () => {
  test('[P7] has all collections, the whole history and the devices', async () => {
    const server = await useServer();
    const json = await useJson(server, 'anna', 'phone');
    for (let i = 0; i < 30; i += 1) json.update('appointments', { id: `a${i % 3}`, room: i });
    json.delete('appointments', 'a0', { ack: 'x' });
    await json.next('ACK');
    const answer = await fetch(`${server.url}/api/users/anna/export`);
    expect(answer.headers.get('Content-Type')).toContain('application/json');
    expect(answer.headers.get('Cache-Control')).toContain('no-store');
    const exported = (await answer.json()) as Record<string, unknown> & { history: object[] };
    expect(exported).toMatchObject({ userId: 'anna', revision: 31, devices: ['phone'] });
    expect(exported.collections).toEqual({
      ...EMPTY,
      appointments: [
        { id: 'a1', room: 28 },
        { id: 'a2', room: 29 },
      ],
    });
    expect(exported.history).toHaveLength(31);
    expect(exported.history[0]).toMatchObject({ revision: 31, before: { id: 'a0', room: 27 }, after: null });
    expect(exported.history[30]).toMatchObject({ revision: 1, before: null, after: { id: 'a0', room: 0 } });
  });
});
