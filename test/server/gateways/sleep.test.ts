/** Documents that sleep, over real sockets and LevelDB, with unmodified providers (decision 041). */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { LevelStore } from '../../../server/store/level/level-store.js';
import { HttpDevice } from '../../support/devices/json-http.js';
import { ask } from '../../support/http-ask.js';
import { LevelFixture } from '../../support/level-fixture.js';
import { ObservedStore } from '../../support/observed-store.js';
import { startServer, type TestServer } from '../../support/server.js';
import { useJson, useNative } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const REST_AFTER = '20ms';

async function useFolder(): Promise<string> {
  const fixture = await LevelFixture.create();
  onTestFinished(() => fixture.remove());
  return fixture.folder;
}

async function useStored(
  folder: string,
  options: Readonly<Record<string, string>> = {},
): Promise<{ server: TestServer; store: ObservedStore }> {
  const store = new ObservedStore(await LevelStore.open({ folder: join(folder, 'db') }));
  const server = await startServer({ REST_AFTER, ...options }, { store });
  onTestFinished(async () => void (await server.close()));
  return { server, store };
}

/** Resolves when so many documents are in memory, and so many are followed and are not. */
async function untilDocuments(server: TestServer, inMemory: number, asleep: number): Promise<void> {
  const counted = async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return ['documents', 'documents_asleep'].map((name) =>
      Number(new RegExp(`^telemed_${name} (.*)$`, 'm').exec(text)?.[1]),
    );
  };
  await expect.poll(counted, { timeout: PATIENCE }).toEqual([inMemory, asleep]);
}

test('[N2] [N5] [O3] it sleeps under its connections, and wakes for all of them', async () => {
  const { server, store } = await useStored(await useFolder());
  const phone = await useNative(server, 'anna', 'phone');
  const tablet = await useNative(server, 'anna', 'tablet');
  phone.record('notes', 'n1').set('text', 'one');
  await phone.saved();
  await untilDocuments(server, 0, 1);
  const loads = store.loads.length;
  await phone.saved(); // a checkpoint needs no document
  expect(store.loads).toHaveLength(loads);
  tablet.record('notes', 'n2').set('text', 'two');
  phone.record('notes', 'n3').set('text', 'three');
  await Promise.all([tablet.saved(), phone.saved()]);
  await phone.until(() => phone.json().notes?.n2);
  await tablet.until(() => tablet.json().notes?.n3);
  expect(store.loads).toHaveLength(loads + 1);
  expect([phone.closes, tablet.closes]).toEqual([[], []]);
});

test('[L1] [N5] a JSON device wakes it, and what that writes reaches native ones', async () => {
  const { server } = await useStored(await useFolder());
  const phone = await useNative(server, 'anna', 'phone');
  phone.record('notes', 'n1').set('text', 'one');
  await phone.saved();
  await untilDocuments(server, 0, 1);
  const tablet = await useJson(server, 'anna', 'tablet');
  expect(tablet.store.notes?.n1).toMatchObject({ text: 'one' });
  tablet.update('notes', { id: 'n2', text: 'two' });
  await phone.until(() => phone.json().notes?.n2);
  await tablet.close();
  await untilDocuments(server, 0, 1);
  phone.record('notes', 'n3').set('text', 'three');
  await phone.saved();
});

test('[N2] [P6] after a restart who is up to date, or has nothing, is answered from what is stored', async () => {
  const folder = await useFolder();
  const first = await useStored(folder);
  const phone = await useNative(first.server, 'anna', 'phone');
  for (let i = 0; i < 20; i++) phone.record('notes', `n${i}`).set('text', `${i}`);
  phone.doc.getMap('notes').delete('n0');
  await phone.saved();
  await untilDocuments(first.server, 0, 1);
  phone.offline();
  await first.server.close();
  const { server, store } = await useStored(folder);
  const doc = new Y.Doc();
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(phone.doc));
  const again = await useNative(server, 'anna', 'phone', { doc });
  await again.saved();
  const fresh = await useNative(server, 'anna', 'fresh');
  expect(fresh.json()).toEqual(phone.json());
  expect(store.loads).toEqual([]);
  fresh.record('notes', 'n1').set('text', 'changed');
  await again.until(() => again.json().notes?.n1?.text === 'changed');
  expect(store.loads).toEqual(['anna']);
});

