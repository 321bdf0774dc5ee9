/** Devices whose document the server writes anew while they are there, or away (P10). */
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { StorageError } from '../../../client/errors.js';
import { indexedDbStorage } from '../../../client/local-store/indexeddb/indexeddb.js';
import { memoryStorage } from '../../../client/local-store/memory.js';
import type { DeviceStorage } from '../../../client/local-store/store.js';
import type { Platform } from '../../../client/platform/platform.js';
import { standardParts } from '../../../client/platform/standard.js';
import type { SyncStatus } from '../../../client/status.js';
import type { SyncManager } from '../../../client/sync-manager.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { closeClients, onDisk, statusWhere, synced, testClient } from '../../support/devices/test-client.js';
import { emptyIndexedDb } from '../../support/fake-indexeddb.js';
import { FaultyNetwork } from '../../support/faulty-network.js';
import { type RewritingServer, useRewriting } from '../../support/rewriting-server.js';
import { JWT, tokenFor } from '../../support/tokens.js';

afterEach(closeClients);

async function open(
  { url }: RewritingServer,
  parts: Partial<Platform> = {},
  options: { autoConnect?: boolean; sharedCollections?: string[]; getToken?: () => Promise<string> } = {},
): Promise<SyncManager> {
  const client = testClient(parts);
  await client.initialize({ serverUrl: url, userId: 'anna', ...options });
  return client;
}

const notesOn = async ({ url }: RewritingServer): Promise<unknown> => {
  const all = (await (await fetch(`${url}/api/sync/anna`)).json()) as Record<string, unknown>;
  return all.notes;
};

/** What a screen could show that would alarm somebody. */
function alarms(client: SyncManager): SyncStatus[] {
  const seen: SyncStatus[] = [];
  client.status.subscribe((status) => {
    const isBad = status.connection === 'refused' || status.connection === 'needs-token';
    if (isBad || status.error !== null || status.refused.length > 0) seen.push(status);
  });
  return seen;
}

/** Nobody waits for more than half a second. */
const soon: Platform['clock'] = {
  ...standardParts.clock,
  after: (ms, task) => standardParts.clock.after(Math.min(ms, 500), task),
};

const ways: [string, Partial<Platform>][] = [
  ['a socket', {}],
  ['HTTP', { WebSocket: undefined }],
];
const stores: [string, () => Promise<DeviceStorage>][] = [
  ['memory', async () => memoryStorage()],
  ['a disk', onDisk],
  [
    'IndexedDB',
    async () => {
      emptyIndexedDb();
      return indexedDbStorage();
    },
  ],
];

describe.each(stores)('[P10 C4] a device with %s', (_, storageOf) => {
  test.each(ways)('that was away goes on over %s with what it had not sent', async (_, parts) => {
    const server = await useRewriting();
    const [away, other] = [await open(server, { ...parts, storage: await storageOf() }), await open(server)];
    const list = [
      { id: 1, dose: 1 },
      { id: 2, dose: 1 },
    ];
    await away.addData('notes', { id: 'a', mine: 1, theirs: 1, list });
    await away.addData('notes', { id: 'gone' });
    await away.forceSync();
    await synced(other);
    const seen = alarms(away);
    await away.disconnect();
    await away.updateData('notes', 'a', { mine: 2 });
    await away.updateData('notes', 'a', {
      list: [
        { id: 2, dose: 1 },
        { id: 3, dose: 1 },
      ],
    });
    await away.addData('notes', { id: 'new' });
    await away.deleteData('notes', 'gone');
    await other.updateData('notes', 'a', { theirs: 2, list: [list[0], { id: 2, dose: 9 }] });
    await synced(other);
    await server.rewrite();
    await server.rewrite();
    expect(away.status.current.pendingChanges).toBe(4);
    const shown: number[] = [];
    const notes = away.collection('notes');
    notes.subscribe(() => shown.push(notes.records.length));
    await away.connect();
    await synced(away);
    const wanted = [
      {
        id: 'a',
        mine: 2,
        theirs: 2,
        list: [
          { id: 2, dose: 9 },
          { id: 3, dose: 1 },
        ],
      },
      { id: 'new' },
    ];
    expect(await notesOn(server)).toEqual(wanted);
    expect(notes.records).toEqual(wanted);
    expect([seen, away.status.current.refused]).toEqual([[], []]);
    expect(Math.min(...shown)).toBeGreaterThan(0);
    // A start later all is as it was.
    await away.close();
    await away.initialize({ serverUrl: server.url, userId: 'anna', autoConnect: false });
    expect(await away.getData('notes')).toEqual(wanted);
    expect(away.status.current.pendingChanges).toBe(0);
  });
});

