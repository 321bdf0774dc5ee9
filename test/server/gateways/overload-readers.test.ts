/** The devices of one user do not read what they are sent, which is more than all may leave unread (S4). */
import { expect, test } from 'vitest';
import * as Y from 'yjs';
import { MAX_UNSENT } from '../../../server/gateways/guard/overload.js';
import { messages } from '../../../server/protocol/yjs.js';
import { openRaw, useNative, useRaw, useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

/** The system takes some of what waits. */
const ENOUGH = MAX_UNSENT + 2 ** 24;

test('[S4] first syncs of one user that nobody reads put off who comes as this user, and nobody else', async () => {
  const server = await useServer({ BYTE_RATE: '0', MESSAGE_RATE: '0' });
  const unsent = async (): Promise<number> =>
    Number(/^telemed_unsent_bytes (\d+)$/m.exec(await (await fetch(`${server.url}/metrics`)).text())?.[1]);
  const writer = await useNative(server, 'mallory', 'writer');
  for (let n = 0; n < 28; n++) writer.record('notes', `n${n}`).set('text', 'x'.repeat(1_000_000));
  await writer.saved();
  const slow = await Promise.all(Array.from({ length: 20 }, () => useRaw(server, 'mallory')));
  for (const socket of slow) socket.ws.pause();
  for (const socket of slow) {
    const before = await unsent();
    if (before > ENOUGH) break;
    socket.send(messages.syncStep1(Y.encodeStateVector(new Y.Doc())));
    await expect.poll(unsent, { timeout: PATIENCE }).toBeGreaterThan(before);
  }

  // Who comes before the server looks the next time still comes in.
  const comesIn = async (user: string) => {
    const late = openRaw(server, user);
    const isIn = await late.until(() => (late.messages.length > 0 ? 'in' : late.closed));
    late.ws.terminate();
    return isIn;
  };
  await expect.poll(() => comesIn('mallory'), { timeout: PATIENCE }).toMatchObject({ code: 1013 });
  // Not at once where this process itself, with its clients and a busy machine, could not keep up for a moment.
  await expect.poll(() => comesIn('bert'), { timeout: PATIENCE }).toBe('in');
  expect(await unsent()).toBeGreaterThan(MAX_UNSENT);
  const other = await useNative(server, 'bert', 'phone');
  other.record('notes', 'n').set('text', 'of another');
  await other.saved();
  expect((await fetch(`${server.url}/api/sync/bert`)).status).toBe(200);

  for (const socket of slow) socket.ws.terminate();
  await expect.poll(unsent, { timeout: PATIENCE }).toBe(0);
}, 60_000);
