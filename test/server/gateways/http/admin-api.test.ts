/** The API of the admin page: who gets in, and what it tells (A0, O3). */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { collectingLog } from '../../../../server/log.js';
import { LevelStore } from '../../../../server/store/level/level-store.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import { makePair, withOpenssl } from '../../../support/certificate.js';
import type { TestServer } from '../../../support/server.js';
import { SetClock } from '../../../support/set-clock.js';
import { bearer, JWT, tokenFor } from '../../../support/tokens.js';
import { useJson, useServer } from '../../../support/use.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
const OPERATOR = bearer(ADMIN_TOKEN);

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

const ask = ({ url }: Pick<TestServer, 'url'>, path: string, { method, headers, body }: Asked = {}) =>
  fetch(`${url}/admin/api${path}`, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

const signIn = (server: TestServer, token = ADMIN_TOKEN, headers = {}) =>
  ask(server, '/sign-in', { body: { token }, headers });

const cookieOf = (answer: Response): string => (answer.headers.get('Set-Cookie') ?? '').split(';')[0] ?? '';

async function trailOf({ folder }: TestServer): Promise<Record<string, unknown>[]> {
  const lines = await readFile(join(`${folder}-access`, 'audit.jsonl'), 'utf8');
  return lines
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

test('[O3] a server that is alone on its store has no nodes', async () => {
  const server = await useServer({ ADMIN_TOKEN });
  const answer = await ask(server, '/nodes', { headers: OPERATOR });
  expect(await answer.json()).toEqual({ now: expect.any(Number), nodes: [] });
  expect((await ask(server, '/nodes')).status).toBe(401);
});

describe('who gets in', () => {
  test('[A0] a token is changed for a cookie that no script reads and no other site sends', async () => {
    const { log, events } = collectingLog();
    const server = await useServer({ ...JWT, ADMIN_TOKEN }, { log });
    expect((await ask(server, '/overview')).status).toBe(401);
    const signed = await signIn(server);
    expect(signed.status).toBe(204);
    expect(signed.headers.get('Set-Cookie')).toMatch(
      /^telemed_admin=[\w-]{43}; Path=\/admin; Max-Age=36000; HttpOnly; SameSite=Strict$/,
    );
    const headers = { cookie: cookieOf(signed) };
    const seen = await ask(server, '/overview', { headers });
    expect([seen.status, seen.headers.get('Cache-Control')]).toEqual([200, 'private, no-store']);
    expect((await ask(server, '/sign-out', { method: 'POST', headers })).status).toBe(204);
    expect((await ask(server, '/overview', { headers })).status).toBe(401);
    expect(events.filter(({ name }) => name === 'operatorSignedIn')).toHaveLength(1);
    expect(JSON.stringify(events)).not.toContain(ADMIN_TOKEN);
    await ask(server, '/sign-out', { method: 'POST', headers });
    expect(await trailOf(server)).toMatchObject([
      { actor: '~operator', action: 'sign-in', via: 'admin' },
      { actor: '~operator', action: 'sign-out', via: 'admin' },
    ]);
  });

  test('[A0] behind TLS the cookie goes over TLS alone', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const signed = await signIn(server, ADMIN_TOKEN, { 'x-forwarded-proto': 'https' });
    expect(signed.headers.get('Set-Cookie')).toMatch(/; Secure$/);
  });

  test('[A0] whoever guesses has to wait, at all doors together; the right token always opens', async () => {
    const time = new SetClock();
    const server = await useServer({ ...JWT, ADMIN_TOKEN }, { time });
    const at = async (path: string, token: string, method = 'GET') => {
      const answer = await fetch(server.url + path, { method, headers: bearer(token) });
      return [answer.status, answer.headers.get('Retry-After')];
    };
    const doors = [
      ['/metrics', 'GET'],
      ['/admin/backup', 'POST'],
      ['/admin/users/anna', 'DELETE'],
      ['/admin/api/overview', 'GET'],
    ] as const;
    for (const [path, method] of doors) expect(await at(path, 'guess', method)).toEqual([401, null]);
    expect((await signIn(server, 'guess')).status).toBe(401);
    for (const [path, method] of [...doors, ['/admin/revoke', 'POST'], ['/admin/users/anna/export', 'GET']])
      expect(await at(`${path}`, 'guess', method)).toEqual([429, '12']);
    const refused = await signIn(server, 'guess');
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([429, '12']);
    expect(await at('/metrics', ADMIN_TOKEN)).toEqual([200, null]);
    expect((await signIn(server)).status).toBe(204);
    expect(await at('/metrics', 'guess')).toEqual([429, '12']);
    time.pass(11_000);
    expect(await at('/metrics', 'guess')).toEqual([429, '1']);
    time.pass(1_000);
    expect(await at('/metrics', 'guess')).toEqual([401, null]);
    expect(await at('/metrics', 'guess')).toEqual([429, '12']);
    const trail = await trailOf(server);
    expect(trail.map(({ actor, action, failed }) => `${actor} ${action} ${failed}`)).toEqual([
      '~nobody sign-in UNAUTHORIZED',
      '~operator sign-in undefined',
    ]);
  });

  test.each([
    ['another origin', { origin: 'http://evil.example' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1' }],
    ['a page of another site', { 'sec-fetch-site': 'cross-site' }],
    ['a page of the same site', { 'sec-fetch-site': 'same-site' }],
  ])('[A0] a page of %s can do nothing with the cookie', async (_, foreign) => {
    const server = await useServer({ ADMIN_TOKEN });
    const cookie = cookieOf(await signIn(server));
    for (const [path, method] of [
      ['/overview', 'GET'],
      ['/users/anna', 'DELETE'],
      ['/sign-out', 'POST'],
    ] as const) {
      const { status } = await ask(server, path, { method, headers: { cookie, ...foreign } });
      expect(status, path).toBe(403);
    }
    expect((await signIn(server, ADMIN_TOKEN, foreign)).status).toBe(403);
  });

  test('[A0] the page of the server itself may', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const own = { origin: server.url, 'sec-fetch-site': 'same-origin' };
    const cookie = cookieOf(await signIn(server, ADMIN_TOKEN, own));
    expect((await ask(server, '/overview', { headers: { cookie, ...own } })).status).toBe(200);
  });

  test('[A0] without ADMIN_TOKEN this machine gets in, in development only', async () => {
    const server = await useServer();
    expect((await ask(server, '/overview')).status).toBe(200);
    expect((await ask(server, '/overview', { headers: { 'x-forwarded-for': '1.2.3.4' } })).status).toBe(403);
    expect((await signIn(server, '')).status).toBe(401);
    const production = await useServer({ NODE_ENV: 'production', ...JWT });
    expect((await ask(production, '/overview')).status).toBe(404);
  });
});

describe('GET /admin/api/overview', () => {
  test('[O3] tells connections, the store, the disk, refusals and limits', async () => {
    const server = await useServer({ ADMIN_TOKEN, MAX_DOCUMENT: '2 MiB' });
    const device = await useJson(server, 'anna', 'phone');
    device.update('appointments', { id: 'a1', room: 1 });
    await device.saved();
    await fetch(`${server.url}/api/sync/a%2Fb`);
    const overview = await (await ask(server, '/overview', { headers: OPERATOR })).json();
    expect(overview).toMatchObject({
      hindrances: [],
      overloaded: false,
      auth: 'none',
      connections: { yjs: 0, json: 1 },
      documents: { inMemory: 1 },
      store: { state: 'ready' },
      certificate: null,
      refused: { INVALID_IDENTITY: 1 },
      damaged: [],
      limits: { document: 2 * 2 ** 20, historyDays: 90 },
      points: [],
      warnings: [],
      lastBackup: null,
      restoredAt: null,
    });
    expect(overview.store.commits.saved).toBeGreaterThan(0);
    expect(overview.disk.size).toBeGreaterThan(overview.disk.free);
  });

  withOpenssl('[O3] tells until when the certificate is good', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'admin-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { cert, key } = makePair(folder, 'server');
    const { port } = await useServer({ ADMIN_TOKEN, TLS_CERT: cert, TLS_KEY: key });
    const overview = await new Promise<string>((resolve, reject) => {
      const options = { port, path: '/admin/api/overview', headers: OPERATOR, rejectUnauthorized: false };
      get({ host: '127.0.0.1', ...options }, async (answer) => resolve(await text(answer))).on(
        'error',
        reject,
      );
    });
    const { certificate } = JSON.parse(overview);
    expect(certificate.validTo - Date.now()).toBeGreaterThan(86_400_000);
    expect(certificate.validTo - Date.now()).toBeLessThanOrEqual(2 * 86_400_000);
  });
});

test('[P11] the overview tells of the last good backup, and warns as /ready does', async () => {
  const DATA_DIR = await mkdtemp(join(tmpdir(), 'admin-'));
  const dir = await mkdtemp(join(tmpdir(), 'admin-backups-'));
  onTestFinished(() => rm(DATA_DIR, { recursive: true, force: true }));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const first = await useServer({ ADMIN_TOKEN, DATA_DIR });
  const told = async (server: TestServer) =>
    await (await ask(server, '/overview', { headers: OPERATOR })).json();
  const made = await (await ask(first, '/backup', { headers: OPERATOR, body: { dir } })).json();
  expect(await told(first)).toMatchObject({ lastBackup: Date.parse(made.createdAt), warnings: [] });
  expect(await trailOf(first)).toMatchObject([{ action: 'backup', user: '*', what: { dir } }]);
  await first.app.close();
  const store = await LevelStore.open({ folder: DATA_DIR });
  await store.setNote('backup', Buffer.from(new Date(Date.now() - 3 * 86_400_000).toISOString()));
  await store.close();
  const second = await useServer({ ADMIN_TOKEN, DATA_DIR });
  const { warnings } = await (await fetch(`${second.url}/ready`)).json();
  expect(warnings).toMatchObject([{ code: 'BACKUP_OLD' }]);
  expect(await told(second)).toMatchObject({ warnings });
});

describe('GET /admin', () => {
  test('[A0] the page is there for whoever may see none of what it shows, under a strict policy', async () => {
    const { url, port } = await useServer({ ADMIN_TOKEN });
    const page = await fetch(`${url}/admin`);
    const policy = page.headers.get('Content-Security-Policy') ?? '';
    expect([page.status, page.headers.get('Cache-Control')]).toEqual([200, 'no-cache']);
    expect(policy).toContain("default-src 'none';script-src 'self'");
    expect(policy).toContain(`connect-src 'self' ws://127.0.0.1:${port} wss://127.0.0.1:${port};`);
    expect(policy).not.toMatch(/unsafe|data:.*script|\*/);
    const html = await page.text();
    const [, script = ''] = /src="([^"]+)"/.exec(html) ?? [];
    const asset = await fetch(url + script);
    expect([asset.status, asset.headers.get('Cache-Control')]).toEqual([
      200,
      'public, max-age=31536000, immutable',
    ]);
    expect(asset.headers.get('Content-Security-Policy'), 'a picture can be opened as a page').toBe(policy);
    const production = await useServer({ NODE_ENV: 'production', ...JWT });
    expect((await fetch(`${production.url}/admin`)).status).toBe(404);
  });
});

