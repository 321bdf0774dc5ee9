/** What the server refuses holds up nothing else, and is kept on the device and named (C11). */
import { setImmediate } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { StorageError } from '../../client/errors.js';
import { asyncStorage } from '../../client/local-store/async-storage/async-storage.js';
import { memoryStorage } from '../../client/local-store/memory.js';
import type { DeviceStorage } from '../../client/local-store/store.js';
import type { Platform } from '../../client/platform/platform.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { AsyncItems } from '../support/async-items.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { closeClients, onDisk, statusWhere, synced, testClient } from '../support/devices/test-client.js';
import type { TestServer } from '../support/server.js';
import { useServer } from '../support/use.js';
import { inTime } from '../support/wait.js';

afterEach(closeClients);

async function idsOn({ url }: TestServer, collection = 'notes'): Promise<string[]> {
  const all = (await (await fetch(`${url}/api/sync/anna`)).json()) as Record<string, { id: string }[]>;
  return (all[collection] ?? []).map(({ id }) => id).sort();
}

async function open(
  server: TestServer,
  parts: Partial<Platform> = {},
  autoConnect = true,
): Promise<SyncManager> {
  const client = testClient(parts);
  await client.initialize({ serverUrl: server.url, userId: 'anna', autoConnect });
  return client;
}

const refusedIds = (client: SyncManager): (string | null)[] =>
  client.status.current.refused.map(({ id }) => id);

const shows = (client: SyncManager, id: string): Promise<void> =>
  inTime(
    new Promise((resolve) => {
      const look = (): void => {
        if (client.getRecord('notes', id) !== null) resolve();
      };
      client.collection('notes').subscribe(look);
      look();
    }),
    () => `the record ${id}`,
  );

/** More structs than `MAX_STRUCTS` allows in one update. */
const FEW_STRUCTS = { MAX_STRUCTS: '200' };
const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]));

const ways: [string, Partial<Platform>][] = [
  ['a socket', {}],
  ['HTTP', { WebSocket: undefined }],
];

describe.each(ways)('[C11] over %s', (_, parts) => {
  test.each([
    ['the first of 50', 50, [0]],
    ['the last of 50', 50, [49]],
    ['three among 40', 40, [3, 4, 30]],
    ['the only one', 1, [0]],
  ])('%s is refused: it is named, and the others arrive', async (_, count, refused) => {
    const server = await useServer(FEW_STRUCTS);
    const client = await open(server, { ...parts, storage: await onDisk() }, false);
    const ids = Array.from({ length: count }, (_, i) => `n${String(i).padStart(2, '0')}`);
    for (const [i, id] of ids.entries())
      await client.addData('notes', { id, ...(refused.includes(i) && many) });
    await client.connect();
    await statusWhere(client, (status) => status.refused.length === refused.length);
    await synced(client);
    const gone = refused.map((i) => ids[i]);
    expect(await idsOn(server)).toEqual(ids.filter((id) => !gone.includes(id)));
    expect(refusedIds(client)).toEqual(gone);
    expect(client.status.current).toMatchObject({
      pendingChanges: 0,
      error: null,
      refused: gone.map((id) => ({ collection: 'notes', id, code: 'UPDATE_TOO_COSTLY' })),
    });
    // What is shown is what the server has.
    expect((await client.getData('notes')).map(({ id }) => id)).toEqual(await idsOn(server));
    const exported = await client.exportRefused();
    expect(exported.map(({ records }) => records)).toEqual(
      gone.map((id) => [{ collection: 'notes', id, record: { id, ...many } }]),
    );
  });

  test('what others write arrives meanwhile, and later changes go on', async () => {
    const server = await useServer(FEW_STRUCTS);
    const [client, other] = [await open(server, parts), await open(server)];
    await client.addData('notes', { id: 'big', ...many });
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await other.addData('notes', { id: 'theirs' });
    await client.addData('notes', { id: 'small' });
    await synced(other);
    await synced(client);
    expect(await idsOn(server)).toEqual(['small', 'theirs']);
    if (parts.WebSocket === undefined && 'WebSocket' in parts) await client.forceSync();
    await shows(client, 'theirs');
  });
});