describe('[P10] a device that is connected', () => {
  test.each(ways)(
    'goes on over %s, shows the same objects all the time, and tells only what differs',
    async (_, parts) => {
      const server = await useRewriting();
      const [client, other] = [await open(server, parts), await open(server)];
      for (const id of ['a', 'b']) await client.addData('notes', { id, n: 1 });
      await client.forceSync();
      const seen = alarms(client);
      const notes = client.collection('notes');
      const before = [...notes.records];
      const told: (string[] | null)[] = [];
      notes.subscribe((ids) => told.push(ids && [...ids]));
      await server.rewrite();
      await client.addData('notes', { id: 'c', n: 1 });
      await client.forceSync();
      await statusWhere(other, ({ connection }) => connection === 'online');
      await other.updateData('notes', 'b', { n: 2 });
      await synced(other);
      await client.forceSync();
      await statusWhere(client, () => client.getRecord('notes', 'b')?.n === 2);
      expect(told).toEqual([['c'], ['b']]);
      expect(notes.records[0]).toBe(before[0]);
      expect(seen).toEqual([]);
      expect(client.status.current.pendingChanges).toBe(0);
    },
  );

  test('two tabs that share a store follow, and what both write meanwhile arrives once', async () => {
    const server = await useRewriting();
    emptyIndexedDb();
    const storage = indexedDbStorage();
    const tabs = [await open(server, { storage }), await open(server, { storage })] as const;
    await tabs[0].addData('notes', { id: 'a', list: ['x'] });
    await Promise.all(tabs.map(synced));
    const rewriting = server.rewrite();
    const ids: string[] = [];
    let isDone = false;
    void rewriting.then(() => {
      isDone = true;
    });
    for (let n = 0; n < 40 || !isDone; n++) {
      const id = `n${String(n).padStart(4, '0')}`;
      await tabs[n % 2 === 0 ? 0 : 1].addData('notes', { id, n });
      ids.push(id);
      await wait(isDone || n < 20 ? 5 : 150);
    }
    await rewriting;
    for (const tab of tabs) {
      await synced(tab);
      await statusWhere(tab, () => tab.collection('notes').records.length === ids.length + 1);
      expect(tab.collection('notes').records.map(({ id }) => id)).toEqual(['a', ...ids]);
      expect(tab.status.current.refused).toEqual([]);
    }
    expect(await notesOn(server)).toHaveLength(ids.length + 1);
  });

  test('may be one that only reads', async () => {
    const server = await useRewriting(JWT);
    const [read, write] = [
      await tokenFor('bob', { access: [{ user: 'anna', mode: 'read' }] }),
      await tokenFor('anna'),
    ];
    const reader = await open(server, {}, { getToken: async () => read });
    const writer = await open(server, {}, { getToken: async () => write });
    await writer.addData('notes', { id: 'a' });
    await synced(writer);
    await statusWhere(reader, () => reader.getRecord('notes', 'a') !== null);
    await server.rewrite('anna', write);
    await writer.addData('notes', { id: 'b' });
    await synced(writer);
    await statusWhere(reader, () => reader.getRecord('notes', 'b') !== null);
    await statusWhere(reader, ({ connection }) => connection === 'online');
  });

  test('has the shared document (D8) written anew apart from its own', async () => {
    const server = await useRewriting({ SHARED_COLLECTIONS: 'doctors' });
    const [client, other] = [
      await open(server, {}, { sharedCollections: ['doctors'] }),
      await open(server, {}, { sharedCollections: ['doctors'] }),
    ];
    await client.addData('doctors', { id: 'd' });
    await client.addData('notes', { id: 'a' });
    await Promise.all([synced(client), synced(other)]);
    await other.disconnect();
    await other.updateData('doctors', 'd', { name: 'Kim' });
    await other.updateData('notes', 'a', { n: 1 });
    await server.rewrite('~shared');
    await server.rewrite();
    await other.connect();
    await synced(other);
    await synced(client);
    await statusWhere(client, () => client.getRecord('doctors', 'd')?.name === 'Kim');
    await statusWhere(client, () => client.getRecord('notes', 'a')?.n === 1);
    expect(other.status.current.refused).toEqual([]);
  });
});

