/** Fronts that lead on whatever comes to them. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { onTestFinished } from 'vitest';
import type { Exchange } from '../../server/cluster/forward.js';
import type { Led, Target } from '../../server/cluster/hop-target.js';
import type { Upgrade } from '../../server/cluster/splice.js';
import type { TestOwners } from './cluster.js';
import { ask } from './http-ask.js';
import { PATIENCE } from './wait.js';

export const ASKING = 'GET /sync HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
export const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

export const targetAt = ({ address }: TestOwners, silence: number, timeout = PATIENCE): Target => {
  const at = { host: '127.0.0.1', port: Number(address.split(':')[1]) };
  return { at, header: 'x', timeout, silence };
};

/** Leads a request on; resolves with what came of it. */
export function useForwarded(lead: (exchange: Exchange) => Promise<Led>): Promise<Led> {
  return new Promise((resolve) => {
    const server = createServer((request, response) => {
      void lead({ request, response, url: '/' }).then((verdict) => {
        resolve(verdict);
        response.end();
      });
    });
    onTestFinished(() => void server.close());
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      void ask(`http://127.0.0.1:${port}/`);
    });
  });
}

/** Leads every upgrade on; resolves with the two ends of one. */
export async function useSpliced(lead: (upgrade: Upgrade) => Promise<unknown>) {
  const server = createServer().listen(0, '127.0.0.1');
  const upgraded = once(server, 'upgrade');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.on('error', () => {});
  onTestFinished(() => {
    server.close();
    client.destroy();
  });
  client.write(ASKING);
  const [request, stream, head] = await upgraded;
  const led = lead({ request, stream, head });
  return { client, stream: stream as Duplex, led };
}