describe('[C11] each kind of refusal', () => {
  const long = (bytes: number) => ({ text: 'x'.repeat(bytes) });

  test.each([
    [
      'larger than a message may be',
      { MAX_NATIVE_MESSAGE: '64 KB', MAX_HTTP_BODY: '64 KB', MAX_DOCUMENT: '64 KB' },
      'MESSAGE_TOO_LARGE',
      long(80_000),
    ],
    [
      'nested too deep for this server',
      { MAX_DEPTH: '4' },
      'MALFORMED_UPDATE',
      { a: { b: { c: { d: { e: { f: 1 } } } } } },
    ],
    ['a document without room', { MAX_DOCUMENT: '60 KB' }, 'DOCUMENT_FULL', long(61_000)],
  ])('%s', async (_, limits, code, fields) => {
    const server = await useServer(limits);
    const client = await open(server);
    await client.addData('notes', { id: 'a' });
    await client.addData('notes', { id: 'refused', ...fields });
    await client.addData('notes', { id: 'b' });
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await synced(client);
    expect(await idsOn(server)).toEqual(['a', 'b']);
    expect(client.status.current.refused).toMatchObject([{ id: 'refused', code }]);
  });

  test('one that the rates let through only once is named with the reason of the server', async () => {
    const limits = { MAX_NATIVE_MESSAGE: '1 MB', MAX_HTTP_BODY: '1 MB', MAX_DOCUMENT: '1 MB' };
    const server = await useServer({ ...limits, BYTE_BURST: '6 MB', BYTE_RATE: '1 KB' });
    const client = await open(server);
    await client.addData('notes', { id: 'refused', ...long(5_000_000) });
    await client.addData('notes', { id: 'b' });
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await synced(client);
    expect(await idsOn(server)).toEqual(['b']);
    expect(client.status.current.refused).toMatchObject([{ id: 'refused', code: 'MESSAGE_TOO_LARGE' }]);
  });
});

