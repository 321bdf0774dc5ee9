/** Addresses are matched as they are written, and in production the operator's exist with a token only (A0). */
import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import type { TestServer } from '../../support/server.js';
import { bearer, JWT } from '../../support/tokens.js';
import { useServer } from '../../support/use.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
const PRODUCTION = { NODE_ENV: 'production', ...JWT };

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

/** With the path as it stands: fetch would put it in order first. */
function ask({ port }: TestServer, path: string, headers: object = {}, method = 'GET'): Promise<Answer> {
  const options = { port, host: '127.0.0.1', path, method, headers: { ...headers } };
  return new Promise((resolve, reject) => {
    const sent = request(options, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode, text: Buffer.concat(parts).toString() }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

const OPERATOR: readonly (readonly [method: string, path: string])[] = [
  ['GET', '/metrics'],
  ['HEAD', '/metrics'],
  ['GET', '/admin/users/u/export'],
  ['DELETE', '/admin/users/u'],
  ['POST', '/admin/revoke'],
];

describe('[A0] routes are matched exactly', () => {
  test.each([
    '/ADMIN/users/u/export',
    '/Admin/users/u/export',
    '/admin/Users/u/export',
    '/admin//users/u/export',
    '//admin/users/u/export',
    '/admin/users/u/export/',
    '/admin/users/u/export//',
    '/%61dmin/users/u/export',
    '/admin%2Fusers%2Fu%2Fexport',
    '/admin/./users/u/export',
    '/x/../admin/users/u/export',
    '/admin/users/u/export;x',
    '/Metrics',
    '/METRICS',
    '/metrics/',
    '//metrics',
    '/metric%73',
    '/./metrics',
    '/api/../metrics',
    '/API/sync/u',
    '/api/sync/u/',
    '/api//sync/u',
    '/ap%69/sync/u',
    '/Health',
    '/health/',
    '/ready/',
  ])('%s is nothing, with ADMIN_TOKEN and from this machine too', async (path) => {
    const nothing = (server: TestServer) => ask(server, '/nothing', bearer(ADMIN_TOKEN));
    for (const options of [{}, { ADMIN_TOKEN }]) {
      const server = await useServer({ DEMO: 'false', ...options });
      expect(await ask(server, path, bearer(ADMIN_TOKEN))).toEqual({
        ...(await nothing(server)),
        status: 404,
      });
    }
  });

  test.each([
    '/SYNC?userId=u&deviceId=d',
    '/sync/?userId=u&deviceId=d',
    '/%73ync?userId=u&deviceId=d',
    '/Yjs/u',
    '/yjs/u/',
    '//yjs/u',
    '/x/../yjs/u',
  ])('no WebSocket at %s', async (path) => {
    const server = await useServer();
    const headers = {
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    expect((await ask(server, path, headers)).status).toBe(404);
  });
});

describe('[A0] in production', () => {
  test.each(OPERATOR)(
    'without ADMIN_TOKEN, %s %s does not exist, from this machine either',
    async (method, path) => {
      const server = await useServer(PRODUCTION);
      for (const headers of [{}, bearer('a-token-that-somebody-guessed')])
        expect(await ask(server, path, headers, method)).toEqual({
          ...(await ask(server, '/nothing', headers, method)),
          status: 404,
        });
    },
  );

  test.each(OPERATOR)('with ADMIN_TOKEN, %s %s is there for who has it', async (method, path) => {
    const server = await useServer({ ...PRODUCTION, ADMIN_TOKEN });
    expect((await ask(server, path, {}, method)).status).toBe(401);
    expect((await ask(server, path, bearer(ADMIN_TOKEN), method)).status).not.toBe(404);
    expect((await ask(server, path, bearer(ADMIN_TOKEN), method)).status).not.toBe(401);
  });

  test.each(OPERATOR.slice(0, 4))(
    'in development, %s %s is there for this machine as before',
    async (method, path) => {
      const server = await useServer();
      expect([200, 204]).toContain((await ask(server, path, {}, method)).status);
    },
  );
});
