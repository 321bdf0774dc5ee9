/** `npm run test:faults [-- --short] [--seed N] [--rounds N]`: ends with one line, and with 1 when anything was lost. */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { buildIfOld } from '../support/build.js';
import { runCrashes } from './crash.js';

const { values } = parseArgs({
  options: { short: { type: 'boolean' }, seed: { type: 'string' }, rounds: { type: 'string' } },
});
const seed = Number(values.seed ?? randomInt(2 ** 32));
const rounds = Number(values.rounds ?? (values.short ? 5 : 100));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** The full disk needs a process of its own, which may mount. */
function runFullDisk(): Promise<boolean> {
  const args = ['--import', 'tsx', 'test/faults/full-disk.ts', '--seed', `${seed}`];
  const child = spawn(process.execPath, [...args, ...(values.short ? ['--short'] : [])], {
    stdio: 'inherit',
  });
  return new Promise((resolve) => child.on('close', (code) => resolve(code === 0)));
}

say(`seed ${seed}`);
buildIfOld();
const began = Date.now();
const crashes = await runCrashes({ seed, rounds, report: say });
for (const problem of crashes.problems) say(`LOST: ${problem}`);
const diskWorks = await runFullDisk();
const passed = crashes.problems.length === 0 && diskWorks;
const { kills, compactions, confirmations } = crashes;
say(
  `${passed ? 'nothing lost' : 'FAILED'}: ${crashes.rounds} rounds, ${kills} kills, ${confirmations} confirmed changes, ` +
    `${compactions} compactions, ${crashes.problems.length} problems; full disk ${diskWorks ? 'passed or skipped' : 'FAILED'}; ` +
    `seed ${seed}, ${Math.round((Date.now() - began) / 1000)} s`,
);
process.exitCode = passed ? 0 : 1;
