/** Everything at once for a long time: memory must not grow, and nothing that was confirmed may be lost. */
import { setTimeout as sleep } from 'node:timers/promises';
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
const WARM_UP = 0.4;
const WINDOWS = 12;
/** MB a minute. */
const LIMIT = 1;

interface Soak {
  readonly samples: readonly Sample[];
  readonly edits: number;
  readonly lost: readonly string[];
}

/** The exit code. */
export async function soak(minutes: number, scope: Scope): Promise<number> {
  const core = pin()?.server ?? null;
  const program = durableServer(await scope.folder(), [], LET_GO)(core);
  const server = await ServerProcess.start(program, scope);
  const visitors = Array.from({ length: VISITORS }, (_, index) => new Visitor(index));
  const { samples, edits, lost } = await endure(server, visitors, minutes);
  await server.kill();
  const again = await ServerProcess.start(program, scope);
  const lostByCrash = await lossesOf(visitors, again.port);
  return judge({ samples, edits, lost: [...lost, ...lostByCrash] });
}

function judge({ samples, edits, lost }: Soak): number {
  const after = samples.filter(({ at }) => at >= WARM_UP * (samples.at(-1)?.at ?? 0));
  const growth = slope(lowest(after, WINDOWS));
  const rss = samples.at(-1)?.value ?? 0;
  print(`${edits} edits confirmed by ${VISITORS} users, then killed: ${lost.length} users lost some`);
  for (const each of lost) print(`  ${each}`);
  const lows = lowest(samples, 2 * WINDOWS).map(({ value }) => value.toFixed(0));
  print(`memory from the start, lowest of each window, in MB: ${lows.join(' ')}`);
  print(`memory ${rss.toFixed(0)} MB at the end, ${growth.toFixed(2)} MB a minute (at most ${LIMIT})`);
  return lost.length > 0 || growth >= LIMIT ? 1 : 0;
}

async function endure(server: ServerProcess, visitors: readonly Visitor[], minutes: number): Promise<Soak> {
  const began = performance.now();
  const passed = () => (performance.now() - began) / 60_000;
  const isOver = () => passed() >= minutes;
  const samples: Sample[] = [];
  const counted = { edits: 0, lost: [] as string[] };
  const free = [...visitors];
  const work = async (): Promise<void> => {
    for (let turn = 0; !isOver(); turn++) {
      const visitor = free.shift();
      if (visitor === undefined) return;
      const edits = await visitor.visit(server.port, turn % 2 === 0 ? 'native' : 'json');
      counted.edits += edits;
      counted.lost.push(...(await visitor.lost(server.port)));
      free.push(visitor);
    }
  };
  const sample = async (): Promise<void> => {
    for (; !isOver(); await sleep(500)) samples.push({ at: passed(), value: server.rss() / 1_024 });
  };
  await Promise.all([sample(), ...Array.from({ length: PRESENT }, work)]);
  return { samples, ...counted };
}

async function lossesOf(visitors: readonly Visitor[], port: number): Promise<string[]> {
  const lost: string[] = [];
  for (const visitor of visitors) lost.push(...(await visitor.lost(port)));
  return lost;
}