describe('GET /admin/api/users', () => {
  const listed = async (server: TestServer, query = '') => {
    const answer = await ask(server, `/users${query}`, { headers: OPERATOR });
    return { status: answer.status, ...(await answer.json()) };
  };

  async function write(server: TestServer, user: string): Promise<void> {
    const device = await useJson(server, user, 'phone');
    device.update('appointments', { id: 'a1', room: 1 });
    await device.saved();
    await device.close();
  }

  test('[O3] goes page by page, and finds', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    for (const user of ['anna', 'bert', 'Annette', 'carl']) await write(server, user);
    const first = await listed(server, '?limit=3');
    const second = await listed(server, `?limit=3&after=${first.next}`);
    const names = [...first.users, ...second.users].map(({ user }) => user);
    expect([...names].sort()).toEqual(['Annette', 'anna', 'bert', 'carl']);
    expect([first.users.length, second.next]).toEqual([3, null]);
    const found = await listed(server, '?search=ANN');
    expect(found.users.map(({ user }: { user: string }) => user).sort()).toEqual(['Annette', 'anna']);
    expect((await listed(server, '?limit=0')).status).toBe(400);
    const [trail] = await trailOf(server);
    expect(trail).toMatchObject({ actor: '~operator', action: 'users', user: '*', via: 'admin' });
  });

  test('[O3] lists who is connected and has written nothing yet in their place, each once', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    for (const user of ['anna', 'carl']) await write(server, user);
    for (const user of ['anna', 'berta', 'bert', 'dora', 'dora']) await useJson(server, user, 'tablet');
    const { users, next } = await listed(server);
    const there = users.map(({ user, connections }: { user: string; connections: number }) => [
      user,
      connections,
    ]);
    expect([there, next]).toEqual([
      [
        ['anna', 1],
        ['bert', 1],
        ['berta', 1],
        ['carl', 0],
        ['dora', 2],
      ],
      null,
    ]);
    expect(users[1]).toMatchObject({ user: 'bert', damaged: false });
    const names: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const page = await listed(server, `?limit=1${after && `&after=${after}`}`);
      names.push(...page.users.map(({ user }: { user: string }) => user));
      after = page.next;
    }
    expect(names).toEqual(['anna', 'bert', 'berta', 'carl', 'dora']);
    const found = await listed(server, '?search=BERT');
    expect(found.users.map(({ user }: { user: string }) => user)).toEqual(['bert', 'berta']);
    expect((await listed(server, '?search=bert&limit=1&after=bert')).users).toMatchObject([
      { user: 'berta' },
    ]);
  });

  test('[O3] tells size and last change of who sleeps, after a restart, without loading', async () => {
    const before = Date.now();
    const DATA_DIR = await mkdtemp(join(tmpdir(), 'admin-'));
    onTestFinished(() => rm(DATA_DIR, { recursive: true, force: true }));
    const first = await useServer({ ADMIN_TOKEN, DATA_DIR });
    await write(first, 'anna');
    const awake = (await listed(first)).users[0];
    await first.app.close();
    const second = await useServer({ ADMIN_TOKEN, DATA_DIR });
    const asleep = (await listed(second)).users[0];
    expect(asleep).toMatchObject({ user: 'anna', revision: 1, damaged: false, connections: 0 });
    expect(asleep.changedAt).toBeGreaterThanOrEqual(before);
    expect(asleep.changedAt).toBe(awake.changedAt);
    expect(asleep.bytes).toBeGreaterThan(20);
    const overview = await (await ask(second, '/overview', { headers: OPERATOR })).json();
    expect(overview.documents.inMemory).toBe(0);
  });
});

