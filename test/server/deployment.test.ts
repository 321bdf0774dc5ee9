/** The server as systemd and platforms start it, by their own command lines (O1, O4). */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { bearer, JWT, tokenFor } from '../support/tokens.js';
import { readUnit, startLine } from '../support/unit-file.js';
import { PATIENCE, Watched } from '../support/wait.js';

const root = async (): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'deployment-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

/** A program that is one server until it is told to end. */
class Started {
  readonly #child: ChildProcess;
  readonly #printed = new Watched();
  said = '';

  constructor(words: readonly string[], env: Readonly<Record<string, string>>, cwd: string) {
    const [program = '', ...args] = words;
    this.#child = spawn(program, args, { cwd, env: { PATH: process.env.PATH ?? '', ...env } });
    onTestFinished(() => void this.#child.kill('SIGKILL'));
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.said += chunk.toString();
        this.#printed.changed();
      });
  }

  /** Resolves with its address. */
  listening(): Promise<string> {
    const address = /"?(?:Listening on |url":")(http:\/\/[^",]+)/;
    return this.#printed.until(
      () => address.exec(this.said)?.[1],
      () => `an address in ${this.said}`,
      PATIENCE,
    );
  }

  async stop(): Promise<number | null> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    return (await ended)[0] as number | null;
  }
}

test('[O4] the line of the systemd unit: what was answered is there after SIGTERM, and it ends with 0', async () => {
  const folder = await root();
  const unit = readUnit(readFileSync('deploy/telemed-sync.service', 'utf8'));
  const { words, env } = startLine(unit, {
    '/usr/bin/node': process.execPath,
    '/opt/telemed-sync/node_modules/telemed-sync-server': resolve('packages/server'),
    '/var/lib/telemed-sync': folder,
  });
  const options = { ...env, ...JWT, HOST: '127.0.0.1', PORT: '0' };
  const headers = bearer(await tokenFor('anna'));
  const changes = Array.from({ length: 50 }, (_, i) => ({
    type: 'DATA_UPDATE',
    data: { collection: 'notes', document: { id: `n${i}` } },
    userId: 'anna',
    deviceId: 'desk',
  }));
  const first = new Started(words, options, folder);
  const url = await first.listening();
  const posts = changes.map((change) =>
    fetch(`${url}/api/sync/anna`, { method: 'POST', headers, body: JSON.stringify({ changes: [change] }) }),
  );
  for (const { status } of await Promise.all(posts)) expect(status).toBe(200);
  expect(await first.stop()).toBe(0);
  const second = new Started(words, options, folder);
  const all = await fetch(`${await second.listening()}/api/sync/anna`, { headers });
  expect(((await all.json()) as { notes: unknown[] }).notes).toHaveLength(50);
  expect(await second.stop()).toBe(0);
});

test('[O1] `node server.js`, as the Procfile has it: listens on PORT of every address once AUTH is chosen', async () => {
  const folder = await root();
  const [, line = ''] = /^web: node (.+)$/m.exec(readFileSync('Procfile', 'utf8')) ?? [];
  const words = [
    process.execPath,
    ...line.split(' ').map((word) => word.replace('server.js', resolve('server.js'))),
  ];
  const env = { NODE_ENV: 'production', DATA_DIR: join(folder, 'data'), PORT: '0' };
  const refused = new Started(words, env, folder);
  await expect.poll(() => refused.said, { timeout: PATIENCE }).toContain('AUTH must be set in production');
  const server = new Started(words, { ...env, ...JWT }, folder);
  const url = await server.listening();
  expect(url).toContain('0.0.0.0');
  expect((await fetch(`http://127.0.0.1:${new URL(url).port}/ready`)).status).toBe(200);
  expect(await server.stop()).toBe(0);
});
