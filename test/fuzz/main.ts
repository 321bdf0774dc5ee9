/** `npm run fuzz [-- --seconds 600 --seed 1]`: mutated updates against the scan, the checks and Yjs. */
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import * as Y from 'yjs';
import { docsOf, edits, updatesOf } from '../support/edited-docs.js';
import { seededRandom } from '../support/hostile.js';
import { outcomeOf } from './invariants.js';
import { below, mutated, oneOf, type Random } from './mutations.js';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string', default: '1' } },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) throw new Error('--seconds and --seed are numbers');

const print = (line: string) => process.stdout.write(`${line}\n`);

interface World {
  readonly base: Uint8Array[];
  readonly updates: Uint8Array[];
  readonly clients: number[];
}

/** Two edited documents: what the server has of them, and what comes in. */
function worldOf(random: Random): World {
  const [made = []] = fc.sample(edits, { seed: below(random, 2 ** 31), numRuns: 1 });
  const docs = docsOf(made);
  const base = docs.filter(() => random() < 0.5).map((doc) => Y.encodeStateAsUpdate(doc));
  const updates = updatesOf(docs).filter(({ length }) => length > 2);
  const clients = docs.flatMap((doc) => [
    doc.clientID,
    ...Y.decodeStateVector(Y.encodeStateVector(doc)).keys(),
  ]);
  return { base, updates, clients: [...clients, 1, 4_000_000_002] };
}

const finds = new Set<string>();

function report(error: unknown, base: readonly Uint8Array[], update: Uint8Array): void {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const [message = '', ...frames] = stack.split('\n');
  const name = `${message} ${frames[0] ?? ''}`;
  if (finds.has(name)) return;
  finds.add(name);
  print(`\nFIND ${message}\n${frames.slice(0, 4).join('\n')}`);
  for (const each of base) print(`  base   ${Buffer.from(each).toString('base64')}`);
  print(`  update ${Buffer.from(update).toString('base64')}`);
}

const random = seededRandom(seed);
const counts: Record<string, number> = {};
const end = performance.now() + seconds * 1_000;
let runs = 0;
while (performance.now() < end) {
  const world = worldOf(random);
  for (let left = 40; left > 0 && performance.now() < end; left--) {
    const base = oneOf(random, world.updates);
    if (base === undefined) break;
    let update = new Uint8Array(0);
    try {
      update = new Uint8Array(mutated(base, random, world));
      const outcome = outcomeOf(world.base, update);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    } catch (error) {
      counts.found = (counts.found ?? 0) + 1;
      report(error, world.base, update);
    }
    runs++;
  }
}
print(
  `\nseed ${seed}: ${runs} updates in ${seconds} s; ${JSON.stringify(counts)}; ${finds.size} kinds of finds`,
);
process.exitCode = finds.size > 0 ? 1 : 0;
