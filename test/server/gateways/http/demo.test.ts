/** The demo at `/`: when it is there, how its files are served, and what a page of it may do (O1). */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SyncError } from '../../../../server/errors.js';
import { serveDemo } from '../../../../server/gateways/http/demo.js';
import { collectingLog } from '../../../../server/log.js';
import { useServer } from '../../../support/use.js';

const PAGE = '<!doctype html><title>Demo</title>';

async function useFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'demo-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function useBuilt(): Promise<string> {
  const folder = await useFolder();
  await mkdir(join(folder, 'assets'));
  await writeFile(join(folder, 'index.html'), PAGE);
  await writeFile(join(folder, 'sw.js'), '1');
  await writeFile(join(folder, 'assets', 'main-h4sh.js'), '1');
  return folder;
}

/** Only the demo, and how the server answers errors. */
async function serve(folder: string): Promise<string> {
  const app = express();
  app.use(serveDemo(folder));
  app.use((_request, response) => void response.status(404).end());
  app.use(((error, _request, response, _next) => {
    const { status, code, message } = error as SyncError;
    response.status(error instanceof SyncError ? status : 500).json({ code, message });
  }) satisfies express.ErrorRequestHandler);
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** As a browser asks: `fetch` would add headers of its own. */
function ask(url: string, headers: Record<string, string>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage) => resolve(response.resume());
    request(url, { headers }, answered).on('error', reject).end();
  });
}

const policyOf = (response: Response): string[] =>
  (response.headers.get('content-security-policy') ?? '').split(';');

describe('where it is', () => {
  test('[O1] it is at / in development, and the log says so', async () => {
    const { log, events } = collectingLog();
    const server = await useServer({}, { log });
    const response = await fetch(`${server.url}/`);
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/html; charset=utf-8',
    ]);
    expect(events.find(({ name }) => name === 'demo')?.fields).toEqual({ url: `${server.url}/` });
  });

  test('[O1] its address is one that a browser can open', async () => {
    const { log, events } = collectingLog();
    const server = await useServer({ HOST: '0.0.0.0' }, { log });
    const url = `http://localhost:${server.port}/`;
    expect(events.find(({ name }) => name === 'demo')?.fields).toEqual({ url });
  });

  test.each([{ DEMO: 'false' }, { NODE_ENV: 'production', AUTH: 'none' }])(
    '[O1] with %j there is nothing at /',
    async (options) => {
      const { log, events } = collectingLog();
      const server = await useServer(options, { log });
      const response = await fetch(`${server.url}/`);
      expect([response.status, await response.json()]).toMatchObject([404, { code: 'NOT_FOUND' }]);
      expect(events.map(({ name }) => name)).not.toContain('demo');
    },
  );

  test('[O1] DEMO=true is there in production, too', async () => {
    const server = await useServer({ NODE_ENV: 'production', AUTH: 'none', DEMO: 'true' });
    expect((await fetch(`${server.url}/`)).status).toBe(200);
  });

  test('a demo that was not built says how to build it', async () => {
    const response = await fetch(await serve(await useFolder()));
    expect([response.status, await response.json()]).toEqual([
      404,
      { code: 'NOT_FOUND', message: expect.stringContaining('npm run build') },
    ]);
  });
});

describe('files', () => {
  test('the page is asked for anew each time, its hashed files never', async () => {
    const url = await serve(await useBuilt());
    const cacheOf = async (path: string) => (await fetch(url + path)).headers.get('cache-control');
    expect(await cacheOf('/')).toBe('no-cache');
    expect(await cacheOf('/sw.js')).toBe('no-cache');
    expect(await cacheOf('/assets/main-h4sh.js')).toBe('public, max-age=31536000, immutable');
  });

  test('an unchanged page costs a 304', async () => {
    const url = await serve(await useBuilt());
    const { etag = '' } = (await ask(url, {})).headers;
    expect((await ask(url, { 'If-None-Match': etag })).statusCode).toBe(304);
  });

  test.each([
    ['GET', '/assets'],
    ['GET', '/nothing'],
    ['GET', '/%2e%2e/%2e%2e/etc/passwd'],
    ['POST', '/'],
  ])('%s %s is not its business', async (method, path) => {
    const url = await serve(await useBuilt());
    expect((await fetch(url + path, { method })).status).toBe(404);
  });
});

describe('what the page may do', () => {
  test('only what comes from the server itself runs, also without TLS', async () => {
    const server = await useServer();
    const policy = policyOf(await fetch(`${server.url}/`));
    const host = `127.0.0.1:${server.port}`;
    expect(policy).toEqual(expect.arrayContaining(["default-src 'self'", "object-src 'none'"]));
    expect(policy).toContain(`connect-src 'self' ws://${host} wss://${host}`);
    expect(policy.join()).not.toMatch(/unsafe|upgrade-insecure-requests|\*/);
  });

  test.each(['x; script-src *', 'a b', "'unsafe-inline'"])('a forged Host %j adds nothing', async (host) => {
    const { headers } = await ask(await serve(await useBuilt()), { host });
    const policy = headers['content-security-policy'];
    expect(policy).toContain("connect-src 'self'");
    expect(policy).not.toContain(host);
  });
});