describe('what changes something', () => {
  test('[A0] [P7] exports, erasures and revocations are in the audit trail, by either address', async () => {
    const server = await useServer({ ...JWT, ADMIN_TOKEN });
    const token = await tokenFor('anna');
    await fetch(`${server.url}/api/sync/anna`, { headers: bearer(token) });
    for (const base of ['/admin', '/admin/api']) {
      const at = (path: string, method = 'GET', body?: string) =>
        fetch(`${server.url}${base}${path}`, { method, headers: OPERATOR, ...(body && { body }) });
      expect((await at('/users/anna/export')).status).toBe(200);
      expect((await at('/users/anna', 'DELETE')).status).toBe(204);
      expect((await at('/revoke', 'POST', '{"user":"anna"}')).status).toBe(200);
    }
    const trail = await trailOf(server);
    const shown = trail.map(({ actor, action, user, via }) => [actor, action, user, via].join(' '));
    const once = ['export', 'erase', 'revoke'].map((action) => `~operator ${action} anna admin`);
    expect(shown).toEqual([...once, ...once]);
    await ask(server, '/revoke', { headers: OPERATOR, body: { jti: 'one' } });
    expect((await trailOf(server)).at(-1)).toMatchObject({
      action: 'revoke',
      user: '*',
      what: { jti: 'one' },
    });
  });
});

