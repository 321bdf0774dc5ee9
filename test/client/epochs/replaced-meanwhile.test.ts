/** The storage of one tab fails while the server writes the document anew, and another tab takes the new one (P10). */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StorageError } from '../../../client/errors.js';
import type { SyncManager } from '../../../client/sync-manager.js';
import { BreakableStorage } from '../../support/breakable-storage.js';
import { closeClients, testClient } from '../../support/devices/test-client.js';
import { drawIdsFrom } from '../../support/drawn-ids.js';
import { ManualClock } from '../../support/manual-clock.js';
import { CUT, ModelServer, WHOLE } from '../../support/model-server.js';

const FULL = new StorageError('QUOTA', 'There is no room.');
const MINUTE = 60_000;

const clock = new ManualClock();

/** Of two concurrent writes Yjs shows that of the higher id: it is the later one here. */
beforeEach(() => {
  let drawn = 0;
  drawIdsFrom(() => ++drawn / 1_000);
});
afterEach(async () => {
  drawIdsFrom(null);
  await closeClients();
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function tab(server: ModelServer, storage: BreakableStorage): Promise<SyncManager> {
  const client = testClient({ storage, clock, WebSocket: server.WebSocket });
  await client.initialize({ serverUrl: 'http://sync.test', userId: 'anna', fetch: server.fetch });
  await turn();
  return client;
}

const idsOn = (client: SyncManager): unknown[] => client.collection('notes').records.map(({ id }) => id);

test('[C7 C9 P10] what was done in memory meanwhile is done once more on the new document', async () => {
  const [server, storage] = [new ModelServer(clock.now), new BreakableStorage()];
  const first = await tab(server, storage);
  await first.addData('notes', { id: 'a', n: 1 });
  await clock.live(MINUTE);
  server.become(CUT);
  for (const id of ['deleted', 'edited', 'kept']) await first.addData('notes', { id, n: 1 });
  storage.failure = FULL;
  await first.deleteData('notes', 'deleted');
  await first.updateData('notes', 'edited', { n: 2 });
  await first.addData('notes', { id: 'new' });
  expect(first.status.current.durable).toBe(false);

  storage.failure = null; // and is tried again when time passes
  server.rewrite();
  server.become(WHOLE);
  const second = await tab(server, storage);
  expect(Object.keys(server.records()).sort()).toEqual(['a', 'deleted', 'edited', 'kept']);
  await clock.live(2 * MINUTE);

  const wanted = [{ id: 'a', n: 1 }, { id: 'edited', n: 2 }, { id: 'kept', n: 1 }, { id: 'new' }];
  expect(Object.values(server.records())).toEqual(expect.arrayContaining(wanted));
  for (const each of [first, second]) {
    expect(each.collection('notes').records).toEqual(wanted);
    expect(each.status.current).toMatchObject({ pendingChanges: 0, durable: true, refused: [] });
  }
});

test('[C7 C9 P10] a document that has nothing in it any more is not taken for one that was erased', async () => {
  const [server, storage] = [new ModelServer(clock.now), new BreakableStorage()];
  storage.failure = FULL;
  const first = await tab(server, storage);
  await clock.live(MINUTE);
  server.rewrite();
  await turn();
  storage.failure = null;
  const second = await tab(server, storage);
  const told: string[] = [];
  for (const each of [first, second]) each.status.subscribe(({ connection }) => told.push(connection));
  await clock.live(MINUTE);
  expect(told).not.toContain('refused');
  await second.addData('notes', { id: 'a' });
  await clock.live(MINUTE);
  expect(idsOn(first)).toEqual(['a']);
});
