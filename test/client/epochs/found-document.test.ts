/** Another document is in the store than in the memory of a tab, which has not opened that one yet (P10). */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import * as Y from 'yjs';
import { ClientError } from '../../../client/errors.js';
import type { DeviceStorage } from '../../../client/local-store/store.js';
import { seal, unseal } from '../../../client/replica/stored-bytes.js';
import type { SyncManager } from '../../../client/sync-manager.js';
import { Epoch, retiredIn } from '../../../server/documents/epochs/epoch.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { closeClients, testClient } from '../../support/devices/test-client.js';
import { drawIdsFrom } from '../../support/drawn-ids.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CUT, ModelServer, WHOLE } from '../../support/model-server.js';
import {
  add,
  anew,
  beganInMemory,
  edit,
  FULL,
  MINUTE,
  remove,
  risingIds,
  type Tabs,
  takeAnew,
  turn,
  twoTabs,
} from '../../support/replaced-tabs.js';
import { asleep, Tab } from '../../support/tab.js';

const ERASED = { code: 'ERASED', reason: new ClientError('ERASED').message };
const REFUSAL = { code: 'REFUSED', reason: 'So it is.' };
const ASIDE = { ...REFUSAL, key: 'k', at: 0, writes: [] };
const NO_EVENTS = { onNews() {}, onGone() {}, onError() {} };

beforeEach(risingIds);
afterEach(async () => {
  drawIdsFrom(null);
  await closeClients();
});

/** The ids that Yjs knows of what is stored. */
async function idsIn({ inner }: Pick<Tabs, 'inner'>): Promise<number[]> {
  const store = await inner.open('anna', NO_EVENTS);
  const updates: Uint8Array[] = [];
  await store.append(({ changes }) => {
    updates.push(...changes.flatMap(({ bytes }) => unseal(bytes)?.update ?? []));
    return [];
  });
  await store.close();
  return [...Y.decodeStateVector(Y.encodeStateVectorFromUpdate(Y.mergeUpdates(updates))).keys()];
}

test('[C7 C9 P10] a tab that began in memory, and only looked, puts nothing of its old document there', async () => {
  const { clock, inner, second, stored } = await twoTabs();
  const server = Y.encodeStateAsUpdate(second.replica.doc);
  const { storage, first } = await beganInMemory({ clock, inner }, server);
  await takeAnew(second);
  const ids = await idsIn({ inner });
  storage.failure = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect(await idsIn({ inner })).toEqual(ids);
  expect((await stored()).notes).toEqual({ r: { id: 'r', n: 1 } });
});

test('[C9 C12] in a store that is a new one, nobody takes the document of another tab for another one', async () => {
  const [clock, storage] = [new ManualClock(), new BreakableStorage()];
  const moved = await Tab.open(storage, clock);
  await add(moved, 'r');
  await takeAnew(moved);
  await moved.replica.close();
  const one = await Tab.open(storage, clock);
  storage.loseEverything();
  await clock.live(MINUTE);
  expect(one.said).toEqual(['UNAVAILABLE', 'mended']);
  const two = await Tab.open(storage, clock);
  for (const key of ['a', 'b', 'c']) {
    const doc = new Y.Doc();
    doc.getMap('other').set(key, 'x'.repeat(800_000));
    await one.replica.applyRemote(Y.encodeStateAsUpdate(doc));
  }
  await two.replica.settled();
  await turn();
  expect(two.said).toEqual([]);
});

test('[C7 C11 P10] what was refused outlives the death of the app at any write of the move', async () => {
  for (const deaths of [1, 2, 3]) {
    const [clock, storage] = [new ManualClock(), new BreakableStorage()];
    const before = await Tab.open(storage, clock);
    await add(before, 'r');
    await before.replica.refused.add([ASIDE]);
    const state = anew(before);
    await before.replica.close();
    let writes = 0;
    storage.onWrite = () => ++writes === deaths && storage.kill();
    await Tab.open(storage, clock, { name: 'anna', state, epoch: null, pending: [], refused: [] });
    storage.onWrite = () => {};
    const again = await Tab.open(storage, clock);
    expect(again.replica.refused.changes.list).toMatchObject([{ key: 'k' }]);
    expect(again.notes()).toEqual({ r: { id: 'r', n: 1 } });
  }
});

