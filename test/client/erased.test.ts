import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { StorageError } from '../../client/errors.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import type { SyncStatus } from '../../client/status.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { closeClients, onDisk, statusWhere, synced, testClient } from '../support/devices/test-client.js';
import { ManualClock } from '../support/manual-clock.js';
import { NoUpgrades } from '../support/no-upgrades.js';
import { JWT, tokenFor } from '../support/tokens.js';
import { useServer } from '../support/use.js';

afterEach(closeClients);

const isErased = ({ connection, error }: SyncStatus): boolean =>
  connection === 'refused' && error !== null && 'code' in error && error.code === 'ERASED';

test.each([
  ['memory', async () => memoryStorage()],
  ['a disk', onDisk],
])(
  '[P7] a client that is told of the erasure deletes what it has in %s, tells the app, and can begin anew',
  async (_, storageOf) => {
    const server = await useServer();
    const erase = () => fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
    const options = { serverUrl: server.url, userId: 'anna' };
    const [online, offline] = [
      testClient({ storage: await storageOf() }),
      testClient({ storage: await storageOf() }),
    ];
    await Promise.all([online.initialize(options), offline.initialize(options)]);
    await online.addData('appointments', { id: 'a1', room: 1 });
    await Promise.all([synced(online), synced(offline)]);
    await statusWhere(offline, () => offline.getRecord('appointments', 'a1') !== null);
    await offline.disconnect();
    await offline.updateData('appointments', 'a1', { room: 2 });
    expect((await erase()).status).toBe(204);
    await statusWhere(online, isErased);
    expect(await online.getData('appointments')).toEqual([]);
    expect(online.status.current).toMatchObject({
      pendingChanges: 0,
      reason: expect.stringContaining('erased'),
    });

    await offline.connect();
    await statusWhere(offline, isErased);
    expect(await offline.getData('appointments')).toEqual([]);
    expect(offline.status.current.pendingChanges).toBe(0);
    // What the server never had is kept for a person to export (C10).
    const written = { collection: 'appointments', id: 'a1', record: { id: 'a1', room: 2 } };
    expect(await offline.exportRefused()).toMatchObject([{ code: 'ERASED', records: [written] }]);
    expect(await online.exportRefused()).toEqual([]);
    const kept = await fetch(`${server.url}/api/sync/anna`);
    expect(await kept.json()).toMatchObject({ appointments: [] });

    await Promise.all([online.connect(), offline.connect()]);
    await online.addData('appointments', { id: 'a2', room: 3 });
    await synced(online);
    await statusWhere(offline, () => offline.getRecord('appointments', 'a2') !== null);
    expect(await offline.getData('appointments')).toEqual([{ id: 'a2', room: 3 }]);
  },
);

test.each([
  ['one by one', async (client: SyncManager, key: string) => client.retryRefused(key)],
  ['never', async (client: SyncManager, key: string) => client.discardRefused(key)],
])(
  '[C10] what was pending at an erasure is there after a restart, and is written anew %s',
  async (how, act) => {
    const server = await useServer();
    const storage = await onDisk();
    const options = { serverUrl: server.url, userId: 'anna' };
    const client = testClient({ storage });
    await client.initialize(options);
    await client.addData('notes', { id: 'old', text: 'known to the server' });
    await synced(client);
    await client.disconnect();
    await client.addData('notes', { id: 'new', list: [1, { deep: true }] });
    await client.deleteData('notes', 'old');
    await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
    await client.connect();
    await statusWhere(client, isErased);
    await client.initialize({ ...options, autoConnect: false }); // behind what is under way
    expect(isErased(client.status.current)).toBe(true);
    await client.close();
    const again = testClient({ storage });
    await again.initialize({ ...options, autoConnect: false });
    expect(await again.getData('notes')).toEqual([]);
    expect((await again.exportRefused()).map(({ records }) => records)).toEqual([
      [{ collection: 'notes', id: 'new', record: { id: 'new', list: [1, { deep: true }] } }],
      [{ collection: 'notes', id: 'old', record: null }],
    ]);
    for (const { key } of again.status.current.refused) await act(again, key);
    expect(again.status.current.refused).toEqual([]);
    await again.connect();
    await synced(again);
    const answer = await (await fetch(`${server.url}/api/sync/anna`)).json();
    const written = how === 'never' ? undefined : [{ id: 'new', list: [1, { deep: true }] }];
    expect((answer as { notes?: unknown }).notes).toEqual(written);
  },
);

