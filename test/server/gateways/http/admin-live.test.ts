/** The socket that tells the admin page what it shows (A0, O3): who gets in, what is told, and until when. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { DeviceList, Now, Point } from '../../../../admin/api.js';
import { MemoryStore } from '../../../../server/store/memory/memory-store.js';
import { useFrontAndOwner } from '../../../support/cluster.js';
import { DeviceSocket } from '../../../support/devices/device-socket.js';
import { ObservedStore } from '../../../support/observed-store.js';
import type { TestServer } from '../../../support/server.js';
import { SetClock } from '../../../support/set-clock.js';
import { bearer, JWT } from '../../../support/tokens.js';
import { useJson, useServer } from '../../../support/use.js';
import { PATIENCE } from '../../../support/wait.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
const OPERATOR = bearer(ADMIN_TOKEN);
type Headers = Readonly<Record<string, string>>;

type Message =
  | { readonly type: 'now'; readonly now: Now }
  | { readonly type: 'points'; readonly points: readonly Point[] }
  | { readonly type: 'point'; readonly point: Point }
  | { readonly type: 'devices'; readonly devices: DeviceList | null };

/** The socket of a page. */
class Page extends DeviceSocket<Message> {
  /** Of an upgrade that was refused. */
  refused: { readonly status: number; readonly retryAfter: string | undefined } | null = null;

  constructor(url: string, headers: Headers, autoPong = true) {
    super(url, '/admin/api/live', 'the page', { headers, autoPong });
    this.ws.on('unexpected-response', (request, response) => {
      const retryAfter = response.headers['retry-after'];
      this.refused = { status: response.statusCode ?? 0, retryAfter };
      request.destroy();
      this.events.changed();
    });
  }

  wants(devices: unknown): void {
    this.ws.send(JSON.stringify({ devices }));
  }

  protected read(data: Buffer): Message {
    const message = JSON.parse(data.toString());
    return { type: Object.keys(message)[0], ...message };
  }
}

function openPage({ url }: Pick<TestServer, 'url'>, headers: Headers = OPERATOR, autoPong = true): Page {
  const page = new Page(url, headers, autoPong);
  onTestFinished(() => page.ws.terminate());
  return page;
}

async function usePage(server: Pick<TestServer, 'url'>, headers: Headers = OPERATOR): Promise<Page> {
  const page = openPage(server, headers);
  await page.next('points');
  await page.next('now');
  return page;
}

async function refusal(server: Pick<TestServer, 'url'>, headers: Headers) {
  const page = openPage(server, headers);
  return await page.until(() => page.refused);
}

/** @param headers of a browser that may be signed in already */
async function signIn({ url }: TestServer, headers: Headers = {}): Promise<Headers> {
  const body = JSON.stringify({ token: ADMIN_TOKEN });
  const signed = await fetch(`${url}/admin/api/sign-in`, { method: 'POST', headers, body });
  return { cookie: (signed.headers.get('Set-Cookie') ?? '').split(';')[0] ?? '' };
}

const signOut = ({ url }: TestServer, headers: Headers) =>
  fetch(`${url}/admin/api/sign-out`, { method: 'POST', headers });

/** The ends of connections that servers of this process take from now on. */
function useServerEnds(): readonly Socket[] {
  const sockets: Socket[] = [];
  const note = (message: unknown) => void sockets.push((message as { socket: Socket }).socket);
  subscribe('net.server.socket', note);
  onTestFinished(() => void unsubscribe('net.server.socket', note));
  return sockets;
}

const UPGRADE = 'GET /admin/api/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
const KEY = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** From now on the seconds in which pages are told something pass when the test says so. */
function useTurns(): (count?: number) => Promise<void> {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  return async (count = 1) => {
    for (let turn = 0; turn < count; turn++) {
      vi.advanceTimersByTime(1_000);
      await new Promise((resolve) => setTimeout(resolve, 5)); // what is told asks the disk
    }
  };
}

