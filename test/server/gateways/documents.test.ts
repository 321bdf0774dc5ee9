/** Documents load once, stay while used, and are let go (ARCHITECTURE: the funnel). */
import { expect, test } from 'vitest';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { JsonDevice } from '../../support/devices/json-device.js';
import { ObservedStore } from '../../support/observed-store.js';
import { openJson, openRaw, useJson, useNative, useServer } from '../../support/use.js';

test('[N2] connections and requests that come together share one load', async () => {
  const store = new ObservedStore(new MemoryStore());
  const server = await useServer({}, { store });
  const release = store.holdLoads();
  const natives = Array.from({ length: 10 }, (_, i) => openRaw(server, 'anna', `n${i}`));
  const jsons = Array.from({ length: 10 }, (_, i) => openJson(server, 'anna', `j${i}`));
  const got = fetch(`${server.url}/api/sync/anna`);
  await Promise.all(
    [...natives, ...jsons].map((device) => device.until(() => device.ws.readyState === device.ws.OPEN)),
  );
  release();
  await Promise.all(natives.map((device) => device.until(() => device.messages.length > 0)));
  await Promise.all(jsons.map((device) => device.next('CONNECTION_CONFIRMED')));
  expect((await got).status).toBe(200);
  expect(store.loads).toEqual(['anna']);
});

test('[N2] a connection that ends during the load leaves nothing behind', async () => {
  const store = new ObservedStore(new MemoryStore());
  const server = await useServer({ IDLE_TIMEOUT: '1ms' }, { store });
  const release = store.holdLoads();
  const raw = openRaw(server, 'anna', 'phone');
  await raw.until(() => raw.ws.readyState === raw.ws.OPEN);
  await store.until(() => store.loads.length === 1);
  raw.ws.terminate();
  await raw.end();
  release();
  await store.until(() => store.forgotten.length === 1);
});

test('[N2] a document that nobody uses is let go after IDLE_TIMEOUT, and loaded again when needed', async () => {
  const store = new ObservedStore(new MemoryStore());
  const server = await useServer({ IDLE_TIMEOUT: '20ms' }, { store });
  const first = await useJson(server, 'anna', 'tablet');
  const second = await useNative(server, 'anna', 'phone');
  first.update('notes', { id: 'n1', text: 'x' });
  await first.close();
  second.record('notes', 'n2').set('text', 'y');
  await second.saved();
  expect(store.forgotten).toEqual([]);
  second.offline();
  await store.until(() => store.forgotten.length === 1);
  const again = await useJson(server, 'anna', 'tablet');
  expect(Object.keys(again.store.notes ?? {}).sort()).toEqual(['n1', 'n2']);
  expect(store.loads).toEqual(['anna']); // asleep
  again.update('notes', { id: 'n3', text: 'z' });
  await again.saved();
  expect(store.loads).toEqual(['anna', 'anna']);
});

test('[N3] it is never let go while something of it is not durable', async () => {
  const memory = new MemoryStore();
  const store = new ObservedStore(memory);
  const server = await useServer({ IDLE_TIMEOUT: '1ms', COMPACT_UPDATES: '0' }, { store });
  const tablet = await useJson(server, 'anna', 'tablet');
  memory.hold();
  tablet.update('notes', { id: 'n1' });
  await store.until(() => store.commits === 1);
  await tablet.close();
  const other = await JsonDevice.connect(server.url, 'bert', 'tablet');
  await other.close();
  await store.until(() => store.forgotten.length > 0); // the timer of the later one has run, so has the first
  expect(store.forgotten).toEqual(['bert']);
  memory.release();
  await store.until(() => store.forgotten.includes('anna' as never));
  expect(memory.contents.get('anna' as never)?.updates).toHaveLength(1);
});

test('[P4] many updates of a document are compacted while it is used, and nothing is lost', async () => {
  const memory = new MemoryStore();
  const store = new ObservedStore(memory);
  const server = await useServer({ COMPACT_UPDATES: '20' }, { store });
  const tablet = await useJson(server, 'anna', 'tablet');
  for (let i = 0; i < 50; i++) tablet.update('notes', { id: `n${i % 10}`, i });
  await tablet.saved();
  expect(store.compactions).toBe(2);
  expect(memory.contents.get('anna' as never)?.updates.length).toBeLessThan(20);
  const fresh = await useJson(server, 'anna', 'fresh');
  expect(Object.values(fresh.store.notes ?? {}).map(({ i }) => i)).toEqual([
    40, 41, 42, 43, 44, 45, 46, 47, 48, 49,
  ]);
});
