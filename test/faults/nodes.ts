/**
 * Three nodes on one PostgreSQL under load, while nodes are killed and stopped, PostgreSQL is killed, its connections
 * end, and networks part. The test runs itself anew where it may make network namespaces.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { FaultCluster } from './nodes/cluster.js';
import { KINDS, TIMES } from './nodes/faults.js';
import { APART, canPart, missingTools, partableNetwork, plainNetwork } from './nodes/network.js';
import { HEALED, judged, type NodesResult, NodesRun } from './nodes/nodes-run.js';

export interface NodesOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Whether nodes sleep, and networks are parted, for a shorter time. */
  readonly short: boolean;
  /** The names of the only faults; all where there are none. */
  readonly only: readonly string[];
}

const NODES = 3;
/** Set where this runs in namespaces of its own. */
const INSIDE = 'FAULTS_APART';
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Resolves with whether nothing was lost, and nothing wrong. */
export async function runNodes({ seed, rounds, short, only }: NodesOptions): Promise<boolean> {
  const unknown = only.filter((name) => !KINDS.some((kind) => kind === name));
  if (unknown.length > 0) throw new Error(`unknown fault of nodes ${unknown}; there are ${KINDS}`);
  const missing = missingTools();
  const may = missing.length === 0 && canPart();
  const why = missing.length > 0 ? `${missing} is missing` : 'network namespaces are not permitted here';
  if (!may) say(`nodes: SKIPPED: nodes parted from each other, since ${why}`);
  if (missing.length > 0 && process.env.CI === 'true') return false; // what could be installed has to be
  const own = [process.execPath, '--import', 'tsx', fileURLToPath(import.meta.url)];
  const chosen = only.flatMap((name) => ['--only', name]);
  const args = ['--seed', `${seed}`, '--runs', `${rounds}`, ...(short ? ['--short'] : []), ...chosen];
  const [program = '', ...words] = [...(may ? APART : []), ...own, ...args];
  const child = spawn(program, words, {
    stdio: 'inherit',
    env: { ...process.env, ...(may && { [INSIDE]: 'true' }) },
  });
  return new Promise((resolve) => child.on('close', (code) => resolve(code === 0)));
}

async function runInside({ seed, rounds, short, only }: NodesOptions): Promise<NodesResult> {
  const kinds = KINDS.filter((kind) => only.length === 0 || only.includes(kind));
  const network = process.env[INSIDE] === 'true' ? partableNetwork(NODES) : plainNetwork(NODES);
  const cluster = await FaultCluster.start(network);
  const run = new NodesRun(cluster, seed, TIMES[short ? 'short' : 'long'], kinds);
  try {
    for (let round = 1; round <= rounds && run.problems.length === 0; round++)
      say(`nodes: round ${round} of ${rounds}: ${await run.round(round)}`);
  } catch (error) {
    const why = `the run broke off: ${error instanceof Error ? error.stack : error}`;
    say(why); // at once: what follows may take long, or fail
    run.problems.push(why);
  }
  run.noteFaults();
  await run.end();
  await cluster.stop();
  return run.result();
}

function tell({ rounds, confirmations, reads, healed, problems }: NodesResult): void {
  for (const problem of problems) say(`WRONG: ${problem}`);
  const calm = healed.filter(({ overloads }) => overloads === 0);
  const soon = calm.filter((each) => judged(each) <= HEALED).length;
  const unjudged = healed.length - calm.length;
  const ready = spread(healed.map((each) => each.ready));
  const equal = spread(healed.map((each) => each.equal));
  const counted = spread(healed.map(judged));
  say(
    `nodes: ${rounds} rounds, ${confirmations} confirmed changes, ${reads} reads, all nodes ready after ${ready}, all devices equal ${equal} later, without waits for a core ${counted}: ${soon} of ${calm.length} times within ${HEALED} ms, ${unjudged} rounds not judged (overloaded), ${problems.length} problems`,
  );
}

function spread(times: readonly number[]): string {
  const sorted = times.toSorted((one, other) => one - other);
  return `${sorted[times.length >> 1]} ms at the median and ${sorted.at(-1)} at most`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      ...{ short: { type: 'boolean' }, seed: { type: 'string' }, runs: { type: 'string' } },
      only: { type: 'string', multiple: true },
    },
  });
  process.setMaxListeners(0); // each provider listens for the end of the process
  const result = await runInside({
    ...{ seed: Number(values.seed), rounds: Number(values.runs) },
    short: values.short ?? false,
    only: values.only ?? [],
  });
  tell(result);
  process.exit(result.problems.length === 0 ? 0 : 1);
}
