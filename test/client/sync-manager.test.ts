import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import type { ChangeEvent, SyncOptions } from '../../client/api/api.js';
import { ClientError, RecordError, StorageError, UnsyncedChangesError } from '../../client/errors.js';
import { levelStorage } from '../../client/local-store/level/level.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { settle } from '../support/connection-world.js';
import { closeClients, offlineClient, testClient } from '../support/devices/test-client.js';
import { ManualClock } from '../support/manual-clock.js';

afterEach(closeClients);

const code = (error: unknown): unknown => (error instanceof ClientError ? error.code : error);
const codeOf = async (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'done', code);
const SERVER = { serverUrl: 'http://127.0.0.1:1', autoConnect: false } as const;

describe('writing and reading', () => {
  test('[C1] addData resolves with the id, which it makes where there is none', async () => {
    const client = await offlineClient();
    const id = await client.addData('appointments', { status: 'booked' });
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(await client.getData('appointments')).toEqual([{ id, status: 'booked' }]);
    expect(await client.addData('appointments', { id: 7, status: 'booked' })).toBe('7');
    expect(await client.getLocalData('appointments', '7')).toEqual({ id: 7, status: 'booked' });
  });

  test('[C2] updateData changes the fields that it names, removes undefined ones, and replaces objects', async () => {
    const client = await offlineClient();
    await client.addData('patients', {
      id: 'p',
      name: 'Anna',
      room: 4,
      address: { city: 'Bern', zip: 3000 },
    });
    await client.updateData('patients', 'p', { name: 'Ann', room: undefined, address: { city: 'Basel' } });
    expect(await client.getLocalData('patients', 'p')).toEqual({
      id: 'p',
      name: 'Ann',
      address: { city: 'Basel' },
    });
  });

  test('[C2] updateData of a missing record rejects; deleteData of one does not', async () => {
    const client = await offlineClient();
    expect(await codeOf(client.updateData('patients', 'p', { name: 'Ann' }))).toBe('NOT_FOUND');
    expect(await codeOf(client.deleteData('patients', 'p'))).toBe('done');
    expect(await client.getLocalData('patients', 'p')).toBeNull();
    expect(client.getSyncStatus().pendingChanges).toBe(0);
  });

  test('[C2] addData of a record that is there keeps the fields that it does not name', async () => {
    const client = await offlineClient();
    await client.addData('patients', { id: 'p', name: 'Anna', room: 4 });
    await client.addData('patients', { id: 'p', name: 'Ann' });
    expect(await client.getLocalData('patients', 'p')).toEqual({ id: 'p', name: 'Ann', room: 4 });
  });

  test('[C8] what getData gives may be changed by the app; what screens share stays the same object', async () => {
    const client = await offlineClient();
    await client.addData('patients', { id: 'p', tags: ['a'] });
    const shared = client.getRecord('patients', 'p');
    const [copy] = await client.getData('patients');
    (copy as unknown as { tags: string[] }).tags.push('b');
    expect(client.getRecord('patients', 'p')).toBe(shared);
    expect(shared).toEqual({ id: 'p', tags: ['a'] });
  });

  test('[C1] names and depth that a server refuses are refused here, and nothing changes', async () => {
    const client = await offlineClient();
    const deep = (levels: number): unknown => (levels === 0 ? 1 : { in: deep(levels - 1) });
    const attempts: [Promise<unknown>, string][] = [
      [client.addData('__proto__', { id: 'a' }), 'INVALID_NAME'],
      [client.addData('', { id: 'a' }), 'INVALID_NAME'],
      [client.addData('notes', { id: 'x'.repeat(257) }), 'INVALID_NAME'],
      [client.addData('notes', { id: 1.5 }), 'INVALID_NAME'],
      [client.addData('notes', { id: 'a', in: { constructor: 1 } }), 'INVALID_NAME'],
      [client.addData('notes', { id: 'a', 'a\u0000b': 1 }), 'INVALID_NAME'],
      [client.addData('notes', deep(65) as { id: string }), 'TOO_DEEP'],
      [client.addData('notes', [] as unknown as { id: string }), 'INVALID_RECORD'],
      [client.addData('notes', null as unknown as { id: string }), 'INVALID_RECORD'],
      [client.updateData('notes', 'a', { id: 'b' }), 'INVALID_RECORD'],
    ];
    for (const [attempt, expected] of attempts) expect(await codeOf(attempt)).toBe(expected);
    await expect(client.updateData('notes', 'a', { id: 'b' })).rejects.toBeInstanceOf(RecordError);
    expect(await client.getData('notes')).toEqual([]);
    expect(await codeOf(client.addData('notes', deep(64) as { id: string }))).toBe('done');
  });

  test('before initialize every call says what to do', async () => {
    const client = testClient();
    expect(await codeOf(client.addData('notes', { a: 1 }))).toBe('NOT_INITIALIZED');
    expect(await codeOf(client.getData('notes'))).toBe('NOT_INITIALIZED');
    expect(await codeOf(client.connect())).toBe('NOT_INITIALIZED');
    expect([client.isReady(), client.getConfig(), client.getRecord('notes', 'a')]).toEqual([
      false,
      null,
      null,
    ]);
  });

  test.each([
    ['no options', undefined],
    ['no address', { userId: 'anna' }],
    ['a token that is no function', { ...SERVER, userId: 'anna', getToken: 'secret' }],
    ['a listener that is no function', { ...SERVER, userId: 'anna', onStorageError: true }],
    ['a storage that is none', { ...SERVER, userId: 'anna', storage: 'disk' }],
    ['a schema that is none', { ...SERVER, userId: 'anna', schemas: { notes: { parse: () => {} } } }],
  ])('what is wrong with the options is told before anything is opened: %s', async (_, options) => {
    const client = testClient();
    expect(await codeOf(client.initialize(options as unknown as SyncOptions))).toBe('INVALID_OPTIONS');
    expect(client.isReady()).toBe(false);
  });

  test('[C3] what is asked for while initialize is under way waits for it', async () => {
    const client = testClient();
    const ready = client.initialize({ ...SERVER, userId: 'anna' });
    const id = await client.addData('notes', { text: 'early' });
    await ready;
    expect(client.getRecord('notes', id)).toEqual({ id, text: 'early' });
  });
});

