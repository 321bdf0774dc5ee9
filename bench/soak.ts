/** Everything at once for a long time: memory must not grow, and nothing that was confirmed may be lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { print } from './support/print.js';
import { durableServer } from './support/programs.js';
import { pin } from './support/race.js';
import type { Scope } from './support/scope.js';
import { ServerProcess } from './support/server-process.js';
import { lowest, type Sample, slope } from './support/slope.js';
import { Visitor } from './support/visits.js';

const VISITORS = 200;
/** Of them, how many are there at a time. */
const PRESENT = 20;
/** Documents come and go in seconds, so that a short soak has both. */
const LET_GO = { IDLE_TIMEOUT: '2s' };
const COLLECTING = ['--expose-gc', '--import', pathToFileURL('bench/servers/memory-hook.mjs').href];
const SAMPLING = 2_000;
const WARM_UP = 0.4;
const WINDOWS = 12;
/** Below so many minutes the process as a whole still settles: what is judged is the heap after each collection. */
const LONG = 10;
/** MB a minute, of the process, and in a short soak of its heap. */
const LIMIT = { long: 1, short: 6 };

/** In MB; the value is that of the whole process. */
interface Memory extends Sample {
  readonly heap: number;
}

interface Soak {
  readonly samples: readonly Memory[];
  readonly edits: number;
  readonly lost: readonly string[];
  /** A connection that the server ends may be ended; what it had confirmed has to be there. */
  readonly closed: readonly string[];
}

/** The exit code. */
export async function soak(minutes: number, scope: Scope): Promise<number> {
  const core = pin()?.server ?? null;
  const program = durableServer(await scope.folder(), COLLECTING, LET_GO)(core);
  const server = await ServerProcess.start(program, scope);
  const visitors = Array.from({ length: VISITORS }, (_, index) => new Visitor(index));
  const { last, ...endured } = await endure(server, visitors, minutes);
  const again = await ServerProcess.start(program, scope);
  const lostByCrash = await lossesOf(last, again.port);
  return judge({ ...endured, lost: [...endured.lost, ...lostByCrash] }, minutes >= LONG);
}

function judge({ samples, edits, lost, closed }: Soak, isLong: boolean): number {
  const after = samples.filter(({ at }) => at >= WARM_UP * (samples.at(-1)?.at ?? 0));
  const growth = slope(lowest(after, WINDOWS));
  const heap = slope(after.map(({ at, heap: value }) => ({ at, value })));
  const last = samples.at(-1);
  print(`${edits} edits confirmed by ${VISITORS} users, then killed: ${lost.length} users lost some`);
  for (const each of [...lost, ...closed]) print(`  ${each}`);
  const lows = lowest(samples, 2 * WINDOWS).map(({ value }) => value.toFixed(0));
  print(`memory from the start, lowest of each window, in MB: ${lows.join(' ')}`);
  print(`at the end ${last?.value.toFixed(0)} MB, of which the heap ${last?.heap.toFixed(0)} MB`);
  print(`growth ${growth.toFixed(2)} MB a minute${isLong ? ` (at most ${LIMIT.long})` : ''}`);
  print(`of the heap ${heap.toFixed(2)} MB a minute${isLong ? '' : ` (at most ${LIMIT.short})`}`);
  const isFlat = isLong ? growth < LIMIT.long : heap < LIMIT.short;
  return lost.length === 0 && isFlat ? 0 : 1;
}

/** Ends by killing the server while they edit. */
async function endure(
  server: ServerProcess,
  visitors: readonly Visitor[],
  minutes: number,
): Promise<Soak & { last: Visitor[] }> {
  const began = performance.now();
  const passed = () => (performance.now() - began) / 60_000;
  const isOver = () => passed() >= minutes;
  const killed = sleep(minutes * 60_000)
    .then(() => server.kill())
    .then(() => 'killed' as const);
  const untilKilled = <T>(task: Promise<T>): Promise<T | 'killed'> =>
    Promise.race([task.catch((error) => (isOver() ? killed : Promise.reject(error))), killed]);
  const samples: Memory[] = [];
  const counted = { edits: 0, lost: [] as string[], closed: [] as string[] };
  const free = [...visitors];
  const come = async (visitor: Visitor): Promise<void> => {
    try {
      const edits = await visitor.visit(server.port);
      counted.edits += edits;
      counted.lost.push(...(await visitor.lost(server.port)));
    } catch (error) {
      if (!isOver()) counted.closed.push(String(error));
    }
  };
  const here = new Set<Visitor>();
  const work = async (): Promise<void> => {
    while (!isOver()) {
      const visitor = free.shift();
      if (visitor === undefined) return;
      here.add(visitor);
      if ((await untilKilled(come(visitor))) === 'killed') return;
      here.delete(visitor);
      free.push(visitor.next(VISITORS));
    }
  };
  const sample = async (): Promise<void> => {
    for (; !isOver(); await sleep(SAMPLING)) {
      const left = await untilKilled(server.collected());
      if (left !== 'killed') samples.push({ at: passed(), value: left.rss / 1e6, heap: left.heap / 1e6 });
    }
  };
  await Promise.all([killed, sample(), ...Array.from({ length: PRESENT }, work)]);
  return { samples, ...counted, last: [...free, ...here] };
}

async function lossesOf(visitors: readonly Visitor[], port: number): Promise<string[]> {
  const lost: string[] = [];
  for (const visitor of visitors) lost.push(...(await visitor.lost(port)));
  return lost;
}
