// @vitest-environment happy-dom
import { act, type ReactNode } from 'react';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { SyncOptions, SyncRecord } from '../../../client/api/api.js';
import { memoryStorage } from '../../../client/local-store/memory.js';
import type { Connectivity } from '../../../client/platform/platform.js';
import {
  type SyncedDataOptions,
  SyncProvider,
  useDraft,
  useSyncedData,
} from '../../../client/react/hooks.js';
import type { SyncManager } from '../../../client/sync-manager.js';
import { closeClients, synced, testClient } from '../../support/devices/test-client.js';
import { NoUpgrades } from '../../support/no-upgrades.js';
import { cleanScreens, render, renderByItself } from '../../support/rendered.js';
import { startServer } from '../../support/server.js';
import { JWT, tokenFor } from '../../support/tokens.js';
import { useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

// The other way round: what is registered last ends first.
afterEach(closeClients);
cleanScreens();

const NOWHERE = 'http://127.0.0.1:1';
type Shown = readonly SyncRecord[] | SyncedDataOptions<SyncRecord>;
const patient = { timeout: PATIENCE };

/** What a list shows one after the other, from before the client is initialized. */
function list(query: Shown = {}) {
  const shown: string[] = [];
  const View = (): string => {
    const { data, isLoading, hasSynced } = useSyncedData('notes', query);
    const rows = data.map(({ id }) => id).join(' ') || (hasSynced ? 'none' : 'none, never synced');
    const now = isLoading ? `loading (${data.map(({ id }) => id).join(' ')})` : rows;
    if (shown[shown.length - 1] !== now) shown.push(now);
    return now;
  };
  return { shown, View };
}

async function watch(client: SyncManager) {
  const { shown, View } = list();
  await show(client, <View />);
  return shown;
}

async function show(client: SyncManager, node: ReactNode): Promise<void> {
  await render(<SyncProvider client={client}>{node}</SyncProvider>);
  renderByItself();
}

/** A server on which another device of anna has stored these notes. */
async function serverWith(...ids: readonly string[]) {
  const server = await startServer();
  onTestFinished(async () => void (await server.close()));
  const other = testClient();
  await other.initialize({ serverUrl: server.url, userId: 'anna' });
  for (const id of ids) await other.addData('notes', { id, kind: 'x' });
  await synced(other);
  return server;
}

const start = (client: SyncManager, options: Partial<SyncOptions> = {}) =>
  client.initialize({ serverUrl: NOWHERE, userId: 'anna', ...options });

describe('[C14] a device that has nothing yet', () => {
  test('loads until the first sync has come, and shows no empty list before', async () => {
    const { url } = await serverWith('a', 'b');
    const client = testClient();
    const shown = await watch(client);
    await start(client, { serverUrl: url });
    await synced(client);
    await expect.poll(() => shown[shown.length - 1], patient).toBe('a b');
    expect(shown[0]).toBe('loading ()');
    expect(shown.filter((state) => state.startsWith('none'))).toEqual([]);
  });

  test('says that there is nothing once the server has said so', async () => {
    const { url } = await serverWith();
    const client = testClient();
    const shown = await watch(client);
    await start(client, { serverUrl: url });
    await expect.poll(() => shown, patient).toEqual(['loading ()', 'none']);
    expect(client.status.current).toMatchObject({ hasSynced: true, isFirstSync: false });
  });

  test('keeps initial records on the screen while it loads, and loads for a query that finds nothing', async () => {
    const { url } = await serverWith('a');
    const client = testClient();
    const lists = [list([{ id: 'early' }]), list({ where: { kind: 'x' } }), list()] as const;
    const [First, Second, Third] = [lists[0].View, lists[1].View, lists[2].View];
    await show(client, [<First key="initial" />, <Second key="query" />, <Third key="all" />]);
    await start(client, { autoConnect: false });
    await client.addData('notes', { id: 'own', kind: 'y' });
    await client.updateConfig({ serverUrl: url });
    await client.connect();
    await synced(client);
    await expect
      .poll(() => lists.map(({ shown }) => shown[shown.length - 1]), patient)
      .toEqual(['a own', 'a', 'a own']);
    expect(lists[0].shown[0]).toBe('loading (early)');
    expect(lists.map(({ shown }) => shown[shown.length - 2])).toEqual(['own', 'loading ()', 'own']);
  });

  test('does not load where it is not to connect, or has been disconnected', async () => {
    const client = testClient();
    const shown = await watch(client);
    await start(client, { autoConnect: false });
    await expect.poll(() => shown).toEqual(['loading ()', 'none, never synced']);
    await client.connect();
    await client.disconnect();
    await expect.poll(() => shown[shown.length - 1]).toBe('none, never synced');
    expect(client.status.current).toMatchObject({ isFirstSync: false, hasSynced: false });
  });

  test('does not load any more once an attempt failed, however often it tries again, and shows what comes then', async () => {
    const client = testClient();
    const shown = await watch(client);
    const attempts: string[] = [];
    client.status.subscribe(({ connection }) => attempts.push(connection));
    await start(client);
    const failures = () =>
      attempts.filter((connection, n) => connection === 'offline' && attempts[n - 1] === 'connecting');
    await expect.poll(() => failures().length, patient).toBeGreaterThan(2);
    expect(shown).toEqual(['loading ()', 'none, never synced']);
    const { url } = await serverWith('a');
    await client.updateConfig({ serverUrl: url });
    await expect.poll(() => shown[shown.length - 1], patient).toBe('a');
  });

  test('does not load where its platform says that there is no network', async () => {
    let tell = (_: 'offline'): void => {};
    const connectivity: Connectivity = {
      subscribe: (listener) => {
        tell = listener;
        return () => {};
      },
    };
    class Hanging {
      binaryType = '';
      addEventListener(): void {}
      send(): void {}
      close(): void {}
    }
    const client = testClient({ connectivity, WebSocket: Hanging as never });
    const shown = await watch(client);
    await start(client);
    expect(client.status.current).toMatchObject({ connection: 'connecting', isFirstSync: true });
    tell('offline');
    await expect.poll(() => shown).toEqual(['loading ()', 'none, never synced']);
  });

  test.each(['no token', 'a refusal'])('does not load after %s', async (what) => {
    const server = await useServer({ ...JWT });
    const client = testClient();
    const shown = await watch(client);
    const token = what === 'no token' ? null : await tokenFor('bert');
    await start(client, { serverUrl: server.url, getToken: () => token });
    await expect.poll(() => shown, patient).toEqual(['loading ()', 'none, never synced']);
  });

  test('that may only read has synced, whatever of its own is refused', async () => {
    const server = await useServer({ ...JWT });
    const client = testClient();
    const token = await tokenFor('bert', { access: [{ user: 'anna', mode: 'read' }] });
    await start(client, { autoConnect: false });
    await client.addData('other', { id: 'o' });
    const shown = await watch(client);
    await client.updateConfig({ serverUrl: server.url, getToken: () => token, autoConnect: true });
    await expect.poll(() => shown[shown.length - 1], patient).toBe('none');
    expect(client.status.current).toMatchObject({ hasSynced: true, lastSyncedAt: null });
  });

  test('loads over HTTP alone', async () => {
    const { url } = await serverWith('a');
    const proxy = await NoUpgrades.before(url);
    onTestFinished(() => proxy.close());
    const client = testClient({ WebSocket: undefined });
    const shown = await watch(client);
    await start(client, { serverUrl: proxy.url });
    await expect.poll(() => shown[shown.length - 1], patient).toBe('a');
    expect(shown.filter((state) => state.startsWith('none'))).toEqual([]);
  });

  test('loads anew after clearSyncData', async () => {
    const { url } = await serverWith('a');
    const client = testClient();
    const shown = await watch(client);
    await start(client, { serverUrl: url });
    await synced(client);
    await client.clearSyncData();
    await synced(client);
    await expect.poll(() => shown, patient).toEqual(['loading ()', 'a', 'loading ()', 'a']);
  });

  test('[D8] loads until what everybody shares has come, too, and knows it after a restart', async () => {
    const shared = { SHARED_COLLECTIONS: 'notes' };
    const server = await useServer(shared);
    const storage = memoryStorage();
    const options = { serverUrl: server.url, sharedCollections: ['notes'], storage };
    const writer = testClient();
    await start(writer, { ...options, userId: 'bert', storage: memoryStorage() });
    await writer.addData('notes', { id: 'a' });
    await synced(writer);
    const client = testClient();
    const shown = await watch(client);
    await start(client, options);
    await synced(client);
    await expect.poll(() => shown).toEqual(['loading ()', 'a']);
    await client.close();
    const again = testClient();
    await start(again, { ...options, serverUrl: NOWHERE });
    expect(again.status.current).toMatchObject({ hasSynced: true, isFirstSync: false });
  });
});

test('[C14] a device that has synced loads nothing when it is started again, also without a network', async () => {
  const { url } = await serverWith();
  const storage = memoryStorage();
  const before = testClient({ storage });
  await start(before, { serverUrl: url });
  await synced(before);
  await before.close();
  const client = testClient({ storage });
  const shown = await watch(client);
  await start(client);
  await expect.poll(() => shown).toEqual(['loading ()', 'none']);
});

test('[C14] a form loads until its record has come', async () => {
  const { url } = await serverWith('a');
  const client = testClient({ WebSocket: WebSocket as never });
  const shown: string[] = [];
  const Form = (): string => {
    const { draft, isLoading } = useDraft('notes', 'a');
    shown.push(isLoading ? 'loading' : String(draft?.id));
    return '';
  };
  await render(
    <SyncProvider client={client}>
      <Form />
    </SyncProvider>,
  );
  await act(async () => {
    await start(client, { serverUrl: url });
    await synced(client);
  });
  expect([...new Set(shown)]).toEqual(['loading', 'a']);
});