describe('[A0] who gets in, is asked as for any other request of the operator', () => {
  test('the token or its cookie; wrong tokens count as at all doors', async () => {
    const server = await useServer({ ADMIN_TOKEN }, { time: new SetClock() });
    expect(await refusal(server, {})).toMatchObject({ status: 401 });
    expect(await refusal(server, { cookie: 'telemed_admin=no' })).toMatchObject({ status: 401 });
    const cookie = await signIn(server);
    for (const headers of [OPERATOR, cookie, { ...cookie, origin: server.url }])
      await (await usePage(server, headers)).close();
    for (let guess = 0; guess < 5; guess++)
      expect(await refusal(server, bearer('a-wrong-token'))).toMatchObject({ status: 401 });
    expect(await refusal(server, bearer('a-wrong-token'))).toEqual({ status: 429, retryAfter: '12' });
  });

  test.each([
    ['another origin', { origin: 'http://evil.example' }],
    ['another port of this machine', { origin: 'http://127.0.0.1:1' }],
    ['no origin', { origin: 'null' }],
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['the same site', { 'sec-fetch-site': 'same-site' }],
  ])('the page of %s does not, with the cookie', async (_, foreign) => {
    const server = await useServer({ ADMIN_TOKEN, CORS_ORIGINS: '*' });
    const cookie = await signIn(server);
    expect(await refusal(server, { ...cookie, ...foreign })).toMatchObject({ status: 403 });
  });

  test('without ADMIN_TOKEN this machine alone, in development', async () => {
    const server = await useServer();
    await usePage(server, {});
    expect(await refusal(server, { 'x-forwarded-for': '1.2.3.4' })).toMatchObject({ status: 403 });
    const production = await useServer({ NODE_ENV: 'production', ...JWT });
    expect(await refusal(production, OPERATOR)).toMatchObject({ status: 404 });
  });

  test('[N8] one that is refused is let go of, though it keeps its side open and sends on', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const ends = useServerEnds();
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {}); // what comes behind the refusal has nobody to go to
    socket.write(UPGRADE + KEY);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 401 /);
    socket.write('x');
    await vi.waitFor(() => expect(ends.map(({ destroyed }) => destroyed)).toEqual([true]), PATIENCE);
    expect(await server.app.close()).toBe(true);
  });

  test('a request that is no WebSocket is told so', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const answer = await fetch(`${server.url}/admin/api/live`, { headers: OPERATOR });
    expect([answer.status, (await answer.json()).code]).toEqual([400, 'INVALID_MESSAGE']);
  });

  test('at most 20 pages; one that goes makes room', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const [first] = await Promise.all(Array.from({ length: 20 }, () => usePage(server)));
    expect(await refusal(server, OPERATOR)).toMatchObject({ status: 429 });
    await first?.close();
    await vi.waitFor(() => usePage(server), PATIENCE);
  });
});

describe('what is told', () => {
  test('[O3] the last hour and what is now at once; then what is now each other second, and each new point', async () => {
    const turns = useTurns();
    const server = await useServer({ ADMIN_TOKEN });
    await turns(10);
    const page = openPage(server);
    expect((await page.next('points')).points).toHaveLength(1);
    expect((await page.next('now')).now).toMatchObject({ hindrances: [], connections: { json: 0 } });
    await useJson(server, 'anna', 'phone');
    await turns(4);
    await page.next('now');
    expect((await page.next('now')).now).toMatchObject({ connections: { json: 1 } });
    expect(page.of('now')).toHaveLength(3);
    await turns(6);
    expect((await page.next('point')).point).toMatchObject({ json: 1 });
    expect(page.of('points')).toHaveLength(1);
  });

  test('[O3] how the server does, also while the store does not say which devices there were', async () => {
    const turns = useTurns();
    const store = new ObservedStore(new MemoryStore());
    vi.spyOn(store, 'seen').mockReturnValue(new Promise(() => {}));
    const page = await usePage(await useServer({ ADMIN_TOKEN }, { store }));
    page.wants('anna');
    await page.heard();
    await turns();
    await expect.poll(() => store.seen).toHaveBeenCalledOnce();
    await turns(5);
    for (let more = 0; more < 3; more++) await page.next('now');
    expect(store.seen).toHaveBeenCalledOnce();
    expect(page.of('devices')).toEqual([]);
  });

  test('[A0] the devices of one user: at most once a second, the same again after 5; one look in the trail', async () => {
    const turns = useTurns();
    const server = await useServer({ ADMIN_TOKEN }, { time: new SetClock() });
    const page = await usePage(server);
    page.wants('anna');
    await page.heard();
    await turns();
    expect((await page.next('devices')).devices).toMatchObject({ user: 'anna', devices: [] });
    await turns(3);
    expect(page.of('devices')).toHaveLength(1);
    await useJson(server, 'anna', 'phone');
    await turns();
    const { devices } = await page.next('devices');
    expect(devices?.devices).toMatchObject([{ device: 'phone', connected: true }]);
    await turns(4);
    expect(page.of('devices')).toHaveLength(2);
    await turns(2);
    expect((await page.next('devices')).devices?.devices).toEqual(devices?.devices);
    page.wants('bert');
    page.wants('carl');
    await page.heard();
    await turns();
    expect((await page.next('devices')).devices).toMatchObject({ user: 'carl' });
    page.wants(null);
    await page.heard();
    await turns(12);
    expect(page.of('devices')).toHaveLength(4);
    const trail = await readFile(join(`${server.folder}-access`, 'audit.jsonl'), 'utf8');
    const looks = trail.trim().split('\n');
    expect(looks.map((line) => JSON.parse(line))).toMatchObject([
      { actor: '~operator', action: 'devices', user: 'anna', via: 'admin' },
      { action: 'devices', user: 'carl' },
    ]);
    expect(looks).toHaveLength(2);
  });

  test('[A0] of a user whom another node serves, that the page has to ask for them', async () => {
    const { front, owner } = await useFrontAndOwner({ ADMIN_TOKEN });
    const [page, there] = [await usePage(front), await usePage(owner)];
    for (const each of [page, there]) each.wants('anna');
    expect((await page.next('devices')).devices).toBeNull();
    expect((await there.next('devices')).devices).toMatchObject({ user: 'anna' });
  });

  test.each([
    ['no JSON', '{'],
    ['nothing', '{}'],
    ['what is no name', '{"devices":"a/b"}'],
    ['the name of no user', '{"devices":"~shared"}'],
    ['too much', `{"devices":"${'x'.repeat(2_000)}"}`],
  ])('[A0] nothing any more, to who says %s', async (_, said) => {
    const page = await usePage(await useServer({ ADMIN_TOKEN }));
    page.ws.send(said);
    expect([1008, 1009]).toContain((await page.end()).code);
  });
});

