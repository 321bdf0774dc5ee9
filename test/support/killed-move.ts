/** A `telemed-sync move` that is killed with SIGKILL while it writes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { noteKey } from '../../server/store/format.js';
import type { PostgresSchema } from './postgres.js';

const COMMAND = 'packages/server/dist/server/cli/main.cjs';

interface Killed {
  readonly from: string;
  readonly to: string;
  /** Whether nothing is in the target yet. */
  readonly isFirst: boolean;
  /** In ms, behind its begin. */
  readonly after: number;
}

/** @param schema one of its sides. Where a run is over by then, another one is killed sooner. */
export async function killedMove(
  schema: PostgresSchema,
  { from, to, isFirst, after }: Killed,
): Promise<void> {
  const child = spawn(process.execPath, [COMMAND, 'move', '--from', from, '--to', to], {
    env: { PATH: process.env.PATH },
    stdio: 'ignore',
  });
  const ended = once(child, 'close');
  const isUnderWay = (): Promise<boolean> => (isFirst ? isBegun(schema, to) : isConnected(schema));
  while (child.exitCode === null && !(await isUnderWay())) await sleep(1);
  await sleep(after);
  child.kill('SIGKILL');
  const [code, signal] = await ended;
  if (signal === 'SIGKILL') return;
  expect(code, `a run that was to be killed after ${after} ms`).toBe(0);
  await killedMove(schema, { from, to, isFirst: false, after: after / 2 });
}

/** The note is written before the first user, and stays until the end. */
async function isBegun(schema: PostgresSchema, to: string): Promise<boolean> {
  if (to === schema.url) {
    const found = await schema.query(`SELECT 1 FROM note WHERE name = 'moving'`).catch(() => null); // no table yet
    return found !== null && found.rows.length > 0;
  }
  const names = await readdir(to).catch(() => []);
  const logs = names.filter((name) => name.endsWith('.log')).map((name) => join(to, name));
  const found = await Promise.all(logs.map((log) => readFile(log).catch(() => Buffer.of())));
  return found.some((bytes) => bytes.includes(noteKey('moving')));
}

/** One that goes on has both sides by then. */
async function isConnected(schema: PostgresSchema): Promise<boolean> {
  const text = 'SELECT 1 FROM pg_stat_activity WHERE application_name = $1';
  return (await schema.query(text, [schema.name])).rows.length > 0;
}
