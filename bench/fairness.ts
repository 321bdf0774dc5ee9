/** What ten users who edit feel of others who flood within the limits. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Editors } from './support/editors.js';
import { print, quantile, table } from './support/print.js';
import { durableServer } from './support/programs.js';
import type { Scope } from './support/scope.js';
import { buildServer, ServerProcess } from './support/server-process.js';
import type { Benchmark } from './support/types.js';

const EDITORS = 10;
const SOCKETS = 20;
const RATE = 100;
/** What is promised: no more than twice of what it was. */
const PROMISED = 2;

export const fairness: Benchmark = {
  name: 'fairness',
  line: `${EDITORS} users edit, alone and while others flood with ${SOCKETS} sockets at ${RATE} messages a second each`,
  options: {
    short: '5 s each instead of 20',
    check: `exit code 1 where the 95th percentile is more than ${PROMISED} times what it was`,
  },
  longest: (options) => (options.has('short') ? 60_000 : 150_000),
  run: async (options, scope) => {
    buildServer();
    const seconds = options.has('short') ? 5 : 20;
    const server = await ServerProcess.start(durableServer(await scope.folder())(null), scope);
    const editors = await Editors.gather(EDITORS, server.port, scope);
    await editors.edit(2); // warm
    const rows: [string, number[]][] = [['nobody', await editors.edit(seconds)]];
    for (const users of [1, 3]) {
      const floods = Array.from({ length: users }, (_, n) =>
        flood(server, `flood-${users}-${n}`, seconds + 2, scope),
      );
      await sleep(2_000); // started, and the burst is under way
      rows.push([`${users} flooding`, await editors.edit(seconds)]);
      await Promise.all(floods);
    }
    print(table([['', '50 %', '95 %', '99 %'], ...rows.map(([name, times]) => [name, ...quantiles(times)])]));
    const [alone = Number.NaN, ...others] = rows.map(([, times]) => quantile(times, 0.95));
    const ratios = others.map((each) => each / alone);
    print(`\n95th percentile: ${ratios.map((ratio) => ratio.toFixed(2)).join(' and ')} times what it was`);
    return options.has('check') && ratios.some((ratio) => ratio > PROMISED) ? 1 : 0;
  },
};

/** In a process of its own, with the lowest priority: it is the server that is measured. */
async function flood({ port }: ServerProcess, user: string, seconds: number, scope: Scope): Promise<void> {
  const args = [port, user, SOCKETS, RATE, seconds].map(String);
  const node = [process.execPath, '--import', 'tsx', 'bench/clients/flood.ts', ...args];
  const child = spawn('nice', ['-n', '19', ...node], { stdio: ['ignore', 'inherit', 'inherit'] });
  scope.atEnd(() => child.kill('SIGKILL'));
  await once(child, 'exit');
}

const quantiles = (times: readonly number[]): string[] =>
  [0.5, 0.95, 0.99].map((share) => `${quantile(times, share).toFixed(1)} ms`);
