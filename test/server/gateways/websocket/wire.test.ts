import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { ownBytes } from '../../../../server/gateways/websocket/wire.js';

/** A socket, and the messages that come over it, as `ws` hands them over. */
async function line(): Promise<{ client: WebSocket; come: (count: number) => Promise<RawData[]> }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  const messages: RawData[] = [];
  server.on('connection', (ws) => ws.on('message', (data) => messages.push(data)));
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  onTestFinished(() => {
    client.terminate();
    server.close();
  });
  await once(client, 'open');
  const come = async (count: number): Promise<RawData[]> => {
    while (messages.length < count) await new Promise((resolve) => setImmediate(resolve));
    return messages.splice(0);
  };
  return { client, come };
}

test.each([1, 125, 126, 1_000])('[S2] a message of %d bytes that came alone is not copied', async (size) => {
  const { client, come } = await line();
  client.send(Buffer.alloc(size, 7));
  const [data] = (await come(1)) as [Buffer];
  const own = ownBytes(data);
  expect([...own]).toEqual([...Buffer.alloc(size, 7)]);
  expect(own.buffer).toBe(data.buffer);
});

test('[S2] what is kept of messages that came together keeps none of the others', async () => {
  const { client, come } = await line();
  const stream = Reflect.get(client, '_socket') as { cork(): void; uncork(): void };
  stream.cork();
  for (let n = 0; n < 3; n++) client.send(Buffer.alloc(50, n));
  stream.uncork();
  for (const [n, data] of (await come(3)).entries()) {
    const own = ownBytes(data);
    expect([...own]).toEqual([...Buffer.alloc(50, n)]);
    expect(own.buffer.byteLength).toBe(50);
  }
});

test('[S2] what no message changes that comes later', async () => {
  const { client, come } = await line();
  const kept: Uint8Array[] = [];
  for (let n = 0; n < 50; n++) {
    client.send(Buffer.alloc(40, n));
    kept.push(...(await come(1)).map(ownBytes));
  }
  for (const [n, own] of kept.entries()) expect([...own]).toEqual([...Buffer.alloc(40, n)]);
});
