/** What is noted of a document is looked up before the upgrade is answered (decision 045). */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { HttpDevice } from '../../support/devices/json-http.js';
import { ObservedStore } from '../../support/observed-store.js';
import { startServer, type TestServer } from '../../support/server.js';
import { JWT, tokenFor } from '../../support/tokens.js';
import { openRaw, useNative } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const OPTIONS = { REST_AFTER: '20ms', IDLE_TIMEOUT: '20ms' };

/** A server that has a document of Anna, which is at rest. */
async function useResting(options: Readonly<Record<string, string>> = {}) {
  const store = new ObservedStore(new MemoryStore());
  const server = await startServer({ ...OPTIONS, ...options }, { store });
  onTestFinished(async () => void (await server.close()));
  const params = options.AUTH === 'jwt' ? { token: await tokenFor('anna') } : {};
  const phone = await useNative(server, 'anna', 'phone', { params });
  phone.record('notes', 'n1').set('text', 'one');
  await phone.saved();
  await phone.close();
  // An empty one may have slept before, and have been loaded again.
  await store.until(() => store.forgotten.length === store.loads.length);
  return { server, store, params };
}

/** Asks for the document of Anna, as a browser does. */
async function ask({ port }: TestServer): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  const lines = ['Host: server', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
  const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`;
  socket.write(`GET /yjs/anna HTTP/1.1\r\n${[...lines, key].join('\r\n')}\r\n\r\n`);
  return socket;
}

async function untilAsleep(server: TestServer, count: number): Promise<void> {
  const asleep = async () =>
    /^telemed_documents_asleep (.*)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1];
  await expect.poll(asleep, { timeout: PATIENCE }).toBe(String(count));
}

test('[N2] the first message comes with the answer to the upgrade', async () => {
  const { server, store } = await useResting();
  const loads = store.loads.length;
  const [chunk] = (await once(await ask(server), 'data')) as [Buffer];
  expect(chunk.toString('latin1')).toMatch(/^HTTP\/1.1 101 /);
  expect(chunk.subarray(chunk.indexOf('\r\n\r\n') + 4).length).toBeGreaterThan(4);
  expect(store.loads).toHaveLength(loads);
});

test('[A4] of nobody who has no access anything is looked up', async () => {
  const { server, store, params } = await useResting(JWT);
  const before = store.lookUps.length;
  const stranger = openRaw(server, 'anna', 'phone', { token: await tokenFor('bert') });
  await stranger.until(() => stranger.closed !== null);
  expect(stranger.closed?.code).toBe(4403);
  expect(store.lookUps).toHaveLength(before);
  const phone = openRaw(server, 'anna', 'phone', params);
  await phone.until(() => phone.messages.length > 0);
  expect(store.lookUps).toHaveLength(before + 1);
});

test('[N2] a look-up that takes long does not hold up the upgrade', async () => {
  const { server, store } = await useResting();
  const loads = store.loads.length;
  const release = store.holdRests();
  const phone = openRaw(server, 'anna', 'phone');
  await once(phone.ws, 'open');
  expect(phone.messages).toEqual([]);
  release();
  await phone.until(() => phone.messages.length > 0);
  expect(store.loads).toHaveLength(loads);
});

test('[N2] [N5] what others change while it is looked up is not missed', async () => {
  const { server, store } = await useResting();
  const before = store.lookUps.length;
  const release = store.holdRests();
  const phone = openRaw(server, 'anna', 'phone');
  await store.until(() => store.lookUps.length > before);
  await new HttpDevice(server.url, 'anna', 'other').write(['notes', { id: 'n2', text: 'two' }]);
  release();
  await phone.until(() => phone.messages.length > 0);
  const again = await useNative(server, 'anna', 'again');
  await again.until(() => again.json().notes?.n2);
});

test('[N2] who is gone before the look-up is done leaves nothing behind', async () => {
  const { server, store } = await useResting();
  const before = store.lookUps.length;
  const release = store.holdRests();
  const socket = await ask(server);
  await store.until(() => store.lookUps.length > before);
  socket.resetAndDestroy();
  await once(socket, 'close');
  await untilAsleep(server, 0);
  release();
  await untilAsleep(server, 0);
});
