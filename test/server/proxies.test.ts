/** The server behind the proxies of deploy/, which run here as they are; where one is not installed it is skipped. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { collectingLog } from '../../server/log.js';
import { Client, useProxy, withProxy } from '../support/proxies.js';
import type { TestServer } from '../support/server.js';
import { bearer } from '../support/tokens.js';
import { useServer } from '../support/use.js';

const ADMIN_TOKEN = 'the-admin-token-of-the-tests';
/** What no proxy here waits for in a test of every day, in seconds: `PROXY_IDLE=65`. */
const IDLE = Number(process.env.PROXY_IDLE ?? 0);
const BEHIND = { ADMIN_TOKEN, TRUST_PROXY: '127.0.0.1' };
const MB = 1e6;

describe.each(['nginx', 'caddy'] as const)('[O1] behind %s', (name) => {
  const proxied = withProxy(name);

  async function useBehind(options: Readonly<Record<string, string>> = {}) {
    const { log, events } = collectingLog();
    const server = await useServer({ ...BEHIND, ...options }, { log });
    return { server, events, client: new Client(await useProxy(name, [server.port])) };
  }

  proxied('devices of both kinds meet over TLS, and 20 MB go both ways, by socket and request', async () => {
    const { client } = await useBehind();
    const [laptop, phone] = [client.native('anna', 'laptop'), client.json('anna', 'phone')];
    await laptop.synced();
    await phone.next('CONNECTION_CONFIRMED');
    phone.update('notes', { id: 'a', text: 'of the phone' });
    laptop.record('notes', 'b').set('text', 'of the laptop');
    await laptop.until(() => laptop.json().notes?.a);
    await phone.until(() => phone.store.notes?.b);
    const big = client.native('bert', 'laptop');
    await big.synced();
    big.record('files', 'f').set('text', 'x'.repeat(20 * MB));
    await big.saved();
    const other = client.native('bert', 'tablet');
    await other.synced();
    expect(String(other.json().files?.f?.text)).toHaveLength(20 * MB);
    const all = await client.ask('/api/sync/bert');
    expect([all.status, all.text.length > 20 * MB]).toEqual([200, true]);
    const change = {
      ...{ type: 'DATA_UPDATE', userId: 'carl', deviceId: 'desk' },
      data: { collection: 'files', document: { id: 'f', text: 'x'.repeat(20 * MB) } },
    };
    const body = JSON.stringify({ changes: [change] });
    expect((await client.ask('/api/sync/carl', { method: 'POST', body })).status).toBe(200);
  });

  proxied('[A0] the server knows who comes, whatever a client claims, and its own pages', async () => {
    const { server, client, events } = await useBehind();
    const forged = { 'x-forwarded-for': '6.6.6.6', forwarded: 'for=6.6.6.6', 'x-real-ip': '6.6.6.6' };
    const users = await client.ask('/admin/api/users', { headers: { ...bearer(ADMIN_TOKEN), ...forged } });
    expect(users.status).toBe(200);
    const trail = await readFile(join(`${server.folder}-access`, 'audit.jsonl'), 'utf8');
    expect(JSON.parse(trail.trim())).toMatchObject({ action: 'users', address: Client.ADDRESS });
    const wrong = client.json('a/b', 'phone');
    await wrong.end();
    const refused = events.find(({ name: event }) => event === 'upgradeRefused');
    expect(refused?.fields).toMatchObject({ address: Client.ADDRESS, code: 'INVALID_IDENTITY' });
    expect((await client.ask('/metrics', { headers: bearer(ADMIN_TOKEN) })).status).toBe(404);
    const signedIn = await client.signIn(ADMIN_TOKEN);
    expect((await client.ask('/admin/api/overview', { headers: signedIn })).status).toBe(200);
    expect(await toldLive(client, signedIn)).toContain('points');
    const foreign = { ...signedIn, origin: 'https://evil.example' };
    expect((await client.ask('/admin/api/overview', { headers: foreign })).status).toBe(403);
  });

  proxied('[O4] a restart of the server is told to devices, and they come back', async () => {
    const DATA_DIR = await mkdtemp(join(tmpdir(), 'behind-'));
    onTestFinished(() => rm(DATA_DIR, { recursive: true, force: true }));
    const { server, client } = await useBehind({ DATA_DIR });
    const laptop = client.native('anna', 'laptop');
    const phone = client.json('anna', 'phone');
    await laptop.synced();
    await phone.next('CONNECTION_CONFIRMED');
    await server.app.close();
    expect((await phone.end()).code).toBe(1012);
    await laptop.until(() => laptop.closes.includes(1012));
    expect((await client.ask('/ready')).status).toBe(502);
    laptop.record('notes', 'a').set('text', 'meanwhile');
    await again(server, { ...BEHIND, DATA_DIR });
    await laptop.until(() => laptop.connections > 1 && laptop.provider.synced);
    await laptop.saved();
    expect((await client.ask('/api/sync/anna')).text).toContain('meanwhile');
  });

  test.skipIf(IDLE === 0)(
    'an idle socket stays open for longer than proxies wait by default',
    async () => {
      const { client } = await useBehind({ PING_INTERVAL: '300s' });
      const phone = client.json('anna', 'phone');
      await phone.next('CONNECTION_CONFIRMED');
      await setTimeout(IDLE * 1_000);
      phone.update('notes', { id: 'a', text: 'after a while' });
      await phone.saved();
      expect(phone.closed).toBeNull();
    },
    (IDLE + 60) * 1_000,
  );
});

const again = ({ port }: TestServer, options: Readonly<Record<string, string>>) =>
  useServer({ ...options, PORT: String(port) });

/** The first that the socket of the admin page is told. */
function toldLive(client: Client, headers: Readonly<Record<string, string>>): Promise<string> {
  const socket = new WebSocket(client.liveUrl, { ...client.options, headers });
  onTestFinished(() => socket.terminate());
  return new Promise((resolve, reject) => {
    socket.once('message', (data) => resolve(String(data)));
    socket.once('error', reject);
  });
}
