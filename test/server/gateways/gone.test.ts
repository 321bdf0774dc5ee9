/** Clients that go away while their token is checked: what they took is free again (S4). */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { expect, onTestFinished, test } from 'vitest';
import type { TestServer } from '../../support/server.js';
import { bearer, seconds } from '../../support/tokens.js';
import { openJson, useServer } from '../../support/use.js';

/** A provider whose keys come when the test says so, and a token that it signed. */
async function useSlowProvider() {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'RS256' }] });
  const asked: ServerResponse[] = [];
  const provider = createServer((_, response) => void asked.push(response)).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  onTestFinished(() => void provider.close());
  const { port } = provider.address() as AddressInfo;
  const token = await new SignJWT({ sub: 'anna', aud: 'sync', iat: seconds(), exp: seconds() + 300 })
    .setProtectedHeader({ alg: 'RS256', kid: 'k' })
    .sign(privateKey);
  return {
    token,
    options: { AUTH: 'jwt', JWT_JWKS_URL: `http://127.0.0.1:${port}/keys`, JWT_AUDIENCE: 'sync' },
    async answer(): Promise<void> {
      await expect.poll(() => asked.length).toBe(1);
      asked[0]?.setHeader('Content-Type', 'application/json').end(keys);
    },
  };
}

/** Asks, and is gone before it can be answered. */
async function askAndGo({ port }: TestServer, path: string, headers: Readonly<Record<string, string>>) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: server\r\n${lines.join('')}\r\n`);
  await sleep(50);
  socket.resetAndDestroy();
}

test('[S4] a WebSocket that is gone before its token is checked leaves no place of the user taken', async () => {
  const { token, options, answer } = await useSlowProvider();
  const server = await useServer({ ...options, MAX_SOCKETS_PER_USER: '1' });
  const upgrade = {
    ...bearer(token),
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64'),
  };
  await askAndGo(server, '/yjs/anna', upgrade);
  await sleep(50);
  await answer();
  await sleep(50);
  const phone = openJson(server, 'anna', 'phone', { headers: bearer(token) });
  await phone.next('CONNECTION_CONFIRMED');
});

test('[S4] a request that is gone before its token is checked leaves no place of the address taken', async () => {
  const { token, options, answer } = await useSlowProvider();
  const server = await useServer({ ...options, MAX_SOCKETS_PER_ADDRESS: '1' });
  await askAndGo(server, '/api/sync/anna', bearer(token));
  await sleep(50);
  await answer();
  await sleep(50);
  expect((await fetch(`${server.url}/api/sync/anna`, { headers: bearer(token) })).status).toBe(200);
});
