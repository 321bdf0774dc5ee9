/** "May I wipe this phone?": what the operator is told of the devices of a user (A0). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Device as Shown } from '../../../../admin/api.js';
import type { SyncManager } from '../../../../client/sync-manager.js';
import { collectingLog } from '../../../../server/log.js';
import { messages } from '../../../../server/protocol/yjs.js';
import { newKey } from '../../../../server/store/encryption/key-ring.js';
import type { RawNative } from '../../../support/devices/raw-native.js';
import { closeClients, statusWhere, synced, testClient } from '../../../support/devices/test-client.js';
import type { TestServer } from '../../../support/server.js';
import { SetClock } from '../../../support/set-clock.js';
import { JWT, tokenFor } from '../../../support/tokens.js';
import { openRaw, useJson, useNative, useRaw, useServer } from '../../../support/use.js';

afterEach(closeClients);

async function devicesOf(server: TestServer, user = 'anna'): Promise<Record<string, Shown>> {
  const answer = await fetch(`${server.url}/admin/api/users/${user}/devices`);
  const { devices } = (await answer.json()) as { devices: Shown[] };
  return Object.fromEntries(devices.map((each) => [each.device, each]));
}

async function connected(server: TestServer, deviceId: string, more = {}): Promise<SyncManager> {
  const client = testClient();
  await client.initialize({ serverUrl: server.url, userId: 'anna', deviceId, ...more });
  await synced(client);
  return client;
}

/** Once the server shows it so. */
async function shown(
  server: TestServer,
  device: string,
  look: (device: Shown) => boolean | undefined,
): Promise<Shown> {
  for (;;) {
    const found = (await devicesOf(server))[device];
    if (found !== undefined && look(found)) return found;
  }
}

/** A device of this name that has told this, and was answered. */
async function tells(server: TestServer, device: string, ...waiting: number[]): Promise<RawNative> {
  const raw = await useRaw(server, 'anna', device);
  raw.send(messages.checkpoint(1, ...waiting));
  await raw.until(() => raw.messages.some(({ type }) => type === 'checkpoint'));
  return raw;
}

const gone = async (server: TestServer, device: string): Promise<Shown | undefined> => {
  for (;;) {
    const shown = (await devicesOf(server))[device];
    if (shown?.connected !== true) return shown;
  }
};