test('[L1] [P6] after a restart a JSON device is answered from what is stored, and sleeps on', async () => {
  const folder = await useFolder();
  const first = await useStored(folder);
  const phone = await useNative(first.server, 'anna', 'phone');
  const tablet = await useJson(first.server, 'anna', 'tablet');
  phone.record('notes', 'n1').set('text', 'one');
  await tablet.until(() => tablet.store.notes?.n1);
  await untilDocuments(first.server, 0, 1); // though a JSON device is connected
  phone.offline();
  await tablet.close();
  await first.server.close();
  const { server, store } = await useStored(folder);
  const again = await useJson(server, 'anna', 'tablet');
  expect(again.store).toEqual(tablet.store);
  expect(store.loads).toEqual([]);
  const late = await useNative(server, 'anna', 'phone', { doc: phone.doc });
  late.record('notes', 'n2').set('text', 'two');
  await again.until(() => again.store.notes?.n2);
  again.update('notes', { id: 'n3', text: 'three' });
  await late.until(() => late.json().notes?.n3);
  expect(store.loads).toEqual(['anna']);
});

/** What `GET /api/sync` says. */
async function got(server: TestServer, headers: Record<string, string> = {}) {
  const { status, headers: told, body } = await ask(`${server.url}/api/sync/anna`, { headers });
  return { status, etag: `${told.etag}`, type: told['content-type'], body: body.toString() };
}

test('[H1] what sleeps is answered over HTTP as what is awake, 304 or whole, and nothing is loaded', async () => {
  const { server, store } = await useStored(await useFolder());
  const phone = await useNative(server, 'anna', 'phone');
  for (let i = 0; i < 20; i++) phone.record('notes', `n${i}`).set('text', `${i}`);
  phone.doc.getMap('notes').delete('n0');
  await phone.saved();
  await untilDocuments(server, 0, 1);
  const loads = store.loads.length;
  const awake = await got(server); // nobody had asked for the records before
  expect(store.loads).toHaveLength(loads + 1);
  await untilDocuments(server, 0, 1);
  const named = { 'Device-ID': 'poll' };
  const asleep = [await got(server), await got(server, { 'If-None-Match': '"0.0"' })];
  expect(asleep).toEqual([awake, awake]);
  const known = { 'If-None-Match': awake.etag };
  expect(await got(server, known)).toMatchObject({ status: 304, etag: awake.etag, body: '' });
  expect((await got(server, { 'If-None-Match': '*' })).status).toBe(304);
  expect(store.loads).toHaveLength(loads + 1);
  expect(await got(server, { ...named, ...known })).toMatchObject({ status: 304 }); // never met: it is loaded
  expect(store.loads).toHaveLength(loads + 2);
  await untilDocuments(server, 0, 1);
  expect(await got(server, named)).toEqual(awake);
  expect(await got(server, { ...named, ...known })).toMatchObject({ status: 304 });
  expect(store.loads).toHaveLength(loads + 2);
  phone.record('notes', 'n1').set('text', 'changed');
  await phone.saved();
  const changed = await got(server, { ...named, ...known });
  expect([changed.status, JSON.parse(changed.body).notes.length]).toEqual([200, 19]);
  expect(changed.body).toContain('changed');
});

test('[H1] a device that polls, and has nobody beside it, is answered without a load', async () => {
  const { server, store } = await useStored(await useFolder(), { IDLE_TIMEOUT: '20ms' });
  const poll = new HttpDevice(server.url, 'anna', 'poll');
  await poll.write(['notes', { id: 'n1', text: 'one' }]);
  await untilDocuments(server, 0, 0);
  const loads = store.loads.length;
  expect(await poll.get()).toBe(304);
  expect(await poll.get()).toBe(304);
  const other = new HttpDevice(server.url, 'anna', 'other');
  await other.write(['notes', { id: 'n2', text: 'two' }]);
  await untilDocuments(server, 0, 0);
  expect(await poll.get()).toBe(200);
  expect(poll.record('notes', 'n2')).toMatchObject({ text: 'two' });
  expect(store.loads).toHaveLength(loads + 1);
});