test('[C7 C9 P10] what was made on it is stored once, though the next write fails', async () => {
  const { clock, inner, second, open, stored } = await twoTabs();
  const storage = new BreakableStorage(inner);
  const first = await Tab.open(asleep(storage), clock);
  await takeAnew(second);
  let calls = 0;
  storage.onWrite = () => {
    if (++calls === 2) storage.writes = FULL;
  };
  await Promise.all([edit(first, 'r', 'x', 1), edit(first, 'r', 'y', 2)]);
  expect([first.said, first.count]).toEqual([['QUOTA'], 2]);
  await edit(await open(), 'r', 'x', 3);
  storage.onWrite = () => {};
  storage.writes = null;
  await clock.live(MINUTE);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  expect(await stored()).toMatchObject({
    notes: { r: { id: 'r', n: 1, x: 3, y: 2 } },
    pending: 3,
    refused: [],
  });
});

test('[C4 C9] a write that finds it is sent by nobody before that is opened, and counts', async () => {
  const { clock, inner, second } = await twoTabs();
  const first = await Tab.open(asleep(inner), clock);
  await takeAnew(second);
  const sent: unknown[] = [];
  const said: boolean[] = [first.replica.isReplaced];
  first.replica.onPending(() => {
    sent.push(...first.replica.pendingAfter(0));
    said.push(first.replica.isReplaced);
  });
  await edit(first, 'r', 'x', 1);
  expect([sent, first.count]).toEqual([[], 1]);
  expect(new Set(said.slice(1))).toEqual(new Set([true]));
  expect(said[0]).toBe(false);
});

describe('[C9 C11] a write of the moment in which another tab sets something aside', () => {
  /** The first tab has heard of nothing yet. */
  async function tabs() {
    const { inner, clock, second, stored } = await twoTabs();
    return { inner, second, stored, first: await Tab.open(asleep(inner), clock) };
  }

  test('is stored', async () => {
    const { first, second, stored } = await tabs();
    await second.replica.refused.add([ASIDE]);
    await edit(first, 'r', 'x', 1);
    expect([first.said, first.count]).toEqual([[], 1]);
    expect(await stored()).toMatchObject({ notes: { r: { x: 1 } }, pending: 1, refused: [{ key: 'k' }] });
  });

  test('is made on what is there without it', async () => {
    const { first, second, stored } = await tabs();
    const server = Y.encodeStateAsUpdate(second.replica.doc);
    await edit(second, 'r', 'x', 1);
    await add(second, 'w');
    await second.replica.setAside(second.last(), REFUSAL, server);
    await Promise.all([edit(first, 'r', 'y', 2), add(first, 's')]);
    expect(first.said).toEqual(['broken']);
    expect(await stored()).toEqual({
      notes: { r: { id: 'r', n: 1, x: 1, y: 2 }, s: { id: 's', n: 1 } },
      pending: 3,
      refused: [expect.objectContaining({ id: 'w' })],
    });
  });

  test('[C10] is set aside too where the server has erased all', async () => {
    const { first, second, stored } = await tabs();
    await add(second, 'w');
    await second.replica.refused.setAllAside(ERASED);
    await Promise.all([edit(first, 'r', 'n', 5), add(first, 's')]);
    expect(first.said).toEqual(['cleared']);
    const { notes, pending, refused } = await stored();
    expect({ notes, pending }).toEqual({ notes: {}, pending: 0 });
    expect(refused.map(({ id }) => id).sort()).toEqual(['r', 's', 'w']);
  });

  test('[C12] is stored behind one that Yjs can not read', async () => {
    const { inner, first, stored } = await tabs();
    const store = await inner.open('anna', NO_EVENTS);
    await store.append(() => [{ bytes: seal(Uint8Array.of(1, 2, 3)), pending: true }]);
    await edit(first, 'r', 'x', 1);
    expect([first.said, first.count]).toEqual([['CORRUPT'], 1]);
    expect(await stored()).toMatchObject({ notes: { r: { x: 1 } }, pending: 1 });
  });
});

