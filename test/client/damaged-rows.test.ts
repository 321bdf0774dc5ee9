/** A damaged row of the local store: what was made after it counts, is sent, and sync goes on (C12). */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { levelStorage } from '../../client/local-store/level/level.js';
import type { DeviceStorage } from '../../client/local-store/store.js';
import type { WebSocketConstructor } from '../../client/platform/platform.js';
import type { SyncManager } from '../../client/sync-manager.js';
import { BreakableStorage } from '../support/breakable-storage.js';
import { closeClients, synced, testClient } from '../support/devices/test-client.js';
import { startServer } from '../support/server.js';

const RECORDS = 25;
const OFFLINE = { serverUrl: 'http://127.0.0.1:1', userId: 'anna', deviceId: 'phone', autoConnect: false };

afterEach(closeClients);

async function server() {
  const started = await startServer();
  onTestFinished(async () => void (await started.close()));
  return started;
}

/** Records that are made offline, in one session. */
async function fill(storage: DeviceStorage): Promise<void> {
  const client = testClient({ storage });
  await client.initialize(OFFLINE);
  for (let n = 0; n < RECORDS; n++) await client.addData('notes', { id: `n${n}`, text: `note ${n}` });
  await client.close();
}

const damage = (storage: BreakableStorage, keys: readonly number[]): void => {
  storage.onRead = (change) =>
    keys.includes(change.key)
      ? { ...change, bytes: change.bytes.map((byte, at) => (at === 9 ? byte ^ 1 : byte)) }
      : change;
};

async function start(
  url: string,
  storage: DeviceStorage,
  sockets: boolean,
): Promise<{ client: SyncManager; told: unknown[] }> {
  const told: unknown[] = [];
  const client = testClient({
    storage,
    ...(!sockets && { WebSocket: undefined as unknown as WebSocketConstructor }),
  });
  await client.initialize({
    ...OFFLINE,
    serverUrl: url,
    onStorageError: (error) => told.push(error?.code ?? 'mended'),
  });
  return { client, told };
}

const idsAt = async (url: string): Promise<string[]> => {
  const answer = (await (await fetch(`${url}/api/sync/anna`)).json()) as { notes?: { id: string }[] };
  return (answer.notes ?? []).map(({ id }) => id).sort();
};
const idsOf = async (client: SyncManager): Promise<string[]> =>
  (await client.getData('notes')).map(({ id }) => `${id}`).sort();
const without = (...lost: number[]): string[] =>
  Array.from({ length: RECORDS }, (_, n) => n)
    .filter((n) => !lost.includes(n))
    .map((n) => `n${n}`)
    .sort();

describe.each([
  ['a socket', true],
  ['HTTP', false],
])('[C12] over %s', (_, sockets) => {
  test.each([[[1]], [[12]], [[RECORDS]], [[3, 4, 20]]])(
    'all that is behind the damaged rows %j is sent and shown',
    async (keys) => {
      const { url } = await server();
      const storage = new BreakableStorage();
      await fill(storage);
      damage(storage, keys);
      const { client, told } = await start(url, storage, sockets);
      expect(told).toEqual(['CORRUPT']);
      expect(client.status.current).toMatchObject({ pendingChanges: RECORDS - keys.length, durable: true });
      await client.connect();
      await synced(client);
      const left = without(...keys.map((key) => key - 1));
      expect(await idsOf(client)).toEqual(left);
      expect(await idsAt(url)).toEqual(left);
      expect(client.status.current).toMatchObject({ pendingChanges: 0 });
      await client.addData('notes', { id: 'z' });
      await client.forceSync();
      await client.close();
      const again = await start(url, storage, sockets);
      await again.client.connect();
      await synced(again.client);
      expect(await idsOf(again.client)).toEqual([...left, 'z']);
    },
  );

  test.each([
    ['deleted', (client: SyncManager) => client.deleteData('notes', 'n4')],
    ['edited', (client: SyncManager) => client.updateData('notes', 'n4', { text: 'later' })],
    [
      'deleted and made anew',
      async (client: SyncManager) => {
        await client.deleteData('notes', 'n4');
        await client.addData('notes', { id: 'n4', text: 'anew' });
      },
    ],
  ])('a record that was %s behind its damaged creation holds up nothing', async (what, change) => {
    const { url } = await server();
    const storage = new BreakableStorage();
    await fill(storage);
    const client = testClient({ storage });
    await client.initialize(OFFLINE);
    await change(client);
    await client.addData('notes', { id: 'z' });
    await client.close();
    damage(storage, [5]);
    const again = await start(url, storage, sockets);
    await again.client.connect();
    await synced(again.client);
    const ids = await idsAt(url);
    expect(await idsOf(again.client)).toEqual(ids);
    expect(ids.filter((id) => id !== 'n4')).toEqual([...without(4), 'z']);
    expect(what === 'deleted' && ids.includes('n4')).toBe(false);
  });

  test('what the server had got before a row was damaged comes back', async () => {
    const { url } = await server();
    const storage = new BreakableStorage();
    await fill(storage);
    const first = await start(url, storage, sockets);
    await first.client.connect();
    await synced(first.client);
    await first.client.close();
    damage(storage, [2, 9, 25]);
    const { client } = await start(url, storage, sockets);
    await client.connect();
    await synced(client);
    expect(await idsOf(client)).toEqual(without());
    expect(await idsAt(url)).toEqual(without());
  });
});

test.each([0.1, 0.5, 0.9])(
  '[C12] one flipped bit in the files of a Node client, at %f of the log, costs one record',
  async (share) => {
    const folder = await mkdtemp(join(tmpdir(), 'damaged-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const { url } = await server();
    await fill(levelStorage(folder));
    const files = join(folder, 'users', 'n-anna');
    const log = join(files, (await readdir(files)).find((name) => name.endsWith('.log')) ?? '');
    const content = await readFile(log);
    const at = Math.floor(content.length * share);
    content[at] = (content[at] ?? 0) ^ 1;
    await writeFile(log, content);
    const { client, told } = await start(url, levelStorage(folder), true);
    expect(told).toEqual(['CORRUPT']);
    expect(client.status.current.pendingChanges).toBeGreaterThanOrEqual(RECORDS - 1);
    await client.connect();
    await synced(client);
    const ids = await idsAt(url);
    expect(ids.length).toBeGreaterThanOrEqual(RECORDS - 1);
    expect(await idsOf(client)).toEqual(ids);
  },
);
