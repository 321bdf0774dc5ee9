import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inTime, PATIENCE, Watched } from './wait.js';

export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

interface Run {
  readonly child: ChildProcess;
  readonly exit: Promise<Exit>;
}

type Command = () => readonly string[];

/** What every line for people begins with. */
const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /;

const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Below the ports that the system gives to connections, so that it is still free after a restart. */
const randomPort = (): number => 20_000 + Math.floor(Math.random() * 10_000);

/** How it is run. */
interface How {
  /** Options of Node, such as a module to load first, which `ask` then asks. */
  readonly nodeOptions?: readonly string[];
  /** What runs it, at each start: a program that turns into the one named behind it, as `env` does. */
  readonly command?: Command;
}

/** The built server (`buildIfOld`) as a process of its own, with a temporary folder that outlives restarts. */
export class ServerProcess {
  /** What it printed, across restarts, without the times before sentences. */
  readonly lines: string[] = [];
  readonly folder: string;
  #port = 0;
  readonly #options: Readonly<Record<string, string>>;
  readonly #printed = new Watched();
  readonly #ownsFolder: boolean;
  readonly #how: How;
  #run: Run | null = null;

  private constructor(folder: string, options: Readonly<Record<string, string>>, how: How) {
    this.#how = how;
    this.folder = options.DATA_DIR ?? folder;
    this.#ownsFolder = options.DATA_DIR === undefined;
    this.#options = options;
  }

  /** Resolves when it listens. */
  static async start(options: Readonly<Record<string, string>> = {}, how: How = {}): Promise<ServerProcess> {
    const server = new ServerProcess(await mkdtemp(join(tmpdir(), 'server-')), options, how);
    for (let attempt = 1; ; attempt++) {
      server.#port = Number(options.PORT ?? randomPort());
      try {
        await server.restart();
        return server;
      } catch (error) {
        if (attempt === 5 || options.PORT || !String(error).includes('is taken')) throw error;
      }
    }
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number | undefined {
    return this.#run?.child.pid;
  }

  /** Starts it again on the same port and folder, after `kill` or `stop`; resolves when it listens. */
  async restart(): Promise<void> {
    const from = this.lines.length;
    const { PATH = '' } = process.env;
    const { nodeOptions = [], command = () => [] } = this.#how;
    const words = [...command(), process.execPath, ...nodeOptions, 'packages/server/dist/server/main.js'];
    const [program = '', ...args] = words;
    const child = spawn(program, args, {
      env: { PATH, HOST: '127.0.0.1', DATA_DIR: this.folder, ...this.#options, PORT: String(this.#port) },
      stdio: nodeOptions.length > 0 ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    for (const input of [child.stdout, child.stderr]) {
      if (input === null) continue;
      createInterface({ input }).on('line', (line) => {
        this.lines.push(line.replace(TIME, ''));
        this.#printed.changed();
      });
    }
    const exit = new Promise<Exit>((resolve) => {
      child.on('close', (code, signal) => {
        running.delete(child);
        resolve({ code, signal });
      });
    });
    this.#run = { child, exit };
    const ended = exit.then(({ code }) => {
      throw new Error(`the server ended with ${code}:\n${this.lines.slice(from).join('\n')}`);
    });
    await Promise.race([this.line(/Listening|"event":"listening"/, from), ended]);
  }

  /** What the module that was loaded first answers. */
  ask(): Promise<unknown> {
    const child = this.#run?.child;
    if (child === undefined) throw new Error('the server does not run');
    const answer = new Promise((resolve) => child.once('message', resolve));
    child.send('?');
    return inTime(answer, () => 'an answer of the server process', PATIENCE);
  }

  /** The first line, from that position on, that the pattern fits; waits for it. */
  line(pattern: RegExp, from = 0, ms = PATIENCE): Promise<string> {
    return this.#printed.until(
      () => this.lines.slice(from).find((line) => pattern.test(line)),
      () => `a line like ${pattern}`,
      ms,
    );
  }

  /** Resolves when it has ended by itself. */
  async ended(): Promise<void> {
    await this.#run?.exit;
  }

  /** SIGKILL: nothing is finished, nothing is said. */
  kill(): Promise<Exit> {
    return this.#end('SIGKILL');
  }

  /** SIGTERM (O4). */
  stop(): Promise<Exit> {
    return this.#end('SIGTERM');
  }

  /** Kills it if it runs, and removes its folder. */
  async dispose(): Promise<void> {
    if (this.#run !== null) await this.kill();
    if (!this.#ownsFolder) return;
    for (const folder of [this.folder, `${this.folder}-access`]) {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async #end(signal: NodeJS.Signals): Promise<Exit> {
    const run = this.#run;
    if (run === null) throw new Error('the server does not run');
    this.#run = null;
    run.child.kill(signal);
    return inTime(run.exit, () => `the end by ${signal}`, PATIENCE);
  }
}
