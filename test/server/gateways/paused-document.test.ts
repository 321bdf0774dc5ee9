/** What is sent while a document is in work stays in its sockets (S1, S4). */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { messages } from '../../../server/protocol/yjs.js';
import { MemoryStore } from '../../../server/store/memory/memory-store.js';
import { openJson, useJson, useRaw, useServer } from '../../support/use.js';

const MIB = 2 ** 20;

/** A server whose erasures take until the test says so. */
async function useSlowErasure() {
  const store = new MemoryStore();
  const { erase } = store;
  let finish = (): void => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  store.erase = async (...args) => {
    await finished;
    await erase.apply(store, args);
  };
  const server = await useServer({}, { store });
  const begin = () => fetch(`${server.url}/api/users/anna`, { method: 'DELETE' });
  return { server, begin, finish };
}

test('[S4] a client that sends while the document is in work is slowed down, and is told how it ended', async () => {
  const { server, begin, finish } = await useSlowErasure();
  const { ws } = await useRaw(server, 'anna');
  const closed = new Promise<number>((resolve) => void ws.once('close', resolve));
  const erased = begin();
  await sleep(100);
  const message = messages.update(new Uint8Array(MIB));
  for (let n = 0; n < 40; n++) ws.send(message);
  await sleep(500);
  expect(ws.bufferedAmount).toBeGreaterThan(20 * MIB);
  finish();
  expect((await erased).status).toBe(204);
  expect(await closed).toBe(4410);
  const after = openJson(server, 'anna', 'new-phone');
  await after.next('CONNECTION_CONFIRMED');
});

test('[S4] other users are not held meanwhile', async () => {
  const { server, begin, finish } = await useSlowErasure();
  const anna = await useJson(server, 'anna', 'phone');
  const bert = await useJson(server, 'bert', 'phone');
  const erased = begin();
  await sleep(100);
  anna.update('appointments', { id: 'a1' });
  bert.update('appointments', { id: 'b1' }, { ack: 'x' });
  await bert.next('ACK');
  finish();
  expect((await erased).status).toBe(204);
});
