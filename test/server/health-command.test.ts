/** `telemed-sync health`, as the container asks (H4, O1). */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { run } from '../../server/cli/commands.js';
import { MemoryStore } from '../../server/store/memory/memory-store.js';
import { codeOf, read } from '../project/sources.js';
import { makePair, withOpenssl } from '../support/certificate.js';
import { useJson, useServer } from '../support/use.js';

const ask = (env: Readonly<Record<string, string>>, ...args: string[]) => run(['health', ...args], env);

describe('[H4] telemed-sync health', () => {
  test('is 0 while the server answers, whatever it listens on, and 1 when it does not', async () => {
    for (const HOST of ['127.0.0.1', '0.0.0.0']) {
      const server = await useServer({ HOST });
      const env = { HOST, PORT: String(server.port) };
      expect(await ask(env)).toMatchObject({ code: 0, out: expect.stringContaining('answers 200') });
      await server.close();
      const gone = await ask(env);
      expect([gone?.code, `${gone?.out}${gone?.err}`]).toEqual([
        1,
        expect.stringContaining('does not answer'),
      ]);
    }
  });

  withOpenssl('is right under TLS, with a certificate for another name', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'health-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const { cert, key } = makePair(folder, 'sync.example.org');
    const tls = { TLS_CERT: cert, TLS_KEY: key };
    const server = await useServer(tls);
    expect(await ask({ ...tls, PORT: String(server.port) })).toMatchObject({ code: 0 });
  });

  test('--ready is 1 while nothing can be saved, and says why; without it, the process is up', async () => {
    const store = new MemoryStore();
    const server = await useServer({}, { store });
    const env = { PORT: String(server.port) };
    expect(await ask(env, '--ready')).toMatchObject({ code: 0 });
    const tablet = await useJson(server, 'anna', 'tablet');
    store.failNext({ kept: false, stayDown: true });
    tablet.update('notes', { id: 'n1' });
    await tablet.end();
    const told = await ask(env, '--ready');
    expect([told?.code, `${told?.out}${told?.err}`]).toEqual([1, expect.stringContaining('STORE_REOPENING')]);
    expect(await ask(env)).toMatchObject({ code: 0 });
  });

  test('a port that nobody knows is a wrong call', async () => {
    expect(await ask({ PORT: '0' })).toMatchObject({ code: 2 });
  });

  test('loads nothing of the server, since it is asked every 30 s', () => {
    const files = new Set(['server/cli/commands.ts', 'server/cli/health.ts']);
    const packages: string[] = [];
    for (const file of files) {
      for (const [, name = ''] of codeOf(read(file)).matchAll(
        /^(?:import|export)\s(?!type\b)[^;]*?from '([^']+)'/gm,
      )) {
        if (name.startsWith('.')) files.add(posix.join(posix.dirname(file), name).replace(/\.js$/, '.ts'));
        else if (!name.startsWith('node:')) packages.push(`${file}: ${name}`);
      }
    }
    expect(packages).toEqual([]);
    expect([...files].filter((file) => /^server\/(?!cli\/|net\/)\w+\//.test(file))).toEqual([]);
    expect(files.size).toBeLessThan(12);
  });
});
