/** What somebody tries who wants in at the operator's page, or at who is in there (A0). */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createLog } from '../../../../server/log.js';
import type { TestServer } from '../../../support/server.js';
import { bearer } from '../../../support/tokens.js';
import { useServer } from '../../../support/use.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';

const signIn = (server: TestServer, headers: Record<string, string> = {}) =>
  fetch(`${server.url}/admin/api/sign-in`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ token: ADMIN_TOKEN }),
  });

const cookieOf = (answer: Response): string => (answer.headers.get('Set-Cookie') ?? '').split(';')[0] ?? '';

const statusWith = async (server: TestServer, cookie: string): Promise<number> =>
  (await fetch(`${server.url}/admin/api/overview`, { headers: { cookie } })).status;

/** As it is written, without what `fetch` makes of an address. */
async function raw({ port }: TestServer, method: string, path: string, headers = {}): Promise<number> {
  const asked = request({ host: '127.0.0.1', port, method, path, headers }).end();
  const [answer] = await once(asked, 'response');
  answer.resume();
  return answer.statusCode;
}

describe('[A0] a session', () => {
  test('is one that the server made: no id that comes along begins one', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const planted = `telemed_admin=${'A'.repeat(43)}`;
    expect(await statusWith(server, planted)).toBe(401);
    const own = cookieOf(await signIn(server, { cookie: planted }));
    expect(own).not.toBe(planted);
    expect([await statusWith(server, planted), await statusWith(server, own)]).toEqual([401, 200]);
  });

  test('ends where its browser signs in again: nobody could end it any more', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const first = cookieOf(await signIn(server));
    const second = cookieOf(await signIn(server, { cookie: first }));
    expect([await statusWith(server, first), await statusWith(server, second)]).toEqual([401, 200]);
  });

  test('is found beside a cookie of the same name that another host of the domain has set', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const own = cookieOf(await signIn(server));
    const planted = `telemed_admin=${'A'.repeat(43)}`;
    for (const cookie of [`${planted}; ${own}`, `${own}; ${planted}`, `a=b;${planted};${own};c=d`])
      expect(await statusWith(server, cookie), cookie).toBe(200);
    const headers = { cookie: `${planted}; ${own}` };
    await fetch(`${server.url}/admin/api/sign-out`, { method: 'POST', headers });
    expect(await statusWith(server, own)).toBe(401);
  });
});

test('[A0] no spelling of an address gets past the guard, or to a file beside the page', async () => {
  const server = await useServer({ ADMIN_TOKEN });
  const paths = [
    '/admin/api/overview',
    '/admin/api/overview/',
    '/admin/api/%6fverview',
    '/admin/api//overview',
    '/admin//api/overview',
    '//admin/api/overview',
    '/admin/./api/overview',
    '/admin/api/sign-in/../overview',
    '/admin/api/sign-in%2f..%2foverview',
    '/admin/assets/../api/overview',
    '/ADMIN/api/overview',
    '/admin/API/overview',
    '/admin/api/users/anna/records',
    '/admin/api/devices/phone/users',
    '/admin/api/live',
    '/admin/api',
    '/admin/assets/../index.html',
    '/admin/assets/..%2f..%2f..%2fpackage.json',
    '/admin/assets/%2e%2e/%2e%2e/%2e%2e/package.json',
    '/admin/assets/..\\..\\package.json',
    '/admin/assets/',
  ];
  for (const path of paths)
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE'])
      expect([400, 401, 403, 404], `${method} ${path}`).toContain(await raw(server, method, path));
  for (const user of ['~shared', '~operator', '%2e%2e%2f', 'a%2Fb'])
    expect([400, 404], user).toContain(
      await raw(server, 'DELETE', `/admin/api/users/${user}`, bearer(ADMIN_TOKEN)),
    );
});

test('[A0] nothing of the operator is shown in a frame of another page, or kept, or taken for another type', async () => {
  const server = await useServer({ ADMIN_TOKEN });
  for (const path of [
    '/admin',
    '/admin/',
    '/admin/api/overview',
    '/admin/api/nothing',
    '/admin/assets/none.js',
  ]) {
    const { headers } = await fetch(server.url + path, { headers: bearer(ADMIN_TOKEN) });
    expect(headers.get('Content-Security-Policy'), path).toMatch(/frame-ancestors '(none|self)'/);
    expect(headers.get('X-Frame-Options'), path).toBe('SAMEORIGIN');
    expect(headers.get('X-Content-Type-Options'), path).toBe('nosniff');
    expect(headers.get('Referrer-Policy'), path).toBe('no-referrer');
    if (path.startsWith('/admin/api/')) expect(headers.get('Cache-Control'), path).toContain('no-store');
  }
  const page = await fetch(`${server.url}/admin`);
  expect(page.headers.get('Content-Security-Policy')).toContain("frame-ancestors 'none'");
  const exported = await fetch(`${server.url}/admin/api/users/anna/export`, { headers: bearer(ADMIN_TOKEN) });
  expect(exported.headers.get('Cache-Control')).toContain('no-store');
  expect(exported.headers.get('Content-Disposition')).toMatch(/^attachment;/);
});

test('[A0] [A3] the token is in no line of the log and in no answer, however it was sent', async () => {
  const written: string[] = [];
  const log = createLog({ format: 'json', level: 'debug', stream: { write: (line) => written.push(line) } });
  const server = await useServer({ ADMIN_TOKEN }, { log });
  const post = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${server.url}/admin/api/sign-in`, { method: 'POST', headers, body });
  const answers = await Promise.all([
    post(`{"token":"${ADMIN_TOKEN}`),
    post(ADMIN_TOKEN),
    post(JSON.stringify([ADMIN_TOKEN])),
    post(JSON.stringify({ token: [ADMIN_TOKEN] })),
    post(JSON.stringify({ token: `${ADMIN_TOKEN}x` })),
    post(JSON.stringify({ token: ADMIN_TOKEN.repeat(500) })),
    post(JSON.stringify({ token: ADMIN_TOKEN }), { origin: 'http://evil.example' }),
    fetch(`${server.url}/admin/api/overview?token=${ADMIN_TOKEN}`),
    fetch(`${server.url}/admin/api/overview`, { headers: { authorization: `Basic ${ADMIN_TOKEN}` } }),
    fetch(`${server.url}/admin/api/overview`, { headers: { cookie: `telemed_admin=${ADMIN_TOKEN}` } }),
  ]);
  for (const answer of answers) {
    expect(answer.ok).toBe(false);
    expect(await answer.text()).not.toContain(ADMIN_TOKEN);
  }
  expect(written.join('')).toContain('ADMIN_TOKEN is missing or wrong.');
  const trail = await readFile(join(`${server.folder}-access`, 'audit.jsonl'), 'utf8');
  expect(written.join('') + trail).not.toContain(ADMIN_TOKEN);
});