describe('the devices of a user', () => {
  test('[A0] [N4] our client tells what it has not sent; who does not tell is not taken to have sent all', async () => {
    const server = await useServer();
    const client = await connected(server, 'phone', { appVersion: '1.4.2' });
    await client.addData('appointments', { id: 'a1', room: 1 });
    await client.forceSync();
    await useJson(server, 'anna', 'old-phone');
    await useNative(server, 'anna', 'editor');
    await fetch(`${server.url}/api/sync/anna?app=9`, { headers: { 'Device-ID': 'queue' } });
    const { phone, editor, ...others } = await devicesOf(server);
    expect(phone).toMatchObject({ via: 'yjs', app: '1.4.2', connected: true, behind: 0 });
    expect(phone?.unsent).toMatchObject({ count: 0, since: null, current: true });
    expect(editor).toMatchObject({ via: 'yjs', app: null, connected: true, unsent: null });
    expect(others.queue).toMatchObject({ via: 'http', app: '9', connected: false, behind: 0, unsent: null });
    expect(others['old-phone']).toMatchObject({ via: 'json', unsent: null });
  });

  test('[A0] [N4] what waits is told with each checkpoint, as it is now and once that is answered', async () => {
    const server = await useServer();
    const raw = await useRaw(server, 'anna', 'phone');
    raw.send(messages.checkpoint(7, 12, 9, 60_000));
    await raw.until(() => raw.messages.some((message) => message.type === 'checkpoint'));
    const { phone } = await devicesOf(server);
    expect(phone?.unsent?.count).toBe(9);
    expect((phone?.unsent?.toldAt ?? 0) - (phone?.unsent?.since ?? 0)).toBe(60_000);
    raw.ws.terminate();
    const after = await gone(server, 'phone');
    expect(after?.unsent).toMatchObject({ count: 9 });
  });

  test.each([
    ['plain', {}],
    ['encrypted', { ENCRYPTION_KEY: newKey() }],
  ])(
    '[A0] who has gone is remembered with how far behind it is, after a restart, too: %s',
    async (_, options) => {
      const DATA_DIR = await mkdtemp(join(tmpdir(), 'admin-'));
      onTestFinished(() => rm(DATA_DIR, { recursive: true, force: true }));
      const first = await useServer({ DATA_DIR, ...options });
      const client = await connected(first, 'phone');
      await client.addData('appointments', { id: 'a1', room: 1 });
      await client.forceSync();
      await client.close();
      await gone(first, 'phone');
      const tablet = await useJson(first, 'anna', 'tablet');
      for (const id of ['a2', 'a3']) tablet.update('appointments', { id, room: 1 });
      await tablet.saved();
      expect((await devicesOf(first)).phone).toMatchObject({ connected: false, behind: 2 });
      await first.app.close();
      const second = await useServer({ DATA_DIR, ...options });
      const { phone, tablet: other } = await devicesOf(second);
      expect(phone).toMatchObject({ connected: false, behind: 2, unsent: { count: 0 } });
      expect(other).toMatchObject({ connected: false, via: 'json' });
      expect(Date.now() - (phone?.at ?? 0)).toBeLessThan(60_000);
    },
  );

  test('[P7] what is noted of them is in the export of the user', async () => {
    const server = await useServer();
    await connected(server, 'phone', { appVersion: '1.4.2' });
    const exported = await (await fetch(`${server.url}/api/users/anna/export`)).json();
    expect(exported.seenDevices).toMatchObject([{ device: 'phone', app: '1.4.2', via: 'yjs', actor: null }]);
  });

  test('[A0] [P7] an erased user has no devices, and those that it sends away are none', async () => {
    const server = await useServer();
    const device = await useJson(server, 'anna', 'phone');
    device.update('appointments', { id: 'a1', room: 1 });
    await device.saved();
    expect(Object.keys(await devicesOf(server))).toEqual(['phone']);
    await fetch(`${server.url}/admin/api/users/anna`, { method: 'DELETE' });
    await device.until(() => device.closed !== null);
    expect(await devicesOf(server)).toEqual({});
  });

  test('[A0] [P7] one that its erasure never reaches is none either, however its connection ends', async () => {
    const { log, events } = collectingLog();
    const server = await useServer({}, { log });
    const device = await useJson(server, 'anna', 'tablet');
    device.update('appointments', { id: 'a1', room: 1 });
    await device.saved();
    await device.close();
    const phone = await useRaw(server, 'anna', 'phone');
    expect(Object.keys(await devicesOf(server)).sort()).toEqual(['phone', 'tablet']);
    phone.ws.pause();
    await fetch(`${server.url}/admin/api/users/anna`, { method: 'DELETE' });
    expect(await devicesOf(server)).toEqual({});
    phone.ws.terminate();
    const ends = () => events.filter(({ name }) => name === 'disconnected').map(({ fields }) => fields);
    await expect.poll(() => ends()).toHaveLength(2);
    expect(ends()[1]).toMatchObject({ device: 'phone', code: 1006 });
    expect(await devicesOf(server)).toEqual({});
  });

  test('[A0] a device without a name is another one each time, and not listed', async () => {
    const server = await useServer();
    await useRaw(server, 'anna');
    expect(await devicesOf(server)).toEqual({});
  });
});

