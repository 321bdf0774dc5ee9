import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { CONNECT_TIMEOUT, isReachable } from '../../../server/net/reachable.js';
import { stall } from '../../support/wait.js';

/** Its system answers, whatever this process does. */
async function useListener(): Promise<number> {
  const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, 'localhost');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** Its queue is full, and nobody takes anybody from it: the system answers no more. */
async function useFullListener(): Promise<number> {
  const code = `const server = require('node:net').createServer();
    server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
      require('node:fs').writeSync(1, String(server.address().port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', code]);
  onTestFinished(() => void child.kill('SIGKILL'));
  const [said] = await once(child.stdout, 'data');
  const port = Number(String(said));
  for (let filled = 0; filled < 4; filled++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    onTestFinished(() => void socket.destroy());
  }
  return port;
}

test('[S4] a machine is reached whether somebody listens or not', async () => {
  const port = await useListener();
  expect(await isReachable({ host: 'localhost', port })).toBe(true);
  expect(await isReachable({ host: 'localhost', port: 1 })).toBe(true);
});

test('[P3] [S4] that this process came late to read the answer is not taken for a silence of the machine', async () => {
  const port = await useListener();
  const look = isReachable({ host: 'localhost', port });
  stall(CONNECT_TIMEOUT + 100); // the name is found meanwhile
  await new Promise(setImmediate);
  stall(CONNECT_TIMEOUT + 100); // and the connection made
  expect(await look).toBe(true);
});

test('[S4] one from which nothing comes back is not reached', async () => {
  const port = await useFullListener();
  expect(await isReachable({ host: '127.0.0.1', port })).toBe(false);
});

test('[P3] [S4] of a machine whose address can not be found, or not in time, nobody can tell', async () => {
  const at = { host: 'database.example', port: 9 };
  const failure = Object.assign(new Error('getaddrinfo EAI_AGAIN'), { code: 'EAI_AGAIN' });
  expect(await isReachable({ ...at, lookup: (_name, _options, found) => found(failure, '') })).toBe(null);
  expect(await isReachable({ ...at, lookup: () => {} })).toBe(null);
});
