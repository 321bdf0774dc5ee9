import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { NativeDevice } from '../../../support/devices/native-device.js';
import { PostgresFixture, postgresUrl } from '../../../support/postgres.js';
import { ServerProcess } from '../../../support/server-process.js';
import { PATIENCE } from '../../../support/wait.js';

const run = promisify(execFile);
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function device(server: ServerProcess, name: string): Promise<NativeDevice> {
  const connected = await NativeDevice.connect(server.url, 'anna', name);
  onTestFinished(() => connected.provider.destroy());
  return connected;
}

describe.skipIf(postgresUrl() === '')('a server with STORE', () => {
  test('[P1] [N1] has what a y-websocket device wrote, after kill -9 at once, too', async () => {
    const fixture = await PostgresFixture.create();
    closing.push(() => fixture.remove());
    const server = await ServerProcess.start({ STORE: fixture.schema.url });
    closing.push(() => server.dispose());
    const phone = await device(server, 'phone');
    const laptop = await device(server, 'laptop');
    phone.record('notes', 'n1').set('text', 'of the phone');
    await expect
      .poll(() => laptop.json(), { timeout: PATIENCE })
      .toMatchObject({
        notes: { n1: { text: 'of the phone' } },
      });
    await server.kill();
    await server.restart();
    const other = await device(server, 'other');
    expect(other.json()).toMatchObject({ notes: { n1: { text: 'of the phone' } } });
    const health = await fetch(`${server.url}/ready`);
    expect(health.status).toBe(200);
  });
});

/** Packages of `pg` that a process has loaded, behind `code`. */
async function loadedBehind(code: string): Promise<string[]> {
  const script = `${code}
    const { default: Module } = await import('node:module');
    const names = Object.keys(Module._cache).map((path) => /node_modules.(pg[^/\\\\]*)/.exec(path)?.[1]);
    console.log(JSON.stringify([...new Set(names)].filter(Boolean)));
    process.exit(0);`;
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script]);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

describe('pg', () => {
  test('is not loaded by a server without STORE', async () => {
    const server = `const { createApp, createLog, readConfig } = await import('./packages/server/dist/server/index.js');
      const { mkdtempSync } = await import('node:fs');
      const folder = mkdtempSync('/tmp/no-pg-');
      const app = await createApp(readConfig({ PORT: '0', DATA_DIR: folder }), createLog({ format: 'json' }));
      await app.listen(); await app.close();`;
    expect(await loadedBehind(server)).toEqual([]);
    expect(await loadedBehind(`await import('pg');`)).toContain('pg');
  });
});
