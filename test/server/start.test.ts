/** A start that takes long: who watches over the process hears that it lives, and who comes is told to come again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { createApp } from '../../server/app.js';
import { readConfig } from '../../server/config.js';
import { Entrance } from '../../server/entrance.js';
import { silentLog } from '../../server/log.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import { ServerProcess } from '../support/server-process.js';
import { openJson, openRaw, useJson } from '../support/use.js';
import { PATIENCE } from '../support/wait.js';

const SHIM = ['--import', new URL('../support/held-writes-shim.mjs', import.meta.url).href];
const USERS = ['anna', 'bert', 'carla', 'dora'];
/** The mark that it has begun, and two of four users. */
const BEGUN = 3;

/** What `GET /ready` says: the status, and why not. */
async function readiness(
  url: string,
): Promise<{ status: number; reasons?: { code: string; message: string }[] }> {
  const answer = await fetch(`${url}/ready`);
  return { ...(await answer.json()), status: answer.status };
}

/** A server with four users, that comes again with a key, and gets stuck while it encrypts them. */
async function encrypting(): Promise<{ server: ServerProcess; started: Promise<void> }> {
  const env: string[] = [];
  const command = () => (env.length === 0 ? [] : ['env', ...env]);
  const server = await ServerProcess.start({}, { nodeOptions: SHIM, command });
  onTestFinished(() => server.dispose());
  for (const user of USERS) {
    const device = await useJson(server, user, 'tablet');
    device.update('notes', { id: 'n', text: 'kept' });
    await device.saved();
  }
  await server.stop();
  env.push(`HELD_WRITES=${BEGUN}`, `ENCRYPTION_KEY=${Buffer.alloc(32, 7).toString('base64')}`);
  return { server, started: server.restart() };
}

describe('[H4 O1] while a database is encrypted at the start', () => {
  test('/health answers, /ready says how far it is, who comes is told to come again, and then gets in', async () => {
    const { server, started } = await encrypting();
    started.catch(() => {}); // where the test fails before it is awaited
    await server.line(/2 of 4/);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    const { status, reasons = [] } = await readiness(server.url);
    expect([status, reasons.map(({ code }) => code)]).toEqual([503, ['MIGRATING']]);
    expect(reasons[0]?.message).toContain('50 %');
    const answer = await fetch(`${server.url}/api/sync/anna`, { headers: { 'Device-ID': 'desk' } });
    expect([answer.status, (await answer.json()).code]).toEqual([503, 'STARTING']);
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThanOrEqual(3);
    const [raw, json] = [openRaw(server, 'anna', 'phone'), openJson(server, 'anna', 'tablet')];
    await raw.until(() => raw.ws.readyState === raw.ws.OPEN);
    await json.until(() => json.ws.readyState === json.ws.OPEN);
    await server.ask();
    await started;
    expect([(await raw.end()).code, (await json.end()).code]).toEqual([1012, 1012]);
    expect([raw.messages, json.messages]).toEqual([[], []]);
    expect(await readiness(server.url)).toEqual({ status: 200, reasons: undefined });
    for (const user of USERS) {
      const device = await useJson(server, user, 'desk');
      await device.until(() => device.store.notes?.n);
      expect(device.store.notes).toEqual({ n: expect.objectContaining({ text: 'kept' }) });
    }
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  });

  test('a process that is stopped meanwhile ends at once, also as the first of a container, and goes on from there', async () => {
    const { server, started } = await encrypting();
    const ended = expect(started).rejects.toThrow('the server ended with 0');
    await server.line(/2 of 4/);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    await ended;
    const again = server.restart();
    await server.ask();
    await again;
    const device = await useJson(server, 'dora', 'desk');
    await device.until(() => device.store.notes?.n);
  });
});

describe('[H4] the entrance', () => {
  afterEach(() => vi.useRealTimers());

  async function listening(options: Readonly<Record<string, string>> = {}) {
    const folder = await mkdtemp(join(tmpdir(), 'start-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const config = readConfig({ HOST: '127.0.0.1', PORT: '0', DATA_DIR: join(folder, 'data'), ...options });
    const entrance = new Entrance(config, silentLog, () => 0);
    return { config, entrance, url: `http://127.0.0.1:${await entrance.listen()}` };
  }

  test('a socket that waits is closed with 1013 after some seconds; a page of elsewhere, and an address without sockets, at once', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { entrance, url } = await listening({ CORS_ORIGINS: 'https://clinic.example' });
    onTestFinished(() => entrance.close());
    const raw = openRaw({ url }, 'anna', 'phone');
    await raw.until(() => raw.ws.readyState === raw.ws.OPEN);
    vi.advanceTimersByTime(2_999);
    expect(raw.closed).toBeNull();
    vi.advanceTimersByTime(1);
    vi.useRealTimers();
    expect(await raw.end()).toMatchObject({ code: 1013, reason: expect.stringContaining('starting') });
    expect((await readiness(url)).reasons).toEqual([expect.objectContaining({ code: 'STARTING' })]);
    const foreign = openJson({ url }, 'anna', 'tab', { headers: { Origin: 'https://elsewhere.example' } });
    expect((await foreign.end()).code).toBe(1006);
    const page = await fetch(`${url}/health`, { headers: { Origin: 'https://elsewhere.example' } });
    expect([page.status, (await page.json()).code]).toEqual([403, 'ORIGIN_REFUSED']);
  });

  test('the app takes it over as it is, on its port, and closes it', async () => {
    const { config, entrance, url } = await listening();
    const app = await createApp(config, silentLog, { entrance, store: new MemoryStore() });
    expect((await readiness(url)).reasons).toEqual([expect.objectContaining({ code: 'STARTING' })]);
    expect(`http://127.0.0.1:${await app.listen()}`).toBe(url);
    expect((await readiness(url)).status).toBe(200);
    const device = await useJson({ url }, 'anna', 'tablet');
    expect(await app.close()).toBe(true);
    expect((await device.end()).code).toBe(1012);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  test('an app that can not be made closes it', async () => {
    const { config, entrance, url } = await listening();
    await expect(
      createApp({ ...config, dataDir: '/dev/null/data' }, silentLog, { entrance }),
    ).rejects.toThrow('/dev/null/data');
    await expect.poll(() => fetch(`${url}/health`).catch(() => null), { timeout: PATIENCE }).toBeNull();
  });
});