describe('[C9 C11] a change that waits in what another tab has put there', () => {
  /** The first tab has heard of nothing yet: a change of its own waits, and one more in the new document. */
  async function found() {
    const tabs = await twoTabs();
    const storage = new BreakableStorage(tabs.inner);
    const first = await Tab.open(asleep(storage), tabs.clock);
    const state = anew(tabs.second);
    await edit(first, 'r', 'x', 1);
    await tabs.second.replica.refused.moveTo({ state, epoch: null });
    await add(await tabs.open(), 'w');
    return { ...tabs, storage, first, state };
  }

  test('[C10] is set aside as well where the server has erased all', async () => {
    const { first, stored } = await found();
    await first.replica.refused.setAllAside(ERASED);
    const { notes, pending, refused } = await stored();
    expect({ notes, pending }).toEqual({ notes: {}, pending: 0 });
    expect(refused.map(({ id }) => id).sort()).toEqual(['r', 'w']);
  });

  test('stays where one of the old document was refused', async () => {
    const { first, stored } = await found();
    const server = Y.encodeStateAsUpdate(new Y.Doc());
    await expect(first.replica.setAside(first.last(), REFUSAL, server)).rejects.toThrow(REFUSAL.reason);
    await turn();
    expect(first.said.at(-1)).toBe('broken');
    expect(await stored()).toMatchObject({ notes: { r: { x: 1 }, w: {} }, pending: 2, refused: [] });
  });

  test('stays where the first tab takes the document of the server, too, and that is opened once', async () => {
    const { first, state, stored } = await found();
    await first.replica.refused.moveTo({ state, epoch: null });
    await turn();
    expect(first.said).toEqual(['broken']);
    expect(await stored()).toMatchObject({ notes: { r: { x: 1 }, w: {} }, pending: 2, refused: [] });
  });

  test('[C7] counts while storage that had no room can not be read', async () => {
    const { clock, storage, first, stored } = await found();
    storage.writes = FULL;
    await add(first, 's');
    expect(first.count).toBe(3);
    storage.onWrite = () => {
      storage.failure = FULL;
    };
    await clock.live(MINUTE);
    expect(first.count).toBe(3);
    storage.onWrite = () => {};
    [storage.failure, storage.writes] = [null, null];
    await clock.live(MINUTE);
    expect(await stored()).toMatchObject({ notes: { r: { x: 1 }, s: {}, w: {} }, pending: 3, refused: [] });
  });

  test('[C7 C12] is gone with the store, and what is in memory goes into the next one as it is', async () => {
    const { clock, storage, first } = await found();
    storage.writes = FULL;
    await add(first, 's');
    await edit(first, 'r', 'y', 2);
    storage.loseEverything();
    storage.writes = null;
    await clock.live(MINUTE);
    expect(first.said).not.toContain('broken');
    const again = await Tab.open(storage, clock);
    expect(again.notes()).toEqual({ r: { id: 'r', n: 1, x: 1, y: 2 }, s: { id: 's', n: 1 } });
    expect([first.count, again.count]).toEqual([2, 2]);
  });

  /** So it is with whole clients. */
  function clients() {
    const [clock, storage] = [new ManualClock(), new BreakableStorage()];
    const server = new ModelServer(clock.now);
    const open = async (own: DeviceStorage): Promise<SyncManager> => {
      const client = testClient({ storage: own, clock, WebSocket: server.WebSocket });
      await client.initialize({ serverUrl: 'http://sync.test', userId: 'anna', fetch: server.fetch });
      await clock.live(MINUTE);
      return client;
    };
    return { clock, storage, server, open };
  }

  /** The first one is not connected, and asleep. */
  async function foundByClient() {
    const { clock, storage, server, open: client } = clients();
    const first = await client(asleep(storage));
    await first.addData('notes', { id: 'r' });
    await clock.live(MINUTE);
    await first.disconnect();
    const second = await client(storage);
    server.rewrite();
    await clock.live(MINUTE);
    server.become(CUT);
    await second.addData('notes', { id: 'w' });
    await second.close();
    server.become(WHOLE);
    return { clock, storage, first };
  }

  const idsOf = async (client: SyncManager): Promise<unknown[]> =>
    (await client.getData('notes')).map(({ id }) => id).sort();

  test.each([
    ['logout', (client: SyncManager) => client.logout()],
    ['clearSyncData', (client: SyncManager) => client.clearSyncData()],
  ])('[C2 C4] counts on %s', async (_, clear) => {
    const { first } = await foundByClient();
    await expect(clear(first)).rejects.toMatchObject({ code: 'UNSYNCED_CHANGES', pendingChanges: 1 });
    expect(await idsOf(first)).toEqual(['r', 'w']);
  });

  test('[C2 C4 C7] counts on logout, though the document of the server comes while storage has no room', async () => {
    const { clock, storage, server, open } = clients();
    const own = new BreakableStorage(storage);
    const first = await open(own);
    await first.addData('notes', { id: 'r' });
    await clock.live(MINUTE);
    await first.disconnect();
    await first.addData('notes', { id: 'p' });
    own.writes = FULL;
    await first.addData('notes', { id: 'w' });
    server.rewrite();
    const second = await Tab.open(storage, clock);
    await second.replica.refused.moveTo({ state: Y.encodeStateAsUpdate(server.doc), epoch: null });
    await second.replica.close();
    await clock.live(MINUTE);
    await first.connect();
    await clock.live(MINUTE);
    await expect(first.logout()).rejects.toMatchObject({ code: 'UNSYNCED_CHANGES', pendingChanges: 2 });
    own.writes = null;
    await clock.live(MINUTE);
    expect(Object.keys(server.records()).sort()).toEqual(['p', 'r', 'w']);
  });

  test('[C2 C4] goes with all else to the account that it is moved into', async () => {
    const { first } = await foundByClient();
    await first.moveTo('berta');
    expect(await idsOf(first)).toEqual(['r', 'w']);
  });

  test('[C2 C4 C7] goes there with what was made in memory since, once storage has that', async () => {
    const { clock, storage, first } = await foundByClient();
    storage.writes = FULL;
    for (const id of ['s', 't']) await first.addData('notes', { id });
    storage.writes = null;
    await expect(first.moveTo('berta')).rejects.toMatchObject({ name: 'StorageError', code: 'QUOTA' });
    expect(await idsOf(first)).toEqual(['r', 's', 't']);
    await clock.live(MINUTE);
    await first.moveTo('berta');
    expect(await idsOf(first)).toEqual(['r', 's', 't', 'w']);
  });
});