describe('until when', () => {
  test.each([
    ['signed out', signOut],
    ['signed in anew in its place', signIn],
  ])('[A0] the session: %s', async (_, endSession) => {
    const turns = useTurns();
    const server = await useServer({ ADMIN_TOKEN });
    const cookie = await signIn(server);
    const [page, other] = [await usePage(server, cookie), await usePage(server)];
    await endSession(server, cookie);
    const before = page.messages.length;
    await turns();
    expect(await page.end()).toMatchObject({ code: 4401 });
    expect(page.messages).toHaveLength(before);
    await turns(2);
    expect([other.closed, other.of('now').length]).toEqual([null, 2]);
  });

  test('[A0] [O4] the end of the server, which does not wait for pages', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const page = await usePage(server);
    expect(await server.app.close()).toBe(true);
    expect(await page.end()).toMatchObject({ code: 1012 });
  });

  test('[O4] none begins while the server stops', async () => {
    const server = await useServer({ ADMIN_TOKEN });
    const socket = connect(server.port, '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(UPGRADE);
    await fetch(`${server.url}/health`); // behind it
    const isSaved = server.app.close();
    socket.write(`Authorization: Bearer ${ADMIN_TOKEN}\r\n${KEY}`);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 503 /);
    expect(await isSaved).toBe(true);
  });

  test('[A0] a page that does not answer a ping until the next', async () => {
    const turns = useTurns();
    const server = await useServer({ ADMIN_TOKEN });
    const [page, silent] = [await usePage(server), openPage(server, OPERATOR, false)];
    await silent.next('now');
    await turns(32);
    expect(await silent.end()).toMatchObject({ code: 1006 });
    expect(page.closed).toBeNull();
  });

  test('[A0] one that reads slowly: nothing is put behind what waits for it, and a sign-out ends it', async () => {
    const turns = useTurns();
    const server = await useServer({ ADMIN_TOKEN });
    const cookie = await signIn(server);
    const ends = useServerEnds();
    const page = await usePage(server, cookie);
    const [socket] = ends;
    if (socket === undefined) throw new Error('the server has told of no socket');
    page.wants('anna');
    await page.heard();
    page.ws.pause();
    socket.write(Buffer.alloc(2 ** 26)); // more than any socket takes: it stays undrained
    await turns();
    const waiting = socket.writableLength;
    await turns(12); // a point would be due, too
    expect(socket.writableLength).toBe(waiting);
    const gone = new Promise((resolve) => socket.once('close', resolve));
    await signOut(server, cookie);
    await turns();
    expect(socket.writableLength - waiting).toBeLessThan(200);
    await gone;
    await setImmediate();
  });
});