test('[P7] the same over HTTP, where no WebSocket is', async () => {
  const server = await useServer();
  const client = testClient({ WebSocket: undefined });
  await client.initialize({ serverUrl: server.url, userId: 'anna' });
  await client.addData('appointments', { id: 'a1' });
  await synced(client);
  await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
  await client.updateData('appointments', 'a1', { room: 2 });
  await client.forceSync().catch(() => {});
  await statusWhere(client, isErased);
  expect(await client.getData('appointments')).toEqual([]);
});

test.each([200, 302, 401, 403, 410, 503])(
  '[C10] a portal that answers everything with %i deletes nothing, and stops nothing',
  async (status) => {
    const portal = createServer((request, response) => {
      request.resume();
      const headers = { 'content-type': 'text/html', location: 'http://127.0.0.1:1/login' };
      response.writeHead(status, headers).end('<h1>Welcome to our network</h1>');
    });
    portal.on('upgrade', (_, stream) => stream.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\n\r\n`));
    await new Promise<void>((resolve) => portal.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void portal.close());
    const { port } = portal.address() as AddressInfo;
    const storage = await onDisk();
    const client = testClient({ storage });
    await client.initialize({ serverUrl: `http://127.0.0.1:${port}`, userId: 'anna', autoConnect: false });
    await client.addData('appointments', { id: 'a1', note: 'made offline' });
    await client.connect();
    await expect(client.forceSync()).rejects.toMatchObject({ code: 'OFFLINE' });
    expect(client.status.current).toMatchObject({ connection: 'offline', pendingChanges: 1 });
    const server = await useServer();
    await client.updateConfig({ serverUrl: server.url });
    await synced(client);
    expect(await client.getLocalData('appointments', 'a1')).toEqual({ id: 'a1', note: 'made offline' });
  },
);

test.each([4401, 4403, 4410, 1007, 1008, 1009])(
  '[C10] another server that closes with %i deletes nothing, and stops nothing',
  async (code) => {
    const other = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    other.on('connection', (socket) => socket.close(code, 'No such thing here.'));
    await new Promise<void>((resolve) => other.on('listening', resolve));
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;
    const client = testClient({ storage: await onDisk() });
    await client.initialize({ serverUrl: `http://127.0.0.1:${port}`, userId: 'anna', autoConnect: false });
    await client.addData('appointments', { id: 'a1', note: 'made offline' });
    await client.connect();
    await statusWhere(client, ({ reason }) => reason?.includes(String(code)) ?? false);
    expect(client.status.current).toMatchObject({ pendingChanges: 1, error: null });
    const server = await useServer();
    await client.updateConfig({ serverUrl: server.url });
    await synced(client);
    expect(await client.getLocalData('appointments', 'a1')).toEqual({ id: 'a1', note: 'made offline' });
  },
);

test.each(['arrayBuffer', 'headers'] as const)(
  '[C10] a fetch without %s is told of in the status, where no socket gets through',
  async (missing) => {
    const server = await useServer();
    const proxy = await NoUpgrades.before(server.url);
    onTestFinished(() => proxy.close());
    const client = testClient({
      async fetch(url, init) {
        const { ok, status, headers, ...answer } = await fetch(url, init as RequestInit).then((response) => ({
          ok: response.ok,
          status: response.status,
          headers: response.headers,
          arrayBuffer: () => response.arrayBuffer(),
        }));
        if (missing === 'headers') return { ok, status, ...answer };
        return { ok, status, headers, arrayBuffer: () => Promise.reject(new Error('It is not implemented')) };
      },
    });
    await client.initialize({ serverUrl: proxy.url, userId: 'anna' });
    await client.addData('appointments', { id: 'a1' });
    await statusWhere(client, ({ error }) => error?.message.includes(missing) ?? false);
    expect(client.status.current).toMatchObject({
      connection: expect.not.stringMatching('refused'),
      pendingChanges: 1,
    });
    await client.updateConfig({ serverUrl: server.url });
    await synced(client);
    expect(client.status.current.error).toBeNull();
  },
);

test.each([
  ['a socket', {}],
  ['HTTP', { WebSocket: undefined }],
])(
  '[C10 A4] why a token is refused over %s is in the reason, in the words of the server',
  async (_, parts) => {
    const server = await useServer(JWT);
    const client = testClient(parts);
    let token = await tokenFor('anna', { expiresIn: -600 });
    await client.initialize({ serverUrl: server.url, userId: 'anna', getToken: () => token });
    await statusWhere(client, ({ connection }) => connection === 'needs-token');
    expect(client.status.current.reason).toMatch(/expired 10 min ago/);
    token = await tokenFor('bert');
    await client.connect();
    await statusWhere(client, ({ connection }) => connection === 'refused');
    expect(client.status.current.reason).toMatch(/no access to this user/);
    token = await tokenFor('anna');
    await client.connect();
    await synced(client);
    expect(client.status.current).toMatchObject({ error: null, pendingChanges: 0 });
  },
);

const failing: readonly [string, (storage: BreakableStorage, error: StorageError | null) => void][] = [
  [
    'fails',
    (storage, error) => {
      storage.failure = error;
    },
  ],
  [
    'has no room for what takes the place of all',
    (storage, error) => {
      storage.anew = error;
    },
  ],
];
test.each(failing)(
  '[C10 C7] while storage %s, an erasure loses nothing that was pending, and is carried out when it works',
  async (_, fails) => {
    const server = await useServer();
    const [storage, clock] = [new BreakableStorage(), new ManualClock()];
    const client = testClient({ storage, clock });
    await client.initialize({ serverUrl: server.url, userId: 'anna' });
    await client.addData('notes', { id: 'old' });
    await synced(client);
    await client.disconnect();
    fails(storage, new StorageError('QUOTA', 'The device is full.'));
    await client.addData('notes', { id: 'new' });
    await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
    await client.connect();
    await statusWhere(client, ({ connection }) => connection === 'refused');
    await client.updateData('notes', 'new', { text: 'later' }); // behind what the erasure begins
    expect(client.status.current).toMatchObject({ connection: 'refused', pendingChanges: 2, refused: [] });
    fails(storage, null);
    clock.pass(10_000);
    await statusWhere(client, ({ refused, pendingChanges }) => refused.length === 2 && pendingChanges === 0);
    expect(isErased(client.status.current)).toBe(true);
    expect(await client.getData('notes')).toEqual([]);
    expect((await client.exportRefused()).map(({ records }) => records[0]?.record)).toEqual([
      { id: 'new', text: 'later' },
      { id: 'new', text: 'later' },
    ]);
    await client.retryRefused();
    await client.connect();
    await synced(client);
    const answer = await (await fetch(`${server.url}/api/sync/anna`)).json();
    expect(answer).toMatchObject({ notes: [{ id: 'new', text: 'later' }] });
  },
);

test('[C10 C7] what was stored is deleted after an erasure once storage works', async () => {
  const server = await useServer();
  const storage = new BreakableStorage();
  const client = testClient({ storage });
  await client.initialize({ serverUrl: server.url, userId: 'anna' });
  await client.addData('notes', { id: 'old' });
  await synced(client);
  storage.failure = new StorageError('QUOTA', 'The device is full.');
  await fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
  await statusWhere(client, ({ connection }) => connection === 'refused');
  expect(await client.getData('notes')).toEqual([]);
  storage.failure = null;
  await statusWhere(client, ({ durable }) => durable);
  await client.initialize({ serverUrl: server.url, userId: 'anna', autoConnect: false }); // behind what that begins
  expect(await client.getData('notes')).toEqual([]);
  expect(isErased(client.status.current)).toBe(true);
});