/** Lines on which what this device sends arrives, and answers get lost. */
function losing() {
  const network = new FaultyNetwork();
  let isLost = false;
  const get: Platform['fetch'] = async (...request) => {
    const answer = await standardParts.fetch(...request);
    if (isLost) throw new TypeError('fetch failed');
    return answer;
  };
  const become = (lost: boolean): void => {
    isLost = lost;
    for (let n = 0; n < 10; n++) if (lost) network.loseSome();
    if (!lost) network.loseNone();
  };
  return { parts: { WebSocket: network.WebSocket, fetch: get }, become };
}

describe('[P10 C4] what arrived, and was never answered', () => {
  test.each(ways)('over %s is not done once more over what others did since', async (_, way) => {
    const server = await useRewriting();
    const { parts, become } = losing();
    const [away, other] = [await open(server, { ...parts, ...way }), await open(server)];
    await away.addData('notes', { id: 'a', x: 1, tags: ['one'] });
    await away.addData('notes', { id: 'gone', old: true });
    await synced(away);
    await expect.poll(() => other.collection('notes').records).toHaveLength(2);
    become(true);
    await away.updateData('notes', 'a', { x: 2, tags: ['one', 'two'] });
    await away.deleteData('notes', 'gone');
    void away.forceSync().catch(() => {});
    await expect.poll(() => other.getRecord('notes', 'gone')).toBeNull();
    await away.disconnect();
    expect(away.status.current.pendingChanges).toBe(2);
    await away.updateData('notes', 'a', { y: 1 });
    await other.addData('notes', { id: 'gone', again: true });
    await other.updateData('notes', 'a', { x: 1, tags: ['two'] });
    await synced(other);
    await server.rewrite();
    become(false);
    await away.connect();
    await synced(away);
    const wanted = [
      { id: 'a', x: 1, y: 1, tags: ['two'] },
      { id: 'gone', again: true },
    ];
    expect(await notesOn(server)).toEqual(expect.arrayContaining(wanted));
    expect(away.collection('notes').records).toEqual(wanted);
    expect(away.status.current.refused).toEqual([]);
  });
});

describe('[P10 D5] where two have changed the same field', () => {
  test.each([
    ['the later one is of the device that was away', 60_000, 'mine'],
    ['the later one is of the other one', -60_000, 'theirs'],
  ])('%s: it stays', async (_, ahead, winner) => {
    const server = await useRewriting({ HISTORY_DAYS: '0' });
    let shift = 0;
    const { clock } = standardParts;
    const away = await open(server, { clock: { ...clock, now: () => Date.now() + shift } });
    const other = await open(server);
    await away.addData('notes', { id: 'a', x: 'first', plain: 1 });
    await synced(away);
    await statusWhere(other, () => other.getRecord('notes', 'a') !== null);
    await away.disconnect();
    shift = Math.min(ahead, 0);
    if (ahead < 0) await away.updateData('notes', 'a', { x: 'mine' });
    shift = 0;
    await other.updateData('notes', 'a', { x: 'theirs' });
    await synced(other);
    if (ahead > 0) {
      await wait(5);
      await away.updateData('notes', 'a', { x: 'mine' });
    }
    await server.rewrite();
    await away.connect();
    await synced(away);
    await synced(other);
    for (const client of [away, other])
      await statusWhere(client, () => client.getRecord('notes', 'a')?.x === winner);
    expect(await notesOn(server)).toEqual([{ id: 'a', x: winner, plain: 1 }]);
  });
});

