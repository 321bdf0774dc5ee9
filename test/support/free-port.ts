import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that the system gives to connections: one of them could take a port before its server has it. */
const FIRST = 10_000;
const COUNT = 20_000;

/** Processes of one run begin apart from each other. */
let next = (process.pid * 131) % COUNT;

/** A port that was free a moment ago: an address has to be known before somebody listens there. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    if (await isFree(port)) return port;
  }
  throw new Error('no port is free');
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, '127.0.0.1'), 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
