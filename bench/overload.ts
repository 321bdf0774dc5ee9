/** More than the server gets done: what becomes of those who are connected, of those who come, and of its memory. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from './clients/writers.js';
import { Comer } from './support/comer.js';
import { Editors } from './support/editors.js';
import type { ArmFigures, Goal } from './support/figures.js';
import { sizeOf } from './support/outcome.js';
import { quantile } from './support/print.js';
import { durableServer } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';

const LONG = { rounds: 1, writers: 3_000, comers: 3_000, calm: 5, flood: 30 };
const SHORT = { rounds: 1, writers: 1_000, comers: 1_000, calm: 3, flood: 12 };
type Size = typeof LONG;

const EDITORS = 5;
/** The flood before the crash, in ms. */
const LAST_FLOOD = 3_000;
const SAMPLING = 250;
/** MB that the process may take: the most that is accepted and not durable, and what so many connections hold. */
const MOST_MEMORY = 1_500;

const MEASURES = [
  { id: 'p50', line: 'an edit of who is connected, 50 %', unit: 'ms' },
  { id: 'p99', line: '99 %', unit: 'ms' },
  { id: 'edits', line: 'edits confirmed', unit: 'per s' },
  { id: 'memory', line: 'memory at most', unit: 'MB' },
  { id: 'in', line: 'of those who come, in at once', unit: '%' },
  { id: 'putOff', line: 'put off', unit: 'times' },
  { id: 'failed', line: 'otherwise refused', unit: 'times' },
  { id: 'lost', line: 'users who lost confirmed edits', unit: 'of all' },
];

const GOALS: readonly Goal[] = [
  { arm: 'after', measure: 'p50', of: 'before', most: 2 },
  { arm: 'flood', measure: 'memory', of: null, most: MOST_MEMORY },
  { arm: 'after', measure: 'putOff', of: null, most: 0 },
  { arm: 'after', measure: 'lost', of: null, most: 0 },
  { arm: 'crash', measure: 'lost', of: null, most: 0 },
];

export const overload = armBenchmark({
  name: 'overload',
  line: 'far more edits and connections than the server gets done, then none again, then the same until it is killed',
  measure,
});

async function measure({ options, scope, cores }: Start): Promise<Found> {
  const size = sizeOf(options, LONG, SHORT);
  const program = durableServer(await scope.folder(), [], { MAX_SOCKETS_PER_ADDRESS: '0' });
  const server = await ServerProcess.start(program(cores?.server ?? null), scope);
  const writers = await Writers.start(size.writers, scope);
  const run = new Run(server, size, writers);
  scope.atEnd(() => run.leave());
  const arms = await run.measure(scope);
  const again = await ServerProcess.start(program(cores?.server ?? null), scope);
  const lost = await writers.tell('lost', again.port);
  const crash: ArmFigures = { id: 'crash', name: 'killed in the flood', values: { lost: [lost] }, facts: {} };
  const { comers, flood: seconds } = size;
  return {
    setting: { writers: size.writers, 'come at once': comers, 'seconds of flood': seconds, rounds: 1 },
    limit: 'before',
    measures: MEASURES,
    arms: [...arms, crash],
    goals: GOALS,
  };
}

class Run {
  readonly #server: ServerProcess;
  readonly #size: Size;
  readonly #writers: Writers;
  readonly #comers: Comer[] = [];
  #most = 0;

  constructor(server: ServerProcess, size: Size, writers: Writers) {
    this.#server = server;
    this.#size = size;
    this.#writers = writers;
  }

  async measure(scope: Scope): Promise<ArmFigures[]> {
    const { port } = this.#server;
    const { calm, flood } = this.#size;
    const writers = this.#writers;
    const editors = await Editors.gather(EDITORS, port, scope);
    const timer = setInterval(() => this.#sample(), SAMPLING);
    scope.atEnd(() => clearInterval(timer));
    await writers.tell('open', port);
    await editors.edit(1); // warm
    const before = await this.#phase('before', 'before', editors, calm);
    await writers.tell('write');
    await sleep(LAST_FLOOD);
    const during = await this.#phase('flood', 'in the flood', editors, flood);
    await writers.tell('rest');
    const after = await this.#phase('after', 'after it', editors, calm);
    const lost = await writers.tell('lost', port);
    await writers.tell('write');
    await sleep(LAST_FLOOD);
    await this.#server.kill();
    clearInterval(timer);
    return [before, during, { ...after, values: { ...after.values, lost: [lost] } }];
  }

  leave(): void {
    for (const each of this.#comers) each.leave();
  }

  /** Others come, all at once, and users edit: meanwhile in the flood, else once the others are in. */
  async #phase(id: string, name: string, editors: Editors, seconds: number): Promise<ArmFigures> {
    const [before, began] = [await this.#writers.tell('confirmed'), performance.now()];
    this.#most = 0;
    const first = this.#comers.length;
    const comers = Array.from({ length: this.#size.comers }, (_, index) => new Comer(first + index));
    this.#comers.push(...comers);
    const come = comers.map((comer) => comer.come(this.#server.port));
    if (id !== 'flood') await Promise.all(come);
    const times = await editors.edit(seconds);
    const passed = (performance.now() - began) / 1_000;
    const found = {
      p50: quantile(times, 0.5),
      p99: quantile(times, 0.99),
      edits: ((await this.#writers.tell('confirmed')) - before) / passed,
      memory: this.#most,
      ...whatBecameOf(comers),
    };
    for (const comer of comers) comer.leave();
    const values = Object.fromEntries(Object.entries(found).map(([measure, value]) => [measure, [value]]));
    return { id, name, values, facts: {} };
  }

  #sample(): void {
    this.#most = Math.max(this.#most, this.#server.rss() / 1_000);
  }
}

function whatBecameOf(comers: readonly Comer[]) {
  const isInAtOnce = ({ inAt, putOff, failures }: Comer) => inAt !== null && putOff + failures.length === 0;
  return {
    in: (100 * comers.filter(isInAtOnce).length) / comers.length,
    putOff: comers.reduce((sum, { putOff }) => sum + putOff, 0),
    failed: comers.reduce((sum, { failures }) => sum + failures.length, 0),
  };
}

/** In a process of their own, with the lowest priority: what a flood takes of its core does not delay the others. */
class Writers {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(count: number, scope: Scope): Promise<Writers> {
    const node = [process.execPath, '--import', 'tsx', 'bench/clients/writers.ts', String(count)];
    const child = spawn('nice', ['-n', '19', ...node], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    scope.atEnd(() => child.kill('SIGKILL'));
    await once(child, 'message');
    return new Writers(child);
  }

  async tell(name: string, port = 0): Promise<number> {
    const answer = once(this.#child, 'message');
    this.#child.send({ name, port } satisfies Command);
    return (await answer)[0] as number;
  }
}
