import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ServerProcess } from '../support/server-process.js';
import { LATENESS, PATIENCE } from '../support/wait.js';
import { Chance } from './chance.js';
import { Household } from './household.js';
import { read } from './http-writers.js';
import { Injector } from './injector.js';
import { startLoad } from './load.js';
import { ready } from './ready.js';

export interface HangOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Whether the server gives up sooner than it does unless it is told to. */
  readonly short: boolean;
  readonly report?: (line: string) => void;
}

export interface HangResult {
  readonly rounds: number;
  readonly confirmations: number;
  readonly problems: readonly string[];
  /** The longest times, and the most memory, in words. */
  readonly figures: string;
}

const USERS = ['anna', 'bert', 'carl'];
interface Times {
  readonly slow: number;
  readonly timeout: number;
}

const OPTIONS = { COMPACT_UPDATES: '25', LOG_FORMAT: 'json', LOG_LEVEL: 'info' };
const TIMES = {
  short: { slow: 1_000, timeout: 4_000 },
  long: { slow: 5_000, timeout: 30_000 },
};
/** No sync ends by itself, in microseconds. */
const FOR_EVER = 600 * 1_000_000;
/** SIGTERM to the end of the process, in ms (O4). */
const LONGEST_END = 10_000;
/** What all that waits for the disk may take, in MB: the bound, and what goes with it. */
const MOST_MEMORY = 250;

/**
 * Syncs of the server hang under load. It has to say so, to tell whoever wrote, and to stay small; then the disk
 * answers and the server has to go on, or it is told to stop while the disk still hangs. Either way nothing is lost
 * that was seen or confirmed.
 */
export async function runHangs(options: HangOptions): Promise<HangResult> {
  const { seed, rounds, short, report = () => {} } = options;
  const times = TIMES[short ? 'short' : 'long'];
  const folder = await mkdtemp(join(tmpdir(), 'hang-'));
  const patience = { DISK_SLOW: `${times.slow}ms`, DISK_TIMEOUT: `${times.timeout}ms` };
  const server = await ServerProcess.start({ ...OPTIONS, ...patience, DATA_DIR: join(folder, 'data') });
  const run = new HangRun(server, times, seed);
  try {
    await run.prepare();
    for (let round = 1; round <= rounds && run.problems.length === 0; round++) {
      report(`round ${round} of ${rounds}: ${await run.round(round)}`);
    }
  } catch (error) {
    run.problems.push(`the run broke off: ${error instanceof Error ? error.stack : error}`);
  } finally {
    run.close();
    await server.dispose();
    await rm(folder, { recursive: true });
  }
  return run.result();
}

class HangRun {
  readonly problems: string[] = [];
  readonly #server: ServerProcess;
  readonly #times: Times;
  readonly #chance: Chance;
  readonly #households: readonly Household[];
  readonly #most = { unready: 0, told: 0, ended: 0, memory: 0 };
  #rounds = 0;

  constructor(server: ServerProcess, times: Times, seed: number) {
    this.#server = server;
    this.#times = times;
    this.#chance = new Chance(seed);
    this.#households = USERS.map((user) => new Household(server.url, user, this.#newChance, () => {}));
  }

  async prepare(): Promise<void> {
    await this.#each((household) => household.prepare());
  }

  async round(round: number): Promise<string> {
    for (const household of this.#households) household.round = round;
    await this.#settle();
    const stops = round % 2 === 0;
    const before = memoryOf(this.#pid);
    const injector = await this.#hang(stops);
    this.#most.memory = Math.max(this.#most.memory, memoryOf(this.#pid) - before);
    if (stops) {
      await this.#stop();
      await injector.detach('SIGKILL');
      await this.#server.ended();
      await this.#each((household) => household.disconnected());
      await this.#server.restart();
    } else {
      await injector.detach('SIGKILL');
      await ready(this.#server.url, 200);
      for (const writer of this.#households.flatMap(({ writers }) => writers)) await writer.disconnect();
    }
    this.#forgetRefusals();
    await this.#settle();
    this.#rounds = round;
    return stops ? 'stopped while the disk hung' : 'went on when the disk had answered';
  }

  result(): HangResult {
    const { unready, told, ended, memory } = this.#most;
    if (memory > MOST_MEMORY) this.problems.push(`${memory} MB more while the disk hung`);
    return {
      rounds: this.#rounds,
      confirmations: this.#households.reduce((sum, { ledger }) => sum + ledger.confirmations, 0),
      problems: this.problems,
      figures: `not ready after ${unready} ms, told after ${told} ms, ended after ${ended} ms, ${memory} MB more`,
    };
  }

  close(): void {
    for (const household of this.#households) household.close();
  }

  readonly #newChance = (): Chance => new Chance(this.#chance.below(2 ** 32));

  get #pid(): number {
    const { pid } = this.#server;
    if (pid === undefined) throw new Error('the server does not run');
    return pid;
  }

  async #each<T>(action: (household: Household) => Promise<T>): Promise<T[]> {
    return Promise.all(this.#households.map(action));
  }

  /** Under load, until writers are told; or only until the server says that it is not ready. */
  async #hang(stops: boolean): Promise<Injector> {
    const { slow, timeout } = this.#times;
    const from = this.#server.lines.length;
    const stop = startLoad(this.#households, this.#newChance);
    await pause(this.#chance.between(50, 300));
    const injector = new Injector(this.#pid, 'fdatasync,fsync', `delay_enter=${FOR_EVER}`);
    const began = performance.now();
    await ready(this.#server.url, 503, this.#times.timeout + PATIENCE);
    this.#note('unready', performance.now() - began, slow);
    await this.#server.line(/"event":"storeSlow"/, from);
    if ((await read(`${this.#server.url}/health`)).status !== 200) this.problems.push('/health failed, too');
    if (!stops) {
      await this.#server.line(/"event":"storeFailed"/, from, timeout + PATIENCE);
      this.#note('told', performance.now() - began, timeout);
    }
    void stop();
    return injector;
  }

  /** strace holds on to the thread that it delays: what is left of the process then is a zombie. */
  async #stop(): Promise<void> {
    const pid = this.#pid;
    const began = performance.now();
    process.kill(pid, 'SIGTERM');
    while (!hasEnded(pid)) {
      if (performance.now() - began > LONGEST_END + PATIENCE)
        throw new Error('SIGTERM does not end the server');
      await pause(20);
    }
    this.#note('ended', performance.now() - began, LONGEST_END - LATENESS);
  }

  #note(what: 'unready' | 'told' | 'ended', ms: number, limit: number): void {
    this.#most[what] = Math.max(this.#most[what], Math.round(ms));
    // The injector takes its time to attach.
    if (ms > limit + LATENESS) this.problems.push(`${what} after ${Math.round(ms)} ms instead of ${limit}`);
  }

  /** That writers were told is what this is about. */
  #forgetRefusals(): void {
    for (const { json, batch, exchange } of this.#households) {
      json.errors.length = 0;
      batch.refusals.length = 0;
      exchange.refusals.length = 0;
    }
  }

  async #settle(): Promise<void> {
    const found = await this.#each((household) => household.settle());
    const lost = await this.#each((household) => household.problems());
    this.problems.push(...found.flat(), ...lost.flat());
  }
}

const statusOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/status`, 'utf8');
  } catch {
    return 'State:\tZ';
  }
};

const hasEnded = (pid: number): boolean => /^State:\s+[ZX]/m.test(statusOf(pid));
const memoryOf = (pid: number): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(statusOf(pid))?.[1] ?? 0) / 1024);
