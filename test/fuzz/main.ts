/** `npm run fuzz [-- --seconds 600 --seed 1]`: prints each kind of find once, and ends with 1 where there is any. */
import { parseArgs } from 'node:util';
import { type Find, fuzz } from './fuzz.js';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '600' }, seed: { type: 'string', default: '1' } },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isSafeInteger(seed)) throw new Error('--seconds and --seed are numbers');

const print = (line: string) => process.stdout.write(`${line}\n`);
const kinds = new Set<string>();

function report({ error, base, update }: Find): void {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const [message = '', ...frames] = stack.split('\n');
  const name = `${message} ${frames[0] ?? ''}`;
  if (kinds.has(name)) return;
  kinds.add(name);
  print(`\nFIND ${message}\n${frames.slice(0, 4).join('\n')}`);
  for (const each of base) print(`  base   ${Buffer.from(each).toString('base64')}`);
  print(`  update ${Buffer.from(update).toString('base64')}`);
}

const { runs, of } = await fuzz({ seed, seconds }, report);
print(`\nseed ${seed}: ${runs} updates in ${seconds} s; ${JSON.stringify(of)}; ${kinds.size} kinds of finds`);
process.exitCode = kinds.size > 0 ? 1 : 0;
