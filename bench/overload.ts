/** More than the server gets done: what becomes of those who are connected, of those who come, and of its memory. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Comer } from './support/comer.js';
import { Editors } from './support/editors.js';
import type { ArmFigures, Goal } from './support/figures.js';
import { sizeOf } from './support/outcome.js';
import { quantile } from './support/print.js';
import { durableServer } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { armBenchmark, type Found, type Start } from './support/start.js';
import { Writer } from './support/writer.js';

const LONG = { rounds: 1, writers: 3_000, comers: 3_000, calm: 5, flood: 30 };
const SHORT = { rounds: 1, writers: 1_000, comers: 1_000, calm: 3, flood: 12 };
type Size = typeof LONG;

const EDITORS = 5;
const AT_ONCE = 50;
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
  { arm: 'after', measure: 'in', of: 'before', most: 1 },
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
  const run = new Run(server, size);
  scope.atEnd(() => run.leave());
  const arms = await run.measure(scope);
  const again = await ServerProcess.start(program(cores?.server ?? null), scope);
  const lost = await run.lost(again.port);
  const crash: ArmFigures = { id: 'crash', name: 'killed in the flood', values: { lost: [lost] }, facts: {} };
  const { writers, comers, flood: seconds } = size;
  return {
    setting: { writers, 'come at once': comers, 'seconds of flood': seconds, rounds: 1 },
    limit: 'before',
    measures: MEASURES,
    arms: [...arms, crash],
    goals: GOALS,
  };
}

class Run {
  readonly #server: ServerProcess;
  readonly #size: Size;
  readonly #writers: readonly Writer[];
  readonly #comers: Comer[] = [];
  #most = 0;

  constructor(server: ServerProcess, size: Size) {
    this.#server = server;
    this.#size = size;
    this.#writers = Array.from({ length: size.writers }, (_, index) => new Writer(index));
  }

  async measure(scope: Scope): Promise<ArmFigures[]> {
    const { port } = this.#server;
    const { calm, flood } = this.#size;
    const editors = await Editors.gather(EDITORS, port, scope);
    const timer = setInterval(() => this.#sample(), SAMPLING);
    scope.atEnd(() => clearInterval(timer));
    await each(this.#writers, (writer) => writer.open(port));
    await editors.edit(1); // warm
    const before = await this.#phase('before', 'before', editors, calm);
    for (const writer of this.#writers) writer.write();
    await sleep(LAST_FLOOD);
    const during = await this.#phase('flood', 'in the flood', editors, flood);
    await Promise.all(this.#writers.map((writer) => writer.rest()));
    const after = await this.#phase('after', 'after it', editors, calm);
    const lost = await this.lost(port);
    for (const writer of this.#writers) writer.write();
    await sleep(LAST_FLOOD);
    await this.#server.kill();
    clearInterval(timer);
    return [before, during, { ...after, values: { ...after.values, lost: [lost] } }];
  }

  /** How many users lost something that was confirmed to them. */
  async lost(port: number): Promise<number> {
    let lost = 0;
    await each(this.#writers, async (writer) => {
      lost += (await writer.lost(port)).length;
    });
    return lost;
  }

  leave(): void {
    for (const each of this.#writers) each.close();
    for (const each of this.#comers) each.leave();
  }

  /** Users edit while others come, all at once. */
  async #phase(id: string, name: string, editors: Editors, seconds: number): Promise<ArmFigures> {
    const confirmed = () => this.#writers.reduce((sum, writer) => sum + writer.confirmed, 0);
    const [before, began] = [confirmed(), performance.now()];
    this.#most = 0;
    const first = this.#comers.length;
    const comers = Array.from({ length: this.#size.comers }, (_, index) => new Comer(first + index));
    this.#comers.push(...comers);
    const come = comers.map((comer) => comer.come(this.#server.port));
    const times = await editors.edit(seconds);
    const edits = (confirmed() - before) / ((performance.now() - began) / 1_000);
    const inAtOnce = comers.filter(
      ({ inAt, putOff, failures }) => inAt !== null && putOff + failures.length === 0,
    );
    const values = {
      p50: [quantile(times, 0.5)],
      p99: [quantile(times, 0.99)],
      edits: [edits],
      memory: [this.#most],
      in: [(100 * inAtOnce.length) / comers.length],
      putOff: [comers.reduce((sum, { putOff }) => sum + putOff, 0)],
      failed: [comers.reduce((sum, { failures }) => sum + failures.length, 0)],
    };
    if (id !== 'flood') await Promise.all(come);
    for (const comer of comers) comer.leave();
    return { id, name, values, facts: {} };
  }

  #sample(): void {
    this.#most = Math.max(this.#most, this.#server.rss() / 1_000);
  }
}

/** A few at a time. */
async function each<T>(all: readonly T[], task: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await task(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
