/** Which web pages may use the server (A5). */
import { request } from 'node:http';
import { describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { useServer } from '../../../support/use.js';

const APP = 'https://app.example';
const LISTED = { CORS_ORIGINS: `${APP},capacitor://localhost` };

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

function ask(port: number, headers: Record<string, string>, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path: '/api/sync/anna', method, headers }, (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0, headers: response.headers });
    });
    sent.on('error', reject);
    sent.end();
  });
}

function upgrade(port: number, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve) => {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/yjs/anna`, { headers });
    onTestFinished(() => ws.terminate());
    ws.on('open', () => resolve(101));
    ws.on('unexpected-response', (_, response) => resolve(response.statusCode ?? 0));
    ws.on('error', () => {});
  });
}

describe.each([
  ['everybody, in development', {}, { origin: 'https://any.example' }, '*'],
  ['one of the list', LISTED, { origin: APP }, APP],
  ['an app in a web view, of the list', LISTED, { origin: 'capacitor://localhost' }, 'capacitor://localhost'],
  [
    'the server’s own page',
    { CORS_ORIGINS: 'none' },
    { origin: 'http://sync.example:3001', host: 'sync.example:3001' },
    'http://sync.example:3001',
  ],
  [
    'its own page behind TLS',
    { CORS_ORIGINS: 'none' },
    { origin: 'https://sync.example', host: 'sync.example' },
    'https://sync.example',
  ],
] as const)('[A5] %s may', (_, options, headers, told) => {
  test('over HTTP and on upgrades', async () => {
    const { port } = await useServer(options);
    const { status, headers: said } = await ask(port, headers);
    expect([status, said['access-control-allow-origin'], said.vary]).toEqual([
      200,
      told,
      'Origin, Accept-Encoding',
    ]);
    expect(said['access-control-expose-headers']).toContain('ETag');
    expect(await upgrade(port, headers)).toBe(101);
  });
});

describe.each([
  ['one that is not of the list', LISTED, { origin: 'https://evil.example' }],
  ['one that looks like it', LISTED, { origin: 'https://app.example.evil.example' }],
  ['another port', LISTED, { origin: `${APP}:8443` }],
  ['another scheme', LISTED, { origin: 'http://app.example' }],
  ['a page without an origin of its own', LISTED, { origin: 'null' }],
  ['what is no origin', LISTED, { origin: 'app.example' }],
  ['anybody else, with none', { CORS_ORIGINS: 'none' }, { origin: APP }],
  [
    'another page of this host',
    { CORS_ORIGINS: 'none' },
    { origin: 'http://sync.example:8080', host: 'sync.example:3001' },
  ],
] as const)('[A5] %s may not', (_, options, headers) => {
  test('over HTTP and on upgrades', async () => {
    const { port } = await useServer(options);
    const { status, headers: said } = await ask(port, headers);
    expect([status, said['access-control-allow-origin']]).toEqual([403, undefined]);
    const preflight = await ask(port, { ...headers, 'Access-Control-Request-Method': 'POST' }, 'OPTIONS');
    expect([preflight.status, preflight.headers['access-control-allow-origin']]).toEqual([403, undefined]);
    expect(await upgrade(port, headers)).toBe(403);
  });
});

test('[A5] a request without Origin passes, in production too', async () => {
  const { port } = await useServer({ NODE_ENV: 'production', AUTH: 'none' });
  expect((await ask(port, {})).status).toBe(200);
  expect(await upgrade(port, {})).toBe(101);
  expect((await ask(port, { origin: APP })).status).toBe(403);
});

test('[A5] a preflight is answered, without a token', async () => {
  const { port } = await useServer({
    ...LISTED,
    AUTH: 'jwt',
    JWT_SECRET: 'the secret of the tests, which has more than 32 bytes',
  });
  const asked = {
    origin: APP,
    'Access-Control-Request-Method': 'POST',
    'Access-Control-Request-Headers': 'authorization',
  };
  const { status, headers } = await ask(port, asked, 'OPTIONS');
  expect(status).toBe(204);
  expect(headers).toMatchObject({
    'access-control-allow-origin': APP,
    'access-control-allow-headers': expect.stringMatching(/Authorization.*Device-ID/),
    'access-control-allow-methods': expect.stringContaining('POST'),
    'access-control-max-age': '600',
    vary: 'Origin, Access-Control-Request-Headers',
  });
  // The page can read why it was turned away.
  const refused = await ask(port, { origin: APP });
  expect([refused.status, refused.headers['access-control-allow-origin']]).toEqual([401, APP]);
});

test.each([
  ['x-requested-with', /, x-requested-with$/],
  ['cache-control,pragma, x-app-version', /, cache-control,pragma, x-app-version$/],
  ['', /Sync-Challenge$/],
  ['x y', /Sync-Challenge$/],
  [`x-${'y'.repeat(2_000)}`, /Sync-Challenge$/],
])('[A5 L12] a preflight for the headers %s allows them, where they are names', async (asked, allowed) => {
  const { port } = await useServer(LISTED);
  const preflight = { 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': asked };
  const { status, headers } = await ask(port, { origin: APP, ...preflight }, 'OPTIONS');
  expect([status, headers['access-control-allow-headers']]).toEqual([204, expect.stringMatching(allowed)]);
  expect(headers['access-control-allow-headers']).toMatch(/^Authorization, Content-Type, Device-ID/);
});
