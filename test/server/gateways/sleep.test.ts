/** Documents that sleep, over real sockets and LevelDB, with unmodified providers (decision 041). */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import * as Y from 'yjs';
import { LevelStore } from '../../../server/store/level/level-store.js';
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

async function useStored(folder: string): Promise<{ server: TestServer; store: ObservedStore }> {
  const store = new ObservedStore(await LevelStore.open({ folder: join(folder, 'db') }));
  const server = await startServer({ REST_AFTER }, { store });
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
