/** Debian's PgBouncer before the PostgreSQL of the tests. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import { freePort } from './free-port.js';
import type { PostgresSchema } from './postgres.js';

const PATH = `${process.env.PATH}:/usr/sbin`;
const isThere = spawnSync('sh', ['-c', 'command -v pgbouncer'], { env: { PATH } }).status === 0;
if (!isThere && !process.env.CI)
  process.stderr.write('Tests behind PgBouncer are skipped: apt-get install pgbouncer\n');

/** In CI one that is missing is a failure, not a reason to skip. */
export const isBouncerMissing = !isThere && !process.env.CI;

/** It does not run as root: this is "nobody". */
const NOBODY = { uid: 65534, gid: 65534 };

/** @returns the address by which it leads to the schema */
export async function useBouncer(schema: PostgresSchema, mode: 'session' | 'transaction'): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'bouncer-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const file = join(folder, 'bouncer.ini');
  writeFileSync(file, configOf(schema, mode, port));
  const who = process.getuid?.() === 0 ? NOBODY : {};
  const bouncer = spawn('pgbouncer', [file], {
    ...who,
    env: { PATH },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(async () => {
    const ended = once(bouncer, 'exit');
    if (bouncer.exitCode === null && bouncer.kill('SIGKILL')) await ended;
    rmSync(folder, { recursive: true, force: true });
  });
  await listening(bouncer);
  return `postgres://anybody@127.0.0.1:${port}/store`;
}

function configOf({ name, ownUrl }: PostgresSchema, mode: string, port: number): string {
  const { host, port: own, user, password, database } = new pg.Client({ connectionString: ownUrl });
  const secret = typeof password === 'string' && password !== '' ? ` password='${password}'` : '';
  return `
[databases]
store = host=${host} port=${own} dbname=${database} user=${user}${secret} connect_query='SET search_path = ${name}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
`;
}

async function listening(bouncer: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    bouncer.stderr?.on('data', (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-10_000);
      if (said.includes('process up')) resolve();
    });
    bouncer.once('error', reject).once('exit', () => reject(new Error(`PgBouncer ended: ${said}`)));
  });
}
