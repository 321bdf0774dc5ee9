import { once } from 'node:events';
import type { AddressInfo, Socket as Stream } from 'node:net';
import { expect, test, vi } from 'vitest';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { Socket } from '../../../server/gateways/websocket/socket.js';

/** Both ends of a WebSocket, the server's end as it is used there. */
async function connected() {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  const heard: string[] = [];
  client.on('message', (data: RawData) => heard.push(data.toString()));
  client.on('ping', (payload) => heard.push(`ping ${payload}`));
  const [ws, { socket: stream }] = (await once(server, 'connection')) as [WebSocket, { socket: Stream }];
  const socket = new Socket(ws, stream, { bufferPause: 1_000, bufferClose: 10_000 });
  const writes = [vi.spyOn(stream, '_write'), vi.spyOn(stream, '_writev' as '_write')];
  const countWrites = () => writes.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  return { server, socket, heard, countWrites };
}

test('[L4] a message and the ping behind it leave in one write, also where something fails in between', async () => {
  const { server, socket, heard, countWrites } = await connected();
  const result = socket.together(() => {
    socket.sendText('one');
    socket.ping('1');
    return 7;
  });
  expect([result, countWrites()]).toEqual([7, 1]);
  const fails = () => {
    socket.sendText('two');
    throw new Error('Not sent.');
  };
  expect(() => socket.together(fails)).toThrow('Not sent.');
  socket.sendText('three');
  expect(countWrites()).toBe(3);
  await expect.poll(() => heard).toEqual(['one', 'ping 1', 'two', 'three']);
  socket.terminate();
  server.close();
  await once(server, 'close');
});
