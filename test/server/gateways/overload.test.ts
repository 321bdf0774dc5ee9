/**
 * More comes in than the server gets done: who is there stays and loses nothing, who comes anew is put off. The real
 * server, whose event loop is late because it sleeps: the machine may be as busy or idle as it likes.
 */
import { describe, expect, onTestFinished, test } from 'vitest';
import { ServerProcess } from '../../support/server-process.js';
import { openJson, openNative, openRaw, useJson, useNative } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const SHIM = ['--import', new URL('../../support/stall-shim.mjs', import.meta.url).href];

/** Resolves when the server says that it is overloaded; `end` lets it run again. */
async function overloaded(server: ServerProcess): Promise<{ end: () => Promise<unknown> }> {
  await server.ask();
  await server.line(/More comes in/);
  return { end: () => server.ask() };
}

async function useProcess(): Promise<ServerProcess> {
  const server = await ServerProcess.start({ LOG_LEVEL: 'info' }, { nodeOptions: SHIM });
  onTestFinished(() => server.dispose());
  return server;
}

describe('[S4] overload', () => {
  test('new connections and requests are put off, spread out; who is there goes on; then all come in', async () => {
    const server = await useProcess();
    const [tablet, phone] = [
      await useJson(server, 'anna', 'tablet'),
      await useNative(server, 'bert', 'phone'),
    ];
    const { end } = await overloaded(server);

    const json = openJson(server, 'anna', 'desk');
    const natives = Array.from({ length: 20 }, (_, n) => openRaw(server, `carla-${n}`));
    const ends = [json, ...natives].map(async (each) => ({ ...(await each.end()), at: performance.now() }));
    const provider = openNative(server, 'dora', 'phone');
    provider.record('notes', 'n').set('text', 'written meanwhile');
    const [answer, health] = await Promise.all([
      fetch(`${server.url}/api/sync/dora`),
      fetch(`${server.url}/health`),
    ]);
    expect([answer.status, (await answer.json()).code]).toEqual([503, 'OVERLOADED']);
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThanOrEqual(3);
    expect(health.status).toBe(200);
    tablet.update('notes', { id: 'n', text: 'written meanwhile' });
    phone.record('notes', 'n').set('text', 'written meanwhile');
    await Promise.all([tablet.saved(), phone.saved()]);
    const ended = await Promise.all(ends);
    expect(new Set(ended.map(({ code }) => code))).toEqual(new Set([1013]));
    expect([json, ...natives].filter(({ messages }) => messages.length > 0)).toEqual([]);
    const times = ended.map(({ at }) => at);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(1_000);
    await end();
    await expect
      .poll(async () => (await fetch(`${server.url}/api/sync/anna`)).status, { timeout: PATIENCE })
      .toBe(200);
    const again = await useJson(server, 'anna', 'desk');
    expect(again.store.notes).toMatchObject({ n: { text: 'written meanwhile' } });
    await provider.synced(); // y-websocket comes again by itself
    await provider.saved();
    const refused = (await (await fetch(`${server.url}/metrics`)).text()).match(/code="OVERLOADED"} (\d+)/);
    expect(Number(refused?.[1])).toBeGreaterThan(20);
  }, 60_000);

  test('[O4] who waits to be put off does not keep the server from stopping', async () => {
    const server = await useProcess();
    const { end } = await overloaded(server);
    const native = openRaw(server, 'carla');
    await native.until(() => native.ws.readyState === native.ws.OPEN);
    await end();
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect([1012, 1013]).toContain((await native.end()).code);
  }, 60_000);
});