describe('[C11] what was set aside', () => {
  async function refusedOn(storage: DeviceStorage): Promise<[TestServer, SyncManager]> {
    const server = await useServer(FEW_STRUCTS);
    const client = await open(server, { storage });
    await client.addData('notes', { id: 'big', ...many });
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await synced(client);
    return [server, client];
  }

  test.each([
    ['LevelDB', onDisk],
    ['AsyncStorage', async () => asyncStorage(new AsyncItems())],
  ])('is there after a restart, and until it is discarded, in %s', async (_, storageOf) => {
    const storage = await storageOf();
    const [server, client] = await refusedOn(storage);
    const before = client.status.current.refused;
    await client.close();
    const again = await open(server, { storage });
    expect(again.status.current.refused).toEqual(before);
    await expect(again.discardRefused('none')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await again.discardRefused(before[0]?.key);
    expect(again.status.current.refused).toEqual([]);
    await again.close();
    const last = await open(server, { storage });
    expect(last.status.current.refused).toEqual([]);
  });

  test('holds up a logout, unless it is forced, and then it is gone', async () => {
    const storage = await onDisk();
    const [server, client] = await refusedOn(storage);
    await expect(client.logout()).rejects.toMatchObject({
      code: 'UNSYNCED_CHANGES',
      pendingChanges: 0,
      refusedChanges: 1,
      message: expect.stringContaining('refused'),
    });
    await client.logout({ force: true });
    expect(client.status.current.refused).toEqual([]);
    const again = await open(server, { storage });
    expect(again.status.current.refused).toEqual([]);
  });

  test('goes with a guest into an account', async () => {
    const [, client] = await refusedOn(await onDisk());
    await client.moveTo('bert');
    expect(refusedIds(client)).toEqual(['big']);
  });

  test('is refused again when it is retried without a cause, and is there once', async () => {
    const [, client] = await refusedOn(await onDisk());
    const [first] = client.status.current.refused;
    await client.retryRefused();
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await synced(client);
    expect(client.status.current.refused[0]?.key).not.toBe(first?.key);
    expect(refusedIds(client)).toEqual(['big']);
  });
});

describe('[C11] while a change is being set aside', () => {
  test('what is written meanwhile is kept, counted and sent, and no screen is empty', async () => {
    const server = await useServer(FEW_STRUCTS);
    const client = await open(server, { storage: await onDisk() });
    await client.addData('notes', { id: 'first' });
    await synced(client);
    const shown: number[] = [];
    const notes = client.collection('notes');
    notes.subscribe(() => shown.push(notes.records.length));
    const ids = ['first'];
    for (let i = 0; i < 150; i++) {
      if (i === 20 || i === 90) await client.addData('notes', { id: `big${i}`, ...many });
      await client.addData('notes', { id: `n${i}`, i });
      ids.push(`n${i}`);
      await setImmediate();
    }
    await statusWhere(client, ({ refused }) => refused.length === 2);
    await synced(client);
    expect(await idsOn(server)).toEqual(ids.sort());
    expect(notes.records.map(({ id }) => id)).toEqual(ids);
    expect(refusedIds(client)).toEqual(['big20', 'big90']);
    expect(Math.min(...shown)).toBeGreaterThan(0);
  });

  test('[C8] records that stay as they are keep their objects, and only what differs is told', async () => {
    const server = await useServer(FEW_STRUCTS);
    const client = await open(server);
    for (const id of ['a', 'b']) await client.addData('notes', { id });
    await synced(client);
    const notes = client.collection('notes');
    const before = [...notes.records];
    const told: (string[] | null)[] = [];
    notes.subscribe((ids) => told.push(ids === null ? null : [...ids]));
    await client.addData('notes', { id: 'big', ...many });
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await synced(client);
    expect(told).toEqual([['big'], ['big']]);
    expect(notes.records).toHaveLength(2);
    for (const [i, record] of notes.records.entries()) expect(record).toBe(before[i]);
  });

  test('two tabs that share a store name it once, and both show what the server has', async () => {
    const server = await useServer(FEW_STRUCTS);
    const storage = memoryStorage();
    const [one, two] = [await open(server, { storage }), await open(server, { storage })];
    await Promise.all([synced(one), synced(two)]);
    await two.addData('notes', { id: 'before' });
    await one.addData('notes', { id: 'big', ...many });
    await two.addData('notes', { id: 'after' });
    for (const client of [one, two]) {
      await statusWhere(client, ({ refused }) => refused.length === 1);
      await synced(client);
      await shows(client, 'after');
      expect((await client.getData('notes')).map(({ id }) => id)).toEqual(['after', 'before']);
      expect(refusedIds(client)).toEqual(['big']);
    }
    expect(await idsOn(server)).toEqual(['after', 'before']);
    await two.discardRefused();
    await statusWhere(one, ({ refused }) => refused.length === 0);
  });

  test('a device without room keeps it pending, tells of it, and sets it aside when there is room', async () => {
    const server = await useServer(FEW_STRUCTS);
    const storage = new BreakableStorage();
    const client = await open(server, { storage });
    await synced(client);
    storage.anew = new StorageError('QUOTA', 'No room.');
    await client.addData('notes', { id: 'big', ...many });
    await statusWhere(client, ({ error }) => error !== null);
    await inTime(storage.refusedAnew, () => 'an attempt');
    await client.addData('notes', { id: 'small' });
    expect(client.status.current).toMatchObject({ pendingChanges: 2, refused: [], durable: true });
    expect(client.getRecord('notes', 'big')).not.toBeNull();
    storage.anew = null;
    await client.connect();
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await synced(client);
    expect(await idsOn(server)).toEqual(['small']);
  });

  test('storage that fails holds it up, and it goes on when it works', async () => {
    const server = await useServer(FEW_STRUCTS);
    const storage = new BreakableStorage();
    const client = await open(server, { WebSocket: undefined, storage });
    await client.forceSync();
    storage.failure = new StorageError('UNAVAILABLE', 'Gone.');
    await client.addData('notes', { id: 'big', ...many });
    await client.addData('notes', { id: 'small' });
    await client.forceSync().catch(() => {});
    expect(client.status.current).toMatchObject({ pendingChanges: 2, refused: [], durable: false });
    storage.failure = null;
    await statusWhere(client, ({ durable }) => durable);
    await client.connect();
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await synced(client);
    expect(await idsOn(server)).toEqual(['small']);
  });

  test.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'an app that is killed at write %i of the store loses and doubles nothing',
    async (at) => {
      const server = await useServer(FEW_STRUCTS);
      const storage = new BreakableStorage();
      const client = await open(server, { storage }, false);
      for (const id of ['a', 'b']) await client.addData('notes', { id });
      await client.addData('notes', { id: 'big', ...many });
      await client.addData('notes', { id: 'c' });
      let writes = 0;
      storage.onWrite = () => {
        if (writes++ === at) storage.kill();
      };
      await client.connect();
      await statusWhere(
        client,
        ({ pendingChanges, refused }) => writes > at || pendingChanges + refused.length === 1,
      );
      const again = await open(server, { storage });
      await statusWhere(again, ({ refused }) => refused.length === 1);
      await synced(again);
      expect(await idsOn(server)).toEqual(['a', 'b', 'c']);
      expect(refusedIds(again)).toEqual(['big']);
      expect(again.status.current.pendingChanges).toBe(0);
    },
  );
});

