/** What a server has lost of the edits that devices had seen, after it was killed in the middle of them. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as Y from 'yjs';
import type { Crowd } from './crowd.js';
import type { NativeDevice } from './native-device.js';
import type { Program } from './programs.js';
import type { Scope } from './scope.js';
import { ServerProcess } from './server-process.js';

export interface LossRun {
  readonly program: Program;
  readonly core: number | null;
  readonly gather: (server: ServerProcess, scope: Scope) => Promise<Crowd<unknown>>;
  /** So many edits of each user; it is killed when half of them were seen. */
  readonly edits: number;
  readonly scope: Scope;
  readonly reader: (port: number, user: string) => NativeDevice;
}

export interface Loss {
  readonly seen: number;
  readonly lost: number;
}

const READING = 1_000;
const MOST_QUESTIONS = 30;
/** If half of the edits are not seen by then, it is killed all the same. */
const EDITING = 20_000;
const AT_ONCE = 50;

export async function lossOf({ program, core, gather, edits, scope, reader }: LossRun): Promise<Loss> {
  const server = await ServerProcess.start(program(core), scope);
  const crowd = await gather(server, scope);
  const half = (edits * crowd.seen().size) / 2;
  void crowd.editInTurn(edits);
  const deadline = Date.now() + EDITING;
  while (sum(crowd.seen().values()) < half && Date.now() < deadline) await sleep(1);
  await server.kill();
  await sleep(200); // what had left the server arrives
  const seen = crowd.seen();
  crowd.leave();
  const again = await ServerProcess.start(program(core), scope);
  const readers = [...seen.keys()].map((user) => reader(again.port, user));
  const stored = await editsStored(readers, [...seen.keys()], scope);
  const lost = sum([...seen].map(([user, count]) => Math.max(0, count - (stored.get(user) ?? 0))));
  return { seen: sum(seen.values()), lost };
}

const sum = (values: Iterable<number>): number => [...values].reduce((total, value) => total + value, 0);

/** What is there once nothing more comes: some servers go on reading after they have said `synced`. */
export async function editsStored(
  readers: readonly NativeDevice[],
  users: readonly string[],
  scope: Scope,
): Promise<Map<string, number>> {
  scope.atEnd(() => {
    for (const reader of readers) reader.close();
  });
  for (let at = 0; at < readers.length; at += AT_ONCE) {
    await Promise.all(readers.slice(at, at + AT_ONCE).map((reader) => reader.open()));
  }
  let counts: number[] = [];
  for (let [unchanged, asked] = [0, 0]; unchanged < 3 && asked < MOST_QUESTIONS; asked++) {
    await sleep(READING);
    const now = await Promise.all(readers.map(async (reader) => lastEdit(await reader.read())));
    unchanged = sum(now) > 0 && sum(now) === sum(counts) ? unchanged + 1 : 0;
    counts = now;
  }
  return new Map(users.map((user, index) => [user, counts[index] ?? 0]));
}

/** Edits are numbered, and each user makes them in order: the last one that is there tells how many are. */
function lastEdit(update: Uint8Array): number {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, update);
  return lastEditIn(JSON.stringify(doc.getMap('appointments').toJSON()));
}

export const lastEditIn = (content: string): number =>
  Math.max(0, ...[...content.matchAll(/edited the (\d+)th time/g)].map(([, n]) => Number(n) + 1));

/**
 * How often a server asks the disk to keep what was written (`fsync`, `fdatasync`) while each user makes a few edits;
 * `null` where there is no strace. In a run of its own, since a process that is traced is slower.
 */
export async function syncsOf({ program, core, gather, edits, scope }: LossRun): Promise<number | null> {
  if (spawnSync('strace', ['-V']).status !== 0) return null;
  const server = await ServerProcess.start(program(core), scope);
  const crowd = await gather(server, scope);
  const file = join(await scope.folder(), 'syncs');
  const args = ['-f', '-c', '-e', 'trace=fsync,fdatasync', '-o', file, '-p', String(server.pid)];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  scope.atEnd(() => strace.kill('SIGKILL'));
  const ended = once(strace, 'exit');
  if (!(await isAttached(strace))) return null;
  await crowd.editInTurn(edits);
  await server.kill();
  await ended;
  const calls = [...readFileSync(file, 'utf8').matchAll(/^ *[\d.]+ +[\d.]+ +\d+ +(\d+) .*f(?:data)?sync$/gm)];
  return sum(calls.map(([, count]) => Number(count)));
}

async function isAttached(strace: ChildProcess): Promise<boolean> {
  const said = await Promise.race([once(strace.stderr ?? strace, 'data'), once(strace, 'exit')]);
  return String(said[0]).includes('attached');
}
