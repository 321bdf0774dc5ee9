/** Collections that belong to nobody and that everybody reads (D8): over every way in, and who may change them. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { SyncClient } from '../client/api/api.js';
import type { SyncManager } from '../client/sync-manager.js';
import { createTestWard, type TestWard } from '../client/testing/index.js';
import { closeClients, synced, testClient } from './support/devices/test-client.js';
import { ServerProcess } from './support/server-process.js';
import { bearer, JWT, tokenFor } from './support/tokens.js';
import { openNative, useNative, useServer } from './support/use.js';

const SHARED = { SHARED_COLLECTIONS: 'doctors, clinics' } as const;
const WITH_TOKENS = { ...JWT, ...SHARED } as const;
const writer = (sub: string): Promise<string> => tokenFor(sub, { more: { shared: 'write' } });

async function useClient(url: string, userId: string, token?: string): Promise<SyncManager> {
  const client = testClient();
  onTestFinished(closeClients);
  const access = token === undefined ? {} : { getToken: () => token };
  await client.initialize({ serverUrl: url, userId, sharedCollections: ['doctors', 'clinics'], ...access });
  return client;
}

const records = (client: SyncClient, name: string) => client.collection(name).records;
describe('[D8 N1] /yjs/~shared', () => {
  test('is a document that y-websocket clients of all users have in common', async () => {
    const server = await useServer(SHARED);
    const desk = await useNative(server, '~shared', 'desk');
    const tablet = await useNative(server, '~shared', 'tablet');
    desk.record('doctors', 'd1').set('name', 'Dr. Rao');
    await tablet.until(() => tablet.json().doctors?.d1?.name === 'Dr. Rao');
    const own = await useNative(server, 'anna', 'phone');
    expect(own.json()).toEqual({});
  });

  test('outlives a kill of the server', async () => {
    const server = await ServerProcess.start(SHARED);
    onTestFinished(() => server.dispose());
    const desk = await useNative(server, '~shared', 'desk');
    desk.record('doctors', 'd1').set('name', 'Dr. Rao');
    await desk.saved();
    await server.kill();
    await server.restart();
    const tablet = await useNative(server, '~shared', 'tablet');
    expect(tablet.json()).toEqual({ doctors: { d1: { name: 'Dr. Rao' } } });
  });

  test('nobody learns there who else is there', async () => {
    const server = await useServer(SHARED);
    const [desk, tablet] = [
      await useNative(server, '~shared', 'desk'),
      await useNative(server, '~shared', 'tablet'),
    ];
    desk.provider.awareness.setLocalState({ name: 'Bert' });
    desk.record('doctors', 'd1').set('name', 'Dr. Rao'); // goes behind it
    await tablet.until(() => tablet.json().doctors?.d1?.name === 'Dr. Rao');
    expect([...tablet.provider.awareness.getStates().keys()]).toEqual([tablet.doc.clientID]);
  });

  test('[A2] is read with any token, and changed with the claim shared: "write" alone', async () => {
    const server = await useServer(WITH_TOKENS);
    const admin = openNative(server, '~shared', 'desk', { params: { token: await writer('admin') } });
    const patient = openNative(server, '~shared', 'phone', { params: { token: await tokenFor('anna') } });
    await Promise.all([admin.synced(), patient.synced()]);
    const denied = new Promise<void>((resolve) => {
      patient.provider.messageHandlers[2] = () => resolve();
    });
    patient.record('doctors', 'd2').set('name', 'Dr. No');
    await denied;
    admin.record('doctors', 'd1').set('name', 'Dr. Rao');
    await patient.until(() => patient.json().doctors?.d1 !== undefined);
    await admin.saved();
    expect(admin.json()).toEqual({ doctors: { d1: { name: 'Dr. Rao' } } });
    const stranger = openNative(server, '~shared', 'phone');
    await stranger.until(() => stranger.closes.includes(4401));
  });

  test('[A2] an entry of `access` gives no right to change it', async () => {
    const server = await useServer(WITH_TOKENS);
    const token = await tokenFor('anna', { access: [{ user: '~shared', mode: 'write' }] });
    const phone = openNative(server, '~shared', 'phone', { params: { token } });
    await phone.until(() => phone.closes.includes(4401)); // the name in it is that of no user
  });

  test('is not there where no collection is shared', async () => {
    const server = await useServer();
    const desk = openNative(server, '~shared', 'desk');
    await desk.until(() => desk.closes.includes(1008));
  });

  test('[S] has no limit of sockets of its own: each person has theirs', async () => {
    const server = await useServer({ ...WITH_TOKENS, MAX_SOCKETS_PER_USER: '1' });
    const [anna, bert] = await Promise.all(
      ['anna', 'bert'].map(async (sub) =>
        openNative(server, '~shared', 'phone', { params: { token: await tokenFor(sub) } }),
      ),
    );
    await Promise.all([anna?.synced(), bert?.synced()]);
    const second = openNative(server, '~shared', 'tablet', { params: { token: await tokenFor('anna') } });
    await second.until(() => second.closes.length > 0);
    expect(second.provider.synced).toBe(false);
  });
});

describe('[D8 H6] the history of shared collections', () => {
  test('is open to who may change them, since it names those who did', async () => {
    const server = await useServer(WITH_TOKENS);
    const token = await writer('admin');
    const admin = openNative(server, '~shared', 'desk', { params: { token } });
    await admin.synced();
    admin.record('doctors', 'd1').set('name', 'Dr. Rao');
    await admin.saved();
    const ask = async (by: string) =>
      fetch(`${server.url}/api/history/~shared?collection=doctors`, { headers: bearer(by) });
    expect((await ask(await tokenFor('anna'))).status).toBe(403);
    const { entries } = (await (await ask(token)).json()) as { entries: object[] };
    expect(entries[0]).toMatchObject({ collection: 'doctors', id: 'd1', actor: 'admin' });
    const restore = { collection: 'doctors', id: 'd1', revision: 1 };
    const restored = await fetch(`${server.url}/api/history/~shared/restore`, {
      method: 'POST',
      headers: { ...bearer(token), 'content-type': 'application/json' },
      body: JSON.stringify(restore),
    });
    expect(restored.status).toBe(200);
  });

  test('[P7] nobody erases them, or takes them along, as if they were a person', async () => {
    const server = await useServer({ ...SHARED, ADMIN_TOKEN: 'the-admin-token-of-the-tests' });
    for (const [method, path] of [
      ['DELETE', '/api/users/~shared'],
      ['GET', '/api/users/~shared/export'],
      ['GET', '/api/sync/~shared'],
      ['POST', '/api/sync/~shared'],
    ] as const) {
      const { status } = await fetch(server.url + path, { method });
      expect([path, status]).toEqual([path, 400]);
    }
  });
});

describe('[D8] our client', () => {
  const useWard = async (): Promise<TestWard> => {
    const ward = await createTestWard({ devices: [], sharedCollections: ['doctors', 'clinics'] });
    onTestFinished(() => ward.close());
    return ward;
  };

  test('has them like any other collection, for every user', async () => {
    const ward = await useWard();
    const [desk, phone] = [ward.device('desk', { user: 'admin' }), ward.device('phone')];
    await desk.addData('doctors', { id: 'd1', name: 'Dr. Rao' });
    await desk.addData('appointments', { id: 'a1', with: 'd1' });
    await ward.settled();
    await phone.updateData('doctors', 'd1', { room: 4 });
    await ward.settled();
    expect(records(phone, 'appointments')).toEqual([]);
    const own = await ward.request('/api/sync/admin');
    expect(own.body).toMatchObject({ appointments: [{ id: 'a1', with: 'd1' }] });
    const tablet = ward.device('tablet', { user: 'bert' });
    await ward.settled();
    expect(records(tablet, 'doctors')).toEqual([{ id: 'd1', name: 'Dr. Rao', room: 4 }]);
  });

  test('[C4] counts what is pending there, and sends what was written offline', async () => {
    const ward = await useWard();
    const [desk, phone] = [ward.device('desk', { user: 'admin' }), ward.device('phone')];
    await ward.settled();
    ward.cut('desk');
    await desk.addData('doctors', { id: 'd1' });
    await desk.addData('appointments', { id: 'a1' });
    expect(desk.status.current.pendingChanges).toBe(2);
    await expect(desk.logout()).rejects.toThrow('2 changes are not on the server yet');
    ward.mend('desk');
    await ward.settled();
    expect(desk.status.current.pendingChanges).toBe(0);
    expect(records(phone, 'doctors')).toEqual([{ id: 'd1' }]);
  });

  test('[C1] says what is missing where the server shares nothing, and syncs the rest', async () => {
    const server = await useServer();
    const phone = await useClient(server.url, 'anna');
    await phone.addData('appointments', { id: 'a1' });
    await synced(phone);
    expect(phone.status.current).toMatchObject({
      connection: 'online',
      error: { code: 'REFUSED', message: expect.stringContaining('SHARED_COLLECTIONS') },
    });
  });

  test('[A2] what a reader writes stays on the device, and is told', async () => {
    const server = await useServer(WITH_TOKENS);
    const phone = await useClient(server.url, 'anna', await tokenFor('anna'));
    await phone.addData('appointments', { id: 'a1' });
    await synced(phone);
    await phone.addData('doctors', { id: 'd9' });
    await new Promise<void>((resolve) => {
      phone.status.subscribe(({ error }) => error?.code === 'REFUSED' && resolve());
    });
    expect(phone.status.current).toMatchObject({ pendingChanges: 1, connection: 'online' });
  });
});
