import { once } from 'node:events';
import type { AddressInfo, Socket as Stream } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { MAX_JOINED } from '../../../../server/gateways/websocket/frames.js';
import { Socket } from '../../../../server/gateways/websocket/socket.js';

/** Both ends of a WebSocket, the server's end as it is used there; what the other end gets, in order. */
async function connected() {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  const heard: [kind: string, content: Buffer][] = [];
  client.on('message', (data: Buffer, isBinary) => heard.push([isBinary ? 'bytes' : 'text', data]));
  client.on('ping', (payload: Buffer) => heard.push(['ping', payload]));
  const [ws, { socket: stream }] = (await once(server, 'connection')) as [WebSocket, { socket: Stream }];
  const unbounded = { bufferPause: Number.POSITIVE_INFINITY, bufferClose: Number.POSITIVE_INFINITY };
  const close = async () => {
    client.terminate();
    server.close();
    await once(server, 'close');
  };
  return { socket: new Socket(ws, stream, unbounded), client, heard, close };
}

test('[N10] [L4] messages of every length, and pings, arrive as they were and in their order, joined or not', async () => {
  const { socket, client, heard, close } = await connected();
  const sizes = [0, 1, 125, 126, 127, 65_535, 65_536, MAX_JOINED, MAX_JOINED + 1];
  const expected: [kind: string, content: Buffer][] = [];
  for (const [index, size] of sizes.entries()) {
    const content = Buffer.alloc(size, index + 97);
    socket.send([content]);
    socket.sendText(content);
    socket.sendText(content.toString());
    socket.ping(`${index}.${size}`);
    expected.push(['bytes', content], ['text', content], ['text', content]);
    expected.push(['ping', Buffer.from(`${index}.${size}`)]);
  }
  const [code] = await new Promise<[number]>((gone) => {
    client.on('close', (closed: number) => gone([closed]));
    socket.close(1000, '');
  });
  expect(code).toBe(1000);
  expect(heard).toEqual(expected);
  await close();
});

test('the same bytes go to many, as text and as bytes', async () => {
  const [one, other] = [await connected(), await connected()];
  const content = Buffer.from('{"a":1}');
  for (const { socket } of [one, other]) {
    socket.send([content]);
    socket.sendText(content);
    socket.close(1000, '');
  }
  for (const { client, heard, close } of [one, other]) {
    if (client.readyState !== WebSocket.CLOSED) await once(client, 'close');
    expect(heard).toEqual([
      ['bytes', content],
      ['text', content],
    ]);
    await close();
  }
});