test('[A0] a page that looks at devices again and again does so once in the audit trail', async () => {
  const server = await useServer({ ADMIN_TOKEN });
  for (const user of ['anna', 'anna', 'bert', 'anna'])
    expect((await ask(server, `/users/${user}/devices`, { headers: OPERATOR })).status).toBe(200);
  const looks = (await trailOf(server)).filter(({ action }) => action === 'devices');
  expect(looks.map(({ user }) => user)).toEqual(['anna', 'bert']);
});

describe('the records of a user', () => {
  test('[N2] [A0] are shown once they are durable', async () => {
    const store = new MemoryStore();
    const server = await useServer({ ADMIN_TOKEN }, { store });
    const device = await useJson(server, 'anna', 'phone');
    store.hold();
    device.update('appointments', { id: 'a1', room: 1 });
    await device.heard();
    let isShown = false;
    const shown = ask(server, '/users/anna/records', { headers: OPERATOR }).then((answer) => {
      isShown = true;
      return answer.json();
    });
    for (let times = 0; times < 5; times++) await ask(server, '/users', { headers: OPERATOR });
    expect(isShown).toBe(false);
    store.release();
    expect((await shown).collections.appointments).toEqual([{ id: 'a1', room: 1 }]);
  });

  test('[A0] [H6] an operator looks at them, and brings one back; all of it is in the audit trail', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const device = await useJson(server, 'anna', 'phone');
    device.update('appointments', { id: 'a1', room: 1 });
    await device.saved();
    device.update('appointments', { id: 'a1', room: 2 });
    await device.saved();
    const at = async (path: string, body?: unknown) => {
      const answer = await ask(server, `/users/anna${path}`, { headers: OPERATOR, body });
      return { status: answer.status, ...(await answer.json()) };
    };
    const records = await at('/records');
    expect(records).toMatchObject({ user: 'anna', revision: 2 });
    expect(records.collections.appointments).toEqual([{ id: 'a1', room: 2 }]);
    const { entries, next } = await at('/history?collection=appointments&id=a1&limit=1');
    expect([entries.length, entries[0].revision, entries[0].before, next]).toEqual([
      1,
      2,
      { id: 'a1', room: 1 },
      2,
    ]);
    const wanted = { collection: 'appointments', id: 'a1', revision: 1 };
    expect(await at('/restore', wanted)).toMatchObject({ document: { id: 'a1', room: 1 }, revision: 3 });
    await device.until(() => device.store.appointments?.a1?.room === 1);
    const [restored] = (await at('/history?limit=1')).entries;
    expect(restored).toMatchObject({ actor: '~operator', via: 'restore' });
    const actions = (await trailOf(server)).map(({ action, user }) => `${action} ${user}`);
    expect(actions).toEqual(['read anna', 'history anna', 'restore anna', 'history anna']);
    expect((await at('/restore', { ...wanted, id: 'nobody' })).status).toBe(404);
    expect((await at('/history?limit=many')).status).toBe(400);
    const trail = await trailOf(server);
    expect(trail[2]).toMatchObject({ action: 'restore', what: wanted });
    const failed = { action: 'restore', user: 'anna', what: { ...wanted, id: 'nobody' } };
    expect(trail.slice(4)).toMatchObject([failed, { ...failed, failed: 'NOT_IN_HISTORY' }]);
    expect(trail[4]).not.toHaveProperty('failed');
  });
});