describe('schemas', () => {
  test.each([
    ['zod', z.object({ id: z.string(), room: z.number() })],
    ['valibot', v.object({ id: v.string(), room: v.number() })],
  ])('a record that does not fit the schema is refused, with its place (%s)', async (_, schema) => {
    const client = testClient();
    await client.initialize({ ...SERVER, userId: 'anna', schemas: { rooms: schema } });
    const wrong = await client.addData('rooms', { id: 'a', room: 'four' }).catch((error: unknown) => error);
    expect(wrong).toBeInstanceOf(RecordError);
    expect(wrong).toMatchObject({ code: 'SCHEMA', collection: 'rooms', issues: [{ path: ['room'] }] });
    await client.addData('rooms', { id: 'a', room: 4, extra: 'kept' });
    expect(await codeOf(client.updateData('rooms', 'a', { room: 'five' }))).toBe('SCHEMA');
    await client.updateData('rooms', 'a', { room: 5 });
    expect(await client.getData('rooms')).toEqual([{ id: 'a', room: 5, extra: 'kept' }]);
    expect(client.getSyncStatus().pendingChanges).toBe(2);
  });
});

describe('subscribe', () => {
  test('[C2] tells what came, changed and went, and everything for another user', async () => {
    const client = await offlineClient();
    const events: ChangeEvent[] = [];
    const end = client.subscribe('notes', (event) => events.push(event));
    await client.addData('notes', { id: 'a', text: 'one' });
    await client.updateData('notes', 'a', { text: 'two' });
    await client.deleteData('notes', 'a');
    await client.reconnect('bert');
    expect(events).toEqual([
      { operation: 'add', data: { id: 'a', text: 'one' }, collection: 'notes' },
      { operation: 'update', data: { id: 'a', text: 'two' }, collection: 'notes' },
      { operation: 'delete', data: { id: 'a', text: 'two' }, collection: 'notes' },
      { operation: 'sync', data: [], collection: 'notes' },
    ]);
    end();
    await client.addData('notes', { id: 'b' });
    expect(events).toHaveLength(4);
  });

  test('[C8] a view keeps what did not change, in the order of ids', async () => {
    const client = await offlineClient();
    const view = client.collection('notes');
    for (const id of ['b', 'a', 'c']) await client.addData('notes', { id });
    const before = view.records;
    expect(before.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(view.records).toBe(before);
    await client.updateData('notes', 'b', { text: 'new' });
    await client.deleteData('notes', 'c');
    await client.addData('notes', { id: 'aa' });
    expect(view.records).toEqual([{ id: 'a' }, { id: 'aa' }, { id: 'b', text: 'new' }]);
    expect(view.records[0]).toBe(before[0]);
    expect(before).toHaveLength(3);
  });
});

describe('users and devices', () => {
  test('[C2] each user has data of its own, which is there again after a switch', async () => {
    const client = await offlineClient('anna');
    await client.addData('notes', { id: 'a' });
    await client.reconnect('bert');
    expect(await client.getData('notes')).toEqual([]);
    await client.connect('anna');
    await client.disconnect();
    expect(await client.getData('notes')).toEqual([{ id: 'a' }]);
    expect(client.getConfig()?.userId).toBe('anna');
  });

  test('[C2] a device id that is not given is made once and kept', async () => {
    const storage = memoryStorage();
    const [first, second] = [await offlineClient('anna', storage), await offlineClient('bert', storage)];
    const { deviceId } = first.getConfig() ?? {};
    expect(deviceId).toBeTruthy();
    expect(second.getConfig()?.deviceId).toBe(deviceId);
    await second.updateConfig({ deviceId: 'desk' });
    expect(second.getConfig()?.deviceId).toBe('desk');
  });

  test('[C2] loadSavedConfig tells the last configuration after a restart', async () => {
    const storage = memoryStorage();
    const first = await offlineClient('anna', storage);
    const config = first.getConfig();
    await first.close();
    const again = testClient({ storage });
    expect(await again.loadSavedConfig()).toEqual(config);
    expect(config).toMatchObject({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
    expect(await testClient().loadSavedConfig()).toBeNull();
  });

  test('initialize a second time with the same options keeps what is open', async () => {
    const client = await offlineClient('anna');
    const events: string[] = [];
    client.subscribe('notes', ({ operation }) => events.push(operation));
    await client.initialize({ ...SERVER, userId: 'anna' });
    expect(events).toEqual([]);
  });

  test.each([
    [{ serverUrl: 'ws://host:3001', userId: 'anna' }, /serverUrl/],
    [{ serverUrl: 'http://', userId: 'anna' }, /serverUrl/],
    [{ serverUrl: 'http://host', userId: 'an na' }, /userId/],
    [{ serverUrl: 'http://host', userId: 'anna', deviceId: '' }, /deviceId/],
  ])('an option that is wrong is named: %j', async (options, pattern) => {
    const failed = testClient().initialize(options);
    await expect(failed).rejects.toThrow(pattern);
    await expect(failed).rejects.toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});

describe('leaving', () => {
  test('logout refuses while changes are pending, unless it is forced; then nothing is left', async () => {
    const storage = memoryStorage();
    const client = await offlineClient('anna', storage);
    await client.addData('notes', { id: 'a' });
    const refused = await client.logout().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(UnsyncedChangesError);
    expect(refused).toMatchObject({ pendingChanges: 1 });
    expect(await client.getData('notes')).toEqual([{ id: 'a' }]);
    await client.logout({ force: true });
    expect(client.status.current).toMatchObject({
      connection: 'closed',
      pendingChanges: 0,
      lastSyncedAt: null,
    });
    expect(await codeOf(client.getData('notes'))).toBe('NOT_INITIALIZED');
    const again = await offlineClient('anna', storage);
    expect(await again.getData('notes')).toEqual([]);
    expect(again.getSyncStatus().pendingChanges).toBe(0);
  });

  test('[C2] clearSyncData refuses alike, and leaves an empty copy that works', async () => {
    const client = await offlineClient();
    await client.addData('notes', { id: 'a' });
    expect(await codeOf(client.clearSyncData())).toBe('UNSYNCED_CHANGES');
    await client.clearSyncData({ force: true });
    expect(await client.getData('notes')).toEqual([]);
    await client.addData('notes', { id: 'b' });
    expect(client.getSyncStatus()).toMatchObject({ connected: false, pendingChanges: 1 });
  });

  test('[C7] where local data can not be deleted, logout says so and the data stays', async () => {
    const storage = new BreakableStorage();
    const client = await offlineClient('anna', storage);
    await client.addData('notes', { id: 'a' });
    const { StorageError } = await import('../../client/errors.js');
    storage.failure = new StorageError('BLOCKED', 'Another tab holds it.');
    await expect(client.logout({ force: true })).rejects.toMatchObject({ code: 'BLOCKED' });
  });

  test('close ends it; initialize begins anew', async () => {
    const storage = memoryStorage();
    const client = await offlineClient('anna', storage);
    await client.addData('notes', { id: 'a' });
    await client.close();
    expect(client.isReady()).toBe(false);
    await client.initialize({ ...SERVER, userId: 'anna' });
    expect(await client.getData('notes')).toEqual([{ id: 'a' }]);
  });
});

test('[C7] a failure of storage is told to the app, and the status says that nothing is stored', async () => {
  const { StorageError } = await import('../../client/errors.js');
  const storage = new BreakableStorage();
  const told: unknown[] = [];
  const client = testClient({ storage });
  await client.initialize({ ...SERVER, userId: 'anna', onStorageError: (error) => told.push(error?.code) });
  expect(client.status.current.durable).toBe(true);
  storage.failure = new StorageError('QUOTA', 'The device is full.');
  await client.addData('notes', { id: 'a' });
  expect(told).toEqual(['QUOTA']);
  expect(client.status.current).toMatchObject({
    durable: false,
    pendingChanges: 1,
    error: { code: 'QUOTA' },
  });
});

describe('[C12] a store that can not be opened', () => {
  const damages: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
    'has a folder for a lock': async (folder) => {
      await rm(join(folder, 'users', 'n-anna', 'LOCK'));
      await mkdir(join(folder, 'users', 'n-anna', 'LOCK'));
    },
    'is a file': async (folder) => {
      await rm(join(folder, 'users', 'n-anna'), { recursive: true });
      await writeFile(join(folder, 'users', 'n-anna'), 'no folder');
    },
  };

  test.each(Object.keys(damages))('and %s is cleared with force, and stores again', async (what) => {
    const folder = await mkdtemp(join(tmpdir(), 'device-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const start = async (): Promise<SyncManager> => {
      const client = testClient({ storage: levelStorage(folder) });
      await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
      return client;
    };
    const first = await start();
    await first.addData('notes', { id: 'a' });
    await first.close();
    await damages[what]?.(folder);
    const client = await start();
    expect(client.status.current.durable).toBe(false);
    const before = await readdir(join(folder, 'users'));
    await expect(client.logout()).rejects.toBeInstanceOf(StorageError); // it may hold what nobody else has
    expect(await readdir(join(folder, 'users'))).toEqual(before);
    await client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
    await client.clearSyncData({ force: true });
    await client.addData('notes', { id: 'b' });
    expect(client.status.current).toMatchObject({ durable: true, error: null });
    await client.close();
    const last = await start();
    expect(await last.getData('notes')).toEqual([{ id: 'b' }]);
    await last.logout({ force: true });
  });
});

test('[C12] storage that hangs in all it is asked holds initialize for less than 5 s', async () => {
  const clock = new ManualClock();
  const hangs = (): Promise<never> => new Promise(() => {});
  const storage = { ...memoryStorage(), durable: true, open: hangs, readSetting: hangs, writeSetting: hangs };
  const client = testClient({ storage, clock });
  let isReady = false;
  const ready = client.initialize({ serverUrl: 'http://127.0.0.1:1', userId: 'anna', autoConnect: false });
  void ready.then(() => {
    isReady = true;
  });
  let waited = 0;
  for (; !isReady && waited < 20_000; waited += 100) {
    clock.pass(100);
    await settle();
  }
  expect(waited).toBeLessThan(5_000);
  expect(client.status.current).toMatchObject({ durable: false, error: { code: 'BLOCKED' } });
  await client.addData('notes', { id: 'a' });
  expect(await client.getData('notes')).toEqual([{ id: 'a' }]);
});