test('[C7 C9 C11 P10] storage comes back while a document that was written anew comes in its parts', async () => {
  const { clock, inner, second, open, stored } = await twoTabs();
  for (const id of ['t', 'u']) await add(second, id);
  second.replica.confirm(second.last());
  const epoch = Epoch.after(null, retiredIn(second.replica.doc), { revision: 0, mark: 0 }).encode();
  const server = new Y.Doc();
  const put = (id: string) => server.getMap('notes').set(id, new Y.Map(Object.entries({ id, n: 1 })));
  for (const id of ['r', 't']) put(id);
  const part = Y.encodeStateAsUpdate(server);
  put('u');
  const state = Y.encodeStateAsUpdate(server);
  await remove(second, 't');
  await edit(second, 'u', 'n', 2);
  await second.replica.close();

  const storage = new BreakableStorage(inner);
  storage.failure = FULL;
  const first = await Tab.open(storage, clock);
  first.replica.hearEpoch(epoch);
  await first.replica.closeGaps(Y.encodeStateVectorFromUpdate(state));
  await first.replica.applyRemote(part);
  expect(Object.keys(first.notes() as object)).toEqual(['r', 't']);
  await edit(first, 'r', 'x', 5);
  await add(first, 's');
  storage.failure = null;
  await clock.live(MINUTE);
  await edit(first, 'r', 'y', 6);
  expect(first.said).toEqual(['QUOTA', 'mended', 'broken']);
  const again = await open();
  expect(again.count).toBe(5);
  await again.replica.refused.moveTo({ state, epoch });
  expect(await stored()).toEqual({
    notes: { r: { id: 'r', n: 1, x: 5, y: 6 }, s: { id: 's', n: 1 }, u: { id: 'u', n: 2 } },
    pending: 5,
    refused: [],
  });
});
