/**
 * `npm run test:faults [-- backup|crash|disk|power|rewrite|rewrite-kill|rewrite-eio|eio|hang|nodes…] [--short] [--seed N] [--runs N] [--busy N] [--only FAULT]`: all faults but `nodes` unless some are named;
 * ends with one line, and with 1 when anything was lost.
 */
import { spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { buildIfOld } from '../support/build.js';
import { runBackupKills } from './backup-kills.js';
import { keepBusy } from './busy.js';
import { type CrashResult, runCrashes } from './crash.js';
import { runEio } from './eio.js';
import { type HangResult, runHangs } from './hang.js';
import { canInject } from './injector.js';
import { runNodes } from './nodes.js';
import { canRecord } from './recorded-disk.js';
import { runRewrites } from './rewrites.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ short: { type: 'boolean' }, seed: { type: 'string' }, runs: { type: 'string' } },
    busy: { type: 'string' },
    only: { type: 'string', multiple: true },
  },
});
const seed = Number(values.seed ?? randomInt(2 ** 32));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

interface Verdict {
  readonly passed: boolean;
  readonly said: string;
}

type Fault =
  | 'backup'
  | 'crash'
  | 'disk'
  | 'power'
  | 'rewrite'
  | 'rewrite-kill'
  | 'rewrite-eio'
  | 'eio'
  | 'hang'
  | 'nodes';

const RUNS = {
  backup: { long: 20, short: 2 },
  crash: { long: 100, short: 3 },
  power: { long: 100, short: 8 },
  rewrite: { long: 60, short: 4 },
  'rewrite-kill': { long: 40, short: 2 },
  'rewrite-eio': { long: 40, short: 2 },
  eio: { long: 100, short: 3 },
  hang: { long: 10, short: 2 },
  nodes: { long: 50, short: 2 },
};

function optionsOf(fault: keyof typeof RUNS) {
  const rounds = Number(values.runs ?? RUNS[fault][values.short ? 'short' : 'long']);
  return { seed, rounds, report: (line: string) => say(`${fault}: ${line}`) };
}

function verdictOn(result: CrashResult, more = ''): Verdict {
  const { rounds, kills, confirmations, compactions, problems } = result;
  for (const problem of problems) say(`LOST: ${problem}`);
  const said = `${rounds} rounds, ${kills} kills, ${confirmations} confirmed changes, ${compactions} compactions${more}`;
  return { passed: problems.length === 0, said: `${said}, ${problems.length} problems` };
}

/** The build server has to prove it; elsewhere the tool may be missing. */
const skipped = (why: string): Verdict => ({ passed: process.env.CI !== 'true', said: `SKIPPED, ${why}` });

const NO_RECORDER = 'it takes Linux and a C compiler (cc) to record what is synced';

const NO_TRACER = 'strace is missing, or not permitted to trace';

function verdictOnHangs({ rounds, confirmations, figures, problems }: HangResult): Verdict {
  for (const problem of problems) say(`WRONG: ${problem}`);
  const said = `${rounds} rounds, ${confirmations} confirmed changes, ${figures}, ${problems.length} problems`;
  return { passed: problems.length === 0, said };
}

async function runFullDisk(): Promise<Verdict> {
  // A process of its own, which may mount.
  const args = ['--import', 'tsx', 'test/faults/full-disk.ts', '--seed', `${seed}`];
  const child = spawn(process.execPath, [...args, ...(values.short ? ['--short'] : [])], {
    stdio: 'inherit',
  });
  const passed = await new Promise<boolean>((resolve) => child.on('close', (code) => resolve(code === 0)));
  return { passed, said: passed ? 'passed or skipped' : 'FAILED' };
}

/** A process of its own, which may make network namespaces. */
async function runManyNodes(): Promise<Verdict> {
  const { rounds } = optionsOf('nodes');
  const passed = await runNodes({ seed, rounds, short: values.short ?? false, only: values.only ?? [] });
  return { passed, said: passed ? 'passed' : 'FAILED' };
}

async function runKilledBackups(): Promise<Verdict> {
  const { kills, problems } = await runBackupKills(optionsOf('backup'));
  for (const problem of problems) say(`WRONG: ${problem}`);
  return { passed: problems.length === 0, said: `${kills} kills, ${problems.length} problems` };
}

const FAULTS: Record<Fault, () => Promise<Verdict>> = {
  backup: runKilledBackups,
  crash: async () => verdictOn(await runCrashes(optionsOf('crash'))),
  disk: runFullDisk,
  power: async () => {
    if (!canRecord()) return skipped(NO_RECORDER);
    return verdictOn(await runCrashes({ ...optionsOf('power'), power: true }));
  },
  rewrite: async () => {
    if (!canRecord()) return skipped(NO_RECORDER);
    return verdictOn(await runRewrites({ ...optionsOf('rewrite'), fault: 'power' }));
  },
  'rewrite-kill': async () => {
    if (!canRecord()) return skipped(NO_RECORDER);
    return verdictOn(await runRewrites({ ...optionsOf('rewrite-kill'), fault: 'kill' }));
  },
  'rewrite-eio': async () => {
    if (!canRecord()) return skipped(NO_RECORDER);
    if (!canInject()) return skipped(NO_TRACER);
    return verdictOn(await runRewrites({ ...optionsOf('rewrite-eio'), fault: 'eio' }));
  },
  eio: async () => {
    if (!canRecord()) return skipped(NO_RECORDER);
    if (!canInject()) return skipped(NO_TRACER);
    const result = await runEio(optionsOf('eio'));
    return verdictOn(result, `, ${result.failures} failures of the store, ${result.recoveries} recoveries`);
  },
  hang: async () => {
    if (!canInject()) return skipped(NO_TRACER);
    return verdictOnHangs(await runHangs({ ...optionsOf('hang'), short: values.short ?? false }));
  },
  nodes: runManyNodes,
};

const isFault = (name: string): name is Fault => Object.hasOwn(FAULTS, name);
const unknown = positionals.filter((name) => !isFault(name));
if (unknown.length > 0) throw new Error(`unknown fault ${unknown}; there are ${Object.keys(FAULTS)}`);
/** Only where it is named: a run of it takes a machine that has nothing else to do. */
const APART: Fault = 'nodes';
const all = (Object.keys(FAULTS) as Fault[]).filter((fault) => fault !== APART);
const chosen = positionals.length > 0 ? positionals.filter(isFault) : all;

// Each provider listens for the end of the process.
process.setMaxListeners(30);
say(`seed ${seed}`);
buildIfOld();
const began = Date.now();
const lines: string[] = [];
let passed = true;
keepBusy(Number(values.busy ?? 0));
for (const fault of chosen) {
  const verdict = await FAULTS[fault]();
  passed &&= verdict.passed;
  lines.push(`${fault}: ${verdict.said}`);
}
const seconds = Math.round((Date.now() - began) / 1000);
say(`${passed ? 'nothing lost' : 'FAILED'}: ${lines.join('; ')}; seed ${seed}, ${seconds} s`);
process.exitCode = passed ? 0 : 1;