describe('[C11] where a change is not found over HTTP', () => {
  const noHttp: Platform['fetch'] = () => Promise.reject(new Error('no HTTP here'));
  /** A proxy that takes no body as large as that. */
  const smallBodies: Platform['fetch'] = (url, init) =>
    init.body.length > 20_000
      ? Promise.resolve(new Response('too large', { status: 413 }))
      : fetch(url, init as RequestInit);

  test.each([
    ['no HTTP gets through', noHttp, FEW_STRUCTS, many],
    ['a proxy takes no large bodies', smallBodies, { MAX_DOCUMENT: '60 KB' }, { text: 'x'.repeat(61_000) }],
  ])('since %s, it is over sockets', async (_, http, limits, fields) => {
    const server = await useServer(limits);
    const client = await open(server, { storage: await onDisk(), fetch: http, random: () => 0 }, false);
    for (const id of ['a', 'b']) await client.addData('notes', { id });
    await client.addData('notes', { id: 'big', ...fields });
    for (const id of ['c', 'd']) await client.addData('notes', { id });
    await client.connect();
    await statusWhere(client, ({ refused }) => refused.length === 1);
    await statusWhere(
      client,
      ({ connection, pendingChanges }) => connection === 'online' && pendingChanges === 0,
    );
    expect(await idsOn(server)).toEqual(['a', 'b', 'c', 'd']);
    expect(client.status.current.refused).toMatchObject([
      { id: 'big', code: 'REFUSED', reason: expect.stringMatching(/./) },
    ]);
    expect((await client.getData('notes')).map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd']);
  });
});

test('[C11] of what a guest brings along, one record that is refused holds up no other', async () => {
  const server = await useServer(FEW_STRUCTS);
  const client = testClient({ storage: await onDisk() });
  await client.initialize({ serverUrl: server.url, userId: 'guest', autoConnect: false });
  for (const id of ['a', 'b', 'c']) await client.addData('notes', { id });
  await client.addData('notes', { id: 'big', ...many });
  await client.moveTo('anna');
  await client.connect();
  await statusWhere(client, ({ refused }) => refused.length === 1);
  await synced(client);
  expect(await idsOn(server)).toEqual(['a', 'b', 'c']);
  expect(refusedIds(client)).toEqual(['big']);
});

test.each(ways)('[C11] forceSync over %s resolves once the rest has arrived', async (_, parts) => {
  const server = await useServer(FEW_STRUCTS);
  const client = await open(server, parts, false);
  for (const id of ['a', 'big1', 'b', 'big2', 'c'])
    await client.addData('notes', { id, ...(id.startsWith('big') && many) });
  await client.forceSync();
  expect(await idsOn(server)).toEqual(['a', 'b', 'c']);
  expect(refusedIds(client)).toEqual(['big1', 'big2']);
  expect(client.status.current).toMatchObject({ connection: 'offline', pendingChanges: 0 });
});
