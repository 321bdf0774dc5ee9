/** "May I wipe this phone?": what the operator is told of the devices of a user (A0). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { SyncManager } from '../../../../client/sync-manager.js';
import { collectingLog } from '../../../../server/log.js';
import { messages } from '../../../../server/protocol/yjs.js';
import { newKey } from '../../../../server/store/encryption/key-ring.js';
import { closeClients, synced, testClient } from '../../../support/devices/test-client.js';
import type { TestServer } from '../../../support/server.js';
import { useJson, useNative, useRaw, useServer } from '../../../support/use.js';

afterEach(closeClients);

interface Shown {
  readonly device: string;
  readonly via: string;
  readonly app: string | null;
  readonly connected: boolean;
  readonly behind: number | null;
  readonly at: number;
  readonly unsent: { readonly count: number; readonly since: number | null; readonly toldAt: number } | null;
}

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
    expect(phone?.unsent).toMatchObject({ count: 0, since: null });
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
    await vi.waitFor(() => expect(ends()).toHaveLength(2));
    expect(ends()[1]).toMatchObject({ device: 'phone', code: 1006 });
    expect(await devicesOf(server)).toEqual({});
  });

  test('[A0] a device without a name is another one each time, and not listed', async () => {
    const server = await useServer();
    await useRaw(server, 'anna');
    expect(await devicesOf(server)).toEqual({});
  });
});