describe('[A0] that a device has nothing is told as current', () => {
  test('while it is connected, and by no other connection of it', async () => {
    const server = await useServer();
    const raw = await tells(server, 'phone', 0, 0, 0);
    expect((await devicesOf(server)).phone?.unsent).toMatchObject({ count: 0, current: true });
    const other = await useNative(server, 'anna', 'phone');
    expect((await devicesOf(server)).phone?.unsent).toMatchObject({ count: 0, current: false });
    await other.close();
    await shown(server, 'phone', ({ unsent }) => unsent?.current);
    raw.ws.terminate();
    const { unsent } = await shown(server, 'phone', (phone) => !phone.connected);
    expect(unsent).toMatchObject({ count: 0, current: false });
  });

  test('not of one that was not heard of for two pings', async () => {
    const time = new SetClock();
    const server = await useServer({}, { time });
    const raw = await tells(server, 'phone', 0, 0, 0);
    time.pass(60_000);
    expect((await devicesOf(server)).phone?.unsent?.current).toBe(true);
    time.pass(1);
    expect((await devicesOf(server)).phone).toMatchObject({ connected: true, unsent: { current: false } });
    raw.send(messages.checkpoint(2, 0, 0, 0));
    await shown(server, 'phone', ({ unsent }) => unsent?.current);
  });

  test('not while something that it sent waits to be read', async () => {
    const server = await useServer({ MESSAGE_RATE: '1', MESSAGE_BURST: '10' }, { time: new SetClock() });
    const raw = await tells(server, 'phone', 0, 0, 0);
    expect((await devicesOf(server)).phone?.unsent?.current).toBe(true);
    for (let id = 2; id < 200; id++) raw.send(messages.checkpoint(id, 0, 0, 0)); // the clock stands
    const phone = await shown(server, 'phone', ({ unsent }) => !unsent?.current);
    expect(phone).toMatchObject({ connected: true, unsent: { count: 0 } });
  });

  test('not of one that is being sent away, whatever it sends until it has gone', async () => {
    const server = await useServer(JWT);
    const raw = openRaw(server, 'anna', 'phone', { token: await tokenFor('anna') });
    await raw.until(() => raw.messages.length > 0);
    raw.send(messages.checkpoint(1, 0, 0, 0));
    await raw.until(() => raw.messages.some(({ type }) => type === 'checkpoint'));
    expect((await devicesOf(server)).phone?.unsent?.current).toBe(true);
    raw.ws.pause(); // so that it does not answer the close
    await fetch(`${server.url}/admin/revoke`, { method: 'POST', body: '{"user":"anna"}' });
    expect((await devicesOf(server)).phone?.unsent).toMatchObject({ count: 0, current: false });
  });

  test('not where it was heard of over HTTP since', async () => {
    const server = await useServer();
    const raw = await tells(server, 'phone', 0, 0, 0);
    raw.ws.terminate();
    await shown(server, 'phone', ({ connected }) => !connected);
    await fetch(`${server.url}/api/sync/anna`, { headers: { 'Device-ID': 'phone' } });
    const { at, unsent } = await shown(server, 'phone', ({ via }) => via === 'http');
    expect(unsent).toMatchObject({ count: 0, current: false });
    expect(at).toBeGreaterThan(unsent?.until ?? Number.POSITIVE_INFINITY);
  });

  test('not where another connection has told later that it has something', async () => {
    const server = await useServer();
    const stays = await tells(server, 'phone', 0, 0, 0);
    const goes = await tells(server, 'phone', 3, 3, 0);
    expect((await devicesOf(server)).phone?.unsent).toMatchObject({ count: 3, current: false });
    goes.ws.terminate();
    await stays.heard();
    expect((await devicesOf(server)).phone?.unsent).toMatchObject({ count: 3, current: false });
    stays.ws.terminate();
    expect((await shown(server, 'phone', ({ connected }) => !connected)).unsent?.count).toBe(3);
  });

  test('nor does one that tells nothing hide what it told before', async () => {
    const server = await useServer();
    const raw = await tells(server, 'phone', 5, 5, 0);
    raw.ws.terminate();
    await shown(server, 'phone', ({ connected }) => !connected);
    await useNative(server, 'anna', 'phone');
    const { connected, unsent } = await shown(server, 'phone', (phone) => phone.connected);
    expect([connected, unsent?.count, unsent?.current]).toEqual([true, 5, false]);
  });
});

