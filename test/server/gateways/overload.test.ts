/**
 * More comes in than the server gets done: who is there stays and loses nothing, who comes anew is put off. The real
 * server in a process that is stopped again and again, so that it is late without keeping the machine busy.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { ServerProcess } from '../../support/server-process.js';
import { openJson, openRaw, useJson, useNative } from '../../support/use.js';
import { PATIENCE } from '../../support/wait.js';

const STOPPED = 1_400;
const RUNNING = 150;

let isStalled = false;
afterEach(() => {
  isStalled = false;
});

/** Resolves when the server says that it is overloaded; `end` lets it run again. */
async function overloaded(server: ServerProcess): Promise<{ end: () => Promise<void> }> {
  isStalled = true;
  const stalls = (async () => {
    while (isStalled) {
      process.kill(server.pid ?? 0, 'SIGSTOP');
      await sleep(STOPPED);
      process.kill(server.pid ?? 0, 'SIGCONT');
      await sleep(RUNNING);
    }
  })();
  await expect.poll(() => server.lines.join('\n'), { timeout: PATIENCE }).toContain('More comes in');
  const end = async () => {
    isStalled = false;
    await stalls;
  };
  return { end };
}

async function useProcess(): Promise<ServerProcess> {
  const server = await ServerProcess.start({ LOG_LEVEL: 'info' });
  onTestFinished(() => server.dispose());
  return server;
}

describe('[S4] overload', () => {
  test('new connections and requests are put off, who is there goes on; then all come in again', async () => {
    const server = await useProcess();
    const [tablet, phone] = [
      await useJson(server, 'anna', 'tablet'),
      await useNative(server, 'bert', 'phone'),
    ];
    const { end } = await overloaded(server);

    const [json, native] = [openJson(server, 'anna', 'desk'), openRaw(server, 'carla')];
    const answer = await fetch(`${server.url}/api/sync/dora`);
    expect([answer.status, (await answer.json()).code]).toEqual([503, 'OVERLOADED']);
    expect(Number(answer.headers.get('Retry-After'))).toBeGreaterThanOrEqual(3);
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    tablet.update('notes', { id: 'n', text: 'written meanwhile' });
    phone.record('notes', 'n').set('text', 'written meanwhile');
    await Promise.all([tablet.saved(), phone.saved()]);
    const ends = await Promise.all([json.end(), native.end()]);
    expect(ends.map(({ code }) => code)).toEqual([1013, 1013]);
    expect([json.messages, native.messages]).toEqual([[], []]);

    await end();
    await expect
      .poll(async () => (await fetch(`${server.url}/api/sync/anna`)).status, { timeout: PATIENCE })
      .toBe(200);
    const again = await useJson(server, 'anna', 'desk');
    expect(again.store.notes).toMatchObject({ n: { text: 'written meanwhile' } });
    const refused = (await (await fetch(`${server.url}/metrics`)).text()).match(/code="OVERLOADED"} (\d+)/);
    expect(Number(refused?.[1])).toBeGreaterThanOrEqual(3);
  });

  test('[O4] who waits to be put off does not keep the server from stopping', async () => {
    const server = await useProcess();
    const { end } = await overloaded(server);
    const native = openRaw(server, 'carla');
    await native.until(() => native.ws.readyState === native.ws.OPEN);
    await end();
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect([1012, 1013]).toContain((await native.end()).code);
  });
});
