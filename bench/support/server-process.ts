/** A server in a process of its own: started on a free port, measured by the operating system, always ended. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../test/support/free-port.js';
import type { Scope } from './scope.js';

export interface ServerProgram {
  readonly name: string;
  /** The node that runs it, where that is not this one. */
  readonly node?: string;
  /** Arguments of node. */
  readonly args: readonly string[];
  /** Beside `PORT` and `HOST`. */
  readonly env: Readonly<Record<string, string>>;
  readonly core: number | null;
}

export interface ThreadTimes {
  readonly user: number;
  readonly kernel: number;
  readonly others: number;
}

const START_TIMEOUT = 60_000;
const STOP_TIMEOUT = 30_000;
const MS_PER_TICK = 10;

export class ServerProcess {
  readonly port: number;
  readonly program: ServerProgram;
  readonly #child: ChildProcess;
  /** The end of its output. */
  readonly #said: () => string;

  private constructor(program: ServerProgram, port: number, child: ChildProcess, said: () => string) {
    this.#said = said;
    this.program = program;
    this.port = port;
    this.#child = child;
  }

  /** Resolves once the server takes connections. */
  static async start(program: ServerProgram, scope: Scope): Promise<ServerProcess> {
    const port = await freePort();
    const command = [program.node ?? process.execPath, ...program.args];
    if (program.core !== null) command.unshift('taskset', '-c', String(program.core));
    const child = spawn(command[0] as string, command.slice(1), {
      env: { ...process.env, NODE_ENV: 'production', ...program.env, HOST: '127.0.0.1', PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    scope.atEnd(() => stop(child).finally(() => process.off('exit', kill)));
    const said = outputOf(child);
    await listening({ name: program.name, child, port, said });
    return new ServerProcess(program, port, child, said);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Ends it by SIGTERM; throws unless it ended in order. */
  async close(): Promise<void> {
    await stop(this.#child);
    const { exitCode, signalCode } = this.#child;
    if (exitCode === 0) return;
    throw new Error(
      `The ${this.program.name} did not end in order: ${exitCode ?? signalCode}.\n${this.#said()}`,
    );
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  /** CPU time of the process with all its threads, in ms, in user and kernel mode. */
  cpu(): number {
    const { user, kernel } = timesIn(`/proc/${this.pid}/stat`);
    return user + kernel;
  }

  /** What is left after a collection, in bytes; only with `memory-hook.mjs` in the process. */
  async collected(): Promise<{ rss: number; heap: number }> {
    const answer = once(this.#child, 'message');
    this.#child.send('collect');
    return (await answer)[0];
  }

  /** Profiles it while `work` is under way; only with `profile-hook.mjs` in the process. */
  async profiled<T>(file: string, work: () => Promise<T>): Promise<T> {
    await this.#ask({ profile: 'begin' });
    const done = await work();
    await this.#ask({ profile: 'end', file });
    return done;
  }

  async #ask(message: Readonly<Record<string, string>>): Promise<void> {
    const answer = once(this.#child, 'message');
    this.#child.send(message);
    await answer;
  }

  /** CPU time of its main thread, in user and in kernel mode, and of all its other threads, in ms. */
  threads(): ThreadTimes {
    const times = readdirSync(`/proc/${this.pid}/task`).map((thread) => ({
      isMain: thread === String(this.pid),
      ...timesIn(`/proc/${this.pid}/task/${thread}/stat`),
    }));
    const sum = (isMain: boolean, of: (each: { user: number; kernel: number }) => number) =>
      times.filter((each) => each.isMain === isMain).reduce((total, each) => total + of(each), 0);
    return {
      user: sum(true, ({ user }) => user),
      kernel: sum(true, ({ kernel }) => kernel),
      others: sum(false, ({ user, kernel }) => user + kernel),
    };
  }

  /** Memory that it holds, in KB. */
  rss(): number {
    return numberIn(`/proc/${this.pid}/status`, /^VmRSS:\s+(\d+)/m);
  }

  /** Bytes that it has written, to files and sockets. */
  written(): number {
    return numberIn(`/proc/${this.pid}/io`, /^wchar: (\d+)/m);
  }
}

export interface ProcessTimes {
  /** In ms, as the next two are. */
  readonly user: number;
  readonly kernel: number;
  /** Of its children that have ended. */
  readonly ended: number;
  readonly parent: number;
}

/** @param file `/proc/PID/stat`, or that of a thread */
export function timesIn(file: string): ProcessTimes {
  const stat = readFileSync(file, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ms = (field: number) => Number(fields[field]) * MS_PER_TICK;
  return { user: ms(11), kernel: ms(12), ended: ms(13) + ms(14), parent: Number(fields[1]) };
}

const numberIn = (file: string, pattern: RegExp): number =>
  Number(pattern.exec(readFileSync(file, 'utf8'))?.[1] ?? Number.NaN);

/** Compiles the server as `npm start` does. */
export function buildServer(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: ['ignore', 'inherit', 'inherit'] });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT);
  await gone;
  clearTimeout(timer);
}

function outputOf(child: ChildProcess): () => string {
  let said = '';
  const note = (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2_000);
  };
  child.stdout?.on('data', note);
  child.stderr?.on('data', note);
  return () => said;
}

interface Starting {
  readonly name: string;
  readonly child: ChildProcess;
  readonly port: number;
  readonly said: () => string;
}

async function listening({ name, child, port, said }: Starting): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT;
  while (!(await takesConnections(port)) || (await isStarting(port))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > deadline)
      throw new Error(`The ${name} did not start.\n${said()}`);
    await sleep(50);
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const settle = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** Ours listens before its store is open, and says so; others know no such path. */
async function isStarting(port: number): Promise<boolean> {
  const url = `http://127.0.0.1:${port}/ready`;
  const signal = AbortSignal.timeout(1_000);
  const asked = await fetch(url, { headers: { connection: 'close' }, signal }).catch(() => null);
  return asked?.status === 503;
}
