/** Something on the way that speaks as a server does, and is not ours (C10). */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { type WebSocket, WebSocketServer } from 'ws';
import { messages } from '../../server/protocol/yjs.js';
import { closeClients, onDisk, statusWhere, synced, testClient } from '../support/devices/test-client.js';
import { useServer } from '../support/use.js';

afterEach(closeClients);

const NOTHING = Uint8Array.of(0);
const [SYNC, CHECKPOINT] = [0, 100];

/** Answers sockets, and requests as it is told. */
async function other(
  opened: (socket: WebSocket, url: URL) => void,
  asked: RequestListener = (_, response) => void response.writeHead(404).end(),
): Promise<string> {
  const http = createServer(asked);
  const sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket, { url }) => opened(socket, new URL(url ?? '', 'ws://other.test')));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
    http.close();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

/** As a server of Yjs does, which repeats what it does not know. */
function speaksYjs(socket: WebSocket): void {
  socket.send(messages.syncStep1(NOTHING));
  socket.on('message', (data: Buffer) => {
    if (data[0] === CHECKPOINT) socket.send(data);
    if (data[0] === SYNC && data[1] === 0) socket.send(messages.syncStep2(Uint8Array.of(0, 0)));
  });
}

test.each<[string, (socket: WebSocket, url: URL) => void]>([
  ['speaks Yjs and answers checkpoints', speaksYjs],
  [
    'proves another attempt',
    (socket) => {
      socket.send(messages.proof('of-another-attempt'));
      speaksYjs(socket);
    },
  ],
  [
    'proves itself when it has spoken',
    (socket, url) => {
      speaksYjs(socket);
      socket.send(messages.proof(url.searchParams.get('challenge') ?? ''));
    },
  ],
  ['says that the token reads only', (socket) => socket.send(messages.permissionDenied('Go away.'))],
  ['confirms what it was never sent', (socket) => socket.send(messages.checkpoint(1))],
  ['says something in words', (socket) => socket.send('Hello, who are you?')],
])('[C10] a socket that %s is told nothing, and confirms and stops nothing', async (_, speak) => {
  const told: Buffer[] = [];
  const serverUrl = await other((socket, url) => {
    socket.on('message', (data: Buffer) => told.push(data));
    speak(socket, url);
  });
  const client = testClient({ storage: await onDisk() });
  await client.initialize({ serverUrl, userId: 'anna', autoConnect: false });
  await client.addData('notes', { id: 'n', text: 'made offline' });
  await client.connect();
  await statusWhere(client, ({ reason }) => reason?.includes('Something on the way') ?? false);
  expect(told).toEqual([]);
  expect(client.status.current).toMatchObject({ connection: 'offline', pendingChanges: 1, error: null });
  const server = await useServer();
  await client.updateConfig({ serverUrl: server.url });
  await client.connect();
  await synced(client);
  const answer = await (await fetch(`${server.url}/api/sync/anna`)).json();
  expect(answer).toMatchObject({ notes: [{ id: 'n', text: 'made offline' }] });
});

const MB = 1024 * 1024;
const zeros = Buffer.alloc(MB);

test.each<[string, number, Record<string, string>, Buffer]>([
  ['a page without an end', 200, {}, zeros],
  ['an error without an end', 410, {}, zeros],
  ['an answer without an end that proves another attempt', 200, { 'Sync-Proof': 'x' }, zeros],
  ['zeros, packed a thousand times smaller', 200, { 'Content-Encoding': 'gzip' }, gzipSync(zeros)],
])('[C10] %s from something on the way is not read', async (_, status, headers, piece) => {
  let ended = (): void => {};
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  let sent = 0;
  const serverUrl = await other(
    () => {},
    (request, response) => {
      request.resume();
      response.writeHead(status, headers);
      const more = (): void => {
        for (let goesOn = true; goesOn && !response.destroyed; sent += piece.length)
          goesOn = response.write(piece);
      };
      response.on('drain', more).on('close', ended);
      more();
    },
  );
  const client = testClient({ WebSocket: undefined });
  await client.initialize({ serverUrl, userId: 'anna' });
  await client.addData('notes', { id: 'n' });
  await statusWhere(client, ({ reason }) => reason?.includes(`HTTP status ${status}`) ?? false);
  await end;
  expect(sent).toBeLessThan(32 * MB);
  expect(client.status.current.pendingChanges).toBe(1);
});