describe('[A0] [H3] of a device that comes over HTTP alone', () => {
  const change = (id: string) => ({
    changes: [
      {
        type: 'DATA_UPDATE',
        data: { collection: 'appointments', document: { id, room: 1 }, timestamp: 1 },
        userId: 'anna',
        deviceId: 'phone',
        timestamp: 1,
      },
    ],
  });
  const post = async (server: TestServer, path: string, body: string | Uint8Array<ArrayBuffer>) => {
    const headers = { 'Device-ID': 'phone' };
    const { status } = await fetch(server.url + path, { method: 'POST', headers, body });
    return status;
  };

  test('the time is known at which it sent what is saved; what it has is not, unless it tells', async () => {
    const server = await useServer();
    const before = Date.now();
    expect(await post(server, '/api/sync/anna', '{"changes":[]}')).toBe(200);
    expect((await devicesOf(server)).phone).toMatchObject({ via: 'http', sentAt: null, unsent: null });
    expect(await post(server, '/api/sync/anna', JSON.stringify(change('a1')))).toBe(200);
    const { sentAt } = (await devicesOf(server)).phone ?? {};
    expect(sentAt).toBeGreaterThanOrEqual(before);
    expect(await post(server, '/api/sync/anna', JSON.stringify(change('')))).toBe(400); // not saved
    expect(await post(server, '/api/yjs/anna', Uint8Array.of(0, 0))).toBe(200);
    expect((await devicesOf(server)).phone).toMatchObject({ sentAt, unsent: null });
  });

  test('what it tells in the address counts once it is answered, until it comes and tells nothing', async () => {
    const server = await useServer();
    expect(await post(server, '/api/yjs/anna?unsent=3&age=60000', Uint8Array.of(0, 0))).toBe(200);
    const { unsent } = (await devicesOf(server)).phone ?? {};
    expect(unsent).toMatchObject({ count: 3, current: false });
    expect((unsent?.toldAt ?? 0) - (unsent?.since ?? 0)).toBe(60_000);
    expect(await post(server, '/api/sync/anna?unsent=0&age=0', JSON.stringify(change('a1')))).toBe(200);
    expect((await devicesOf(server)).phone?.unsent).toMatchObject({ count: 0, since: null, current: false });
    const anew = await post(server, '/api/yjs/anna?unsent=7&rewrites=1&epoch=1', Uint8Array.of(0, 0));
    expect(anew).toBe(200); // what waits for the new document is not told
    expect((await devicesOf(server)).phone?.unsent?.count).toBe(0);
    for (const nonsense of ['-1', '1e9', '99999999999', '']) {
      expect(await post(server, `/api/yjs/anna?unsent=${nonsense}&age=x`, Uint8Array.of(0, 0))).toBe(200);
      expect((await devicesOf(server)).phone?.unsent?.count).toBe(0);
    }
  });

  test('our client tells it with each exchange, changes that were refused included', async () => {
    const server = await useServer({ MAX_STRUCTS: '200' });
    const client = testClient({ WebSocket: undefined });
    await client.initialize({ serverUrl: server.url, userId: 'anna', deviceId: 'phone' });
    await client.addData('appointments', { id: 'a1', room: 1 });
    await client.forceSync();
    const { via, unsent, sentAt } = await shown(server, 'phone', (phone) => phone.sentAt !== null);
    expect([via, unsent?.count]).toEqual(['http', 0]);
    expect(sentAt).not.toBeNull();
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));
    await client.addData('notes', { id: 'big', ...many });
    await client.forceSync().catch(() => {});
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await client.addData('appointments', { id: 'a2', room: 1 });
    await client.forceSync();
    await shown(server, 'phone', ({ unsent }) => unsent?.count === 1);
  });
});

describe('[A0] our client counts', () => {
  test('[D8] what it may not write to a shared collection, and what others of it wait', async () => {
    const server = await useServer({ ...JWT, SHARED_COLLECTIONS: 'doctors' });
    const token = await tokenFor('anna');
    const options = { sharedCollections: ['doctors'], getToken: () => token };
    const client = testClient();
    await client.initialize({ serverUrl: server.url, userId: 'anna', deviceId: 'phone', ...options });
    await statusWhere(client, ({ hasSynced }) => hasSynced);
    await shown(server, 'phone', ({ unsent }) => unsent?.count === 0);
    for (const id of ['d1', 'd2']) await client.addData('doctors', { id });
    await shown(server, 'phone', ({ unsent }) => unsent?.count === 2);
    await client.close();
    expect((await gone(server, 'phone'))?.unsent).toMatchObject({ count: 2 });
  });

  test('[C11] what the server has refused', async () => {
    const server = await useServer({ MAX_STRUCTS: '200' });
    const client = await connected(server, 'phone');
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));
    await client.addData('notes', { id: 'big', ...many });
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await shown(server, 'phone', ({ unsent }) => unsent?.count === 1 && unsent.current);
    await client.discardRefused();
    await shown(server, 'phone', ({ unsent }) => unsent?.count === 0 && unsent.current);
  });
});

test('[A0] a device that has not asked for the document is not known to have it', async () => {
  const server = await useServer();
  await useRaw(server, 'anna', 'phone');
  expect((await devicesOf(server)).phone?.behind).toBe(null);
});