describe('[P10 C7] a device that has its data in memory, as its storage fails', () => {
  test('goes on with the new document there; once storage works, it has that, and what waited in it', async () => {
    const server = await useRewriting();
    const [storage, other] = [new BreakableStorage(), await open(server)];
    const first = await open(server, { storage });
    await first.addData('notes', { id: 'a', x: 1 });
    await synced(first);
    await first.disconnect();
    await first.updateData('notes', 'a', { waited: true });
    await first.close();

    const down = new StorageError('UNAVAILABLE', 'There is no storage.');
    storage.failure = down;
    const told: (string | null)[] = [];
    const client = testClient({ storage, clock: soon });
    const onStorageError = (error: StorageError | null): void => void told.push(error?.code ?? null);
    await client.initialize({ serverUrl: server.url, userId: 'anna', onStorageError });
    await synced(client);
    expect(client.collection('notes').records).toEqual([{ id: 'a', x: 1 }]);
    await server.rewrite();
    await client.addData('notes', { id: 'b' });
    await synced(client);
    await synced(other);
    await other.updateData('notes', 'a', { x: 2 });
    await expect.poll(() => client.getRecord('notes', 'a')?.x).toBe(2);
    expect(client.status.current).toMatchObject({ durable: false, error: { code: 'UNAVAILABLE' } });

    storage.failure = null;
    await statusWhere(client, ({ durable }) => durable);
    expect(told.at(-1)).toBeNull();
    await synced(client);
    const wanted = [{ id: 'a', x: 2, waited: true }, { id: 'b' }];
    expect(client.collection('notes').records).toEqual(wanted);
    await expect.poll(() => notesOn(server)).toEqual(expect.arrayContaining(wanted));
    await client.close();
    await client.initialize({ serverUrl: server.url, userId: 'anna', autoConnect: false });
    expect(client.collection('notes').records).toEqual(wanted);
    expect(client.status.current).toMatchObject({ pendingChanges: 0, refused: [] });
  });
});

test.each(ways)(
  '[P10 C7] one that starts while storage fails, over %s, has what waited there too',
  async (_, parts) => {
    const server = await useRewriting();
    const storage = new BreakableStorage();
    const first = await open(server, { storage });
    for (const id of ['a', 'b', 'c', 'd', 'e', 'kept']) await first.addData('notes', { id });
    await synced(first);
    await first.disconnect();
    for (const id of ['a', 'b', 'c', 'd']) await first.deleteData('notes', id);
    await first.updateData('notes', 'e', { waited: true });
    await first.close();
    await server.rewrite();

    storage.failure = new StorageError('UNAVAILABLE', 'There is no storage.');
    const client = await open(server, { ...parts, storage, clock: soon });
    await synced(client);
    expect(client.collection('notes').records).toHaveLength(6);
    storage.failure = null;
    await statusWhere(client, ({ durable }) => durable);
    await synced(client);
    const wanted = [{ id: 'e', waited: true }, { id: 'kept' }];
    expect(client.collection('notes').records).toEqual(wanted);
    await expect.poll(() => notesOn(server)).toEqual(wanted);
    expect(client.status.current).toMatchObject({ pendingChanges: 0, refused: [] });
  },
);

describe('[P10 C12] local storage', () => {
  test('that has no room for the new document now takes it later; nothing is lost meanwhile', async () => {
    const server = await useRewriting();
    const storage = new BreakableStorage();
    const client = await open(server, { storage, clock: soon });
    await client.addData('notes', { id: 'a' });
    await synced(client);
    storage.anew = new StorageError('QUOTA', 'There is no room.');
    await server.rewrite();
    await statusWhere(client, ({ reason }) => reason?.includes('There is no room.') ?? false);
    await client.addData('notes', { id: 'b' });
    expect(client.status.current.pendingChanges).toBe(1);
    expect(client.collection('notes').records).toHaveLength(2);
    storage.anew = null;
    await synced(client);
    expect(await notesOn(server)).toEqual([{ id: 'a' }, { id: 'b' }]);
  });
});
