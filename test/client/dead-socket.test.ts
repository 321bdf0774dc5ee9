/** Lines that die or are slow, over real sockets (N10). */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { Connectivity } from '../../client/platform/platform.js';
import { closeClients, synced, testClient } from '../support/devices/test-client.js';
import { SlowLine } from '../support/slow-line.js';
import { useServer } from '../support/use.js';
import { inTime } from '../support/wait.js';

afterEach(closeClients);

/** A way to the server on which what is open can die without a word, as a change of network has it. */
async function mortalWay(port: number) {
  const open = new Set<Socket>();
  const way = createServer((from) => {
    const to = connect(port, '127.0.0.1');
    for (const socket of [from, to]) {
      open.add(socket);
      socket.on('error', () => {});
    }
    from.pipe(to).pipe(from);
  }).listen(0, '127.0.0.1');
  await once(way, 'listening');
  onTestFinished(() => {
    way.close();
    for (const socket of open) socket.destroy();
  });
  const die = (): void => {
    for (const socket of open) socket.unpipe().pause();
  };
  return { url: `http://127.0.0.1:${(way.address() as AddressInfo).port}`, die };
}

test.each(['online', 'foreground'] as const)(
  '[N10] a client whose socket died is in step within 8 s of the hint %s',
  async (hint) => {
    let give = (_: 'online' | 'foreground'): void => {};
    const connectivity: Connectivity = {
      subscribe: (listener) => {
        give = listener;
        return () => {};
      },
    };
    const server = await useServer();
    const way = await mortalWay(server.port);
    const client = testClient({ connectivity });
    await client.initialize({ serverUrl: way.url, userId: 'anna' });
    await synced(client);
    way.die();
    await client.addData('notes', { id: 'a' });
    give(hint);
    const isThere = (async () => {
      await synced(client);
      const answer = await fetch(`${server.url}/api/sync/anna`);
      expect(await answer.json()).toMatchObject({ notes: [{ id: 'a' }] });
    })();
    await inTime(isThere, () => 'coming in step', 8_000);
  },
  20_000,
);

test('[N10] a message that can not be cut is told of, and taken for no silence', async () => {
  const server = await useServer();
  const writer = testClient();
  await writer.initialize({ serverUrl: server.url, userId: 'anna' });
  await writer.addData('notes', { id: 'n', text: 'x'.repeat(900_000) });
  await synced(writer);
  const line = await SlowLine.open(server, 400_000);
  onTestFinished(() => line.close());
  // Time passes 20 times as fast for the client: a line of 20 KB/s, which needs 45 s, and 30 s of silence.
  const clock = {
    now: () => Date.now(),
    after(ms: number, task: () => void) {
      const timer = setTimeout(task, ms / 20);
      return () => clearTimeout(timer);
    },
  };
  let sockets = 0;
  const { WebSocket } = await import('ws');
  class Counted extends WebSocket {
    constructor(url: string, protocols?: string[]) {
      super(url, protocols);
      sockets++;
    }
  }
  const reader = testClient({ clock, WebSocket: Counted as never });
  await reader.initialize({ serverUrl: line.url, userId: 'anna' });
  await synced(reader);
  expect(reader.getRecord('notes', 'n')).toMatchObject({ text: expect.stringContaining('xxx') });
  expect(sockets).toBe(1);
});
