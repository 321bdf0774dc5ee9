/** Debian's redis-server, for programs that need one; in memory, as they have it by default. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { freePort } from '../../test/support/free-port.js';
import type { Scope } from './scope.js';

export const hasRedis = (): boolean => spawnSync('redis-server', ['--version']).status === 0;

/** Resolves with its port, once it takes connections. */
export async function startRedis(scope: Scope): Promise<number> {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', await scope.folder()];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  scope.atEnd(() => child.kill('SIGKILL'));
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('Redis did not start.')));
  ended.catch(() => {});
  const listens = new Promise<void>((resolve) =>
    child.stdout.on('data', (said: Buffer) => said.includes('eady to accept connections') && resolve()),
  );
  await Promise.race([listens, ended]);
  return port;
}
