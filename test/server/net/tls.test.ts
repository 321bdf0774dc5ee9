/** https and wss without a proxy, with a certificate made for the test. */
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { readConfig } from '../../../server/config.js';
import { collectingLog } from '../../../server/log.js';
import { createListener } from '../../../server/net/tls.js';
import { makePair, withOpenssl } from '../../support/certificate.js';
import { useServer } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

async function useFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tls-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Name of the certificate that a new connection gets. */
function nameAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

function get(port: number, path: string) {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]> }>((resolve, reject) => {
    const options = { port, host: '127.0.0.1', path, rejectUnauthorized: false, agent: false };
    request(options, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
    })
      .once('error', reject)
      .end();
  });
}

const HSTS = 'strict-transport-security';

describe('[O1] TLS_CERT and TLS_KEY', () => {
  withOpenssl('requests and WebSockets come in over TLS, and browsers are told to stay with it', async () => {
    const { cert, key } = makePair(await useFolder(), 'first');
    const server = await useServer({ TLS_CERT: cert, TLS_KEY: key });
    const health = await get(server.port, '/health');
    expect([health.status, health.headers[HSTS]]).toEqual([200, expect.stringContaining('max-age=')]);
    const ws = new WebSocket(`wss://127.0.0.1:${server.port}/sync?userId=anna&deviceId=phone`, {
      rejectUnauthorized: false,
    });
    onTestFinished(() => ws.terminate());
    const types: string[] = [];
    ws.on('message', (data) => types.push(JSON.parse(data.toString()).type));
    await expect.poll(() => types, { timeout: PATIENCE }).toEqual(['FULL_SYNC', 'CONNECTION_CONFIRMED']);
  });

  test('without them nobody is told so', async () => {
    const server = await useServer();
    expect((await fetch(`${server.url}/health`)).headers.get(HSTS)).toBeNull();
  });

  withOpenssl(
    'a new certificate is taken without a restart; a bad one leaves the old one, and is told once',
    async () => {
      const folder = await useFolder();
      const { cert, key } = makePair(folder, 'first');
      const { log, events } = collectingLog();
      const config = readConfig({ TLS_CERT: cert, TLS_KEY: key });
      const listener = createListener(config, log, (_, response) => void response.end());
      onTestFinished(() => {
        listener.close();
        listener.server.close();
      });
      await new Promise<void>((resolve) => listener.server.listen(0, '127.0.0.1', resolve));
      const address = listener.server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      expect(await nameAt(port)).toBe('first');
      listener.reload();
      expect(events).toEqual([]);

      const second = makePair(folder, 'second');
      await copyFile(second.cert, cert); // the key comes a moment later
      listener.reload();
      listener.reload();
      expect([await nameAt(port), events.map(({ name }) => name)]).toEqual(['first', ['tlsFailed']]);
      await copyFile(second.key, key);
      listener.reload();
      expect([await nameAt(port), events.at(-1)?.name]).toEqual(['second', 'tlsReloaded']);

      await writeFile(cert, 'no certificate');
      listener.reload();
      await rm(cert);
      listener.reload();
      listener.reload();
      expect(await nameAt(port)).toBe('second');
      expect(events.map(({ name }) => name)).toEqual(['tlsFailed', 'tlsReloaded', 'tlsFailed', 'tlsFailed']);
      await writeFile(cert, '');
      listener.reload();
      expect([await nameAt(port), events.at(-1)?.name]).toEqual(['second', 'tlsFailed']);
    },
  );

  test('files that can not be used keep the server from starting, with a sentence that names the options', async () => {
    const folder = await useFolder();
    const [cert, key] = [join(folder, 'cert'), join(folder, 'key')];
    const start = () =>
      createListener(
        readConfig({ TLS_CERT: cert, TLS_KEY: key }),
        () => {},
        () => {},
      );
    expect(start).toThrow(/^TLS_CERT \(.*\) and TLS_KEY \(.*\) can't be used: ENOENT/);
    await writeFile(cert, 'no certificate');
    await writeFile(key, 'no key');
    expect(start).toThrow(/can't be used/);
    await writeFile(cert, '');
    expect(start).toThrow(/can't be used: .*cert is empty/);
  });

  test.each([{ TLS_CERT: 'cert.pem' }, { TLS_KEY: 'key.pem' }])('%j alone is refused', (env) => {
    expect(() => readConfig(env)).toThrow('TLS_CERT and TLS_KEY need each other');
  });
});
