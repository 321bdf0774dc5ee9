/** `npm run bench -- NAME [options]`: which benchmark to run. */
import { backlog } from './backlog.js';
import { big } from './big.js';
import { client } from './client.js';
import { compare } from './compare.js';
import { fairness } from './fairness.js';
import { fanout } from './fanout.js';
import { firstSync } from './first-sync.js';
import { growth } from './growth.js';
import { hooks } from './hooks.js';
import { idle } from './idle.js';
import { large } from './large.js';
import { legacy } from './legacy.js';
import { lifetime } from './lifetime.js';
import { load, mixed } from './load.js';
import { nodes } from './nodes.js';
import { nodesDeath } from './nodes-death.js';
import { nodesKill } from './nodes-kill.js';
import { nodesLook } from './nodes-look.js';
import { overload } from './overload.js';
import { scan } from './scan.js';
import { shape } from './shape.js';
import { storm, stormFresh, stormJson } from './storm.js';
import { commonOptions } from './support/outcome.js';
import { print } from './support/print.js';
import { withScope } from './support/scope.js';
import type { Benchmark } from './support/types.js';

const BENCHMARKS: readonly Benchmark[] = [
  fanout,
  legacy,
  load,
  mixed,
  storm,
  stormFresh,
  stormJson,
  idle,
  big,
  growth,
  lifetime,
  client,
  shape,
  overload,
  compare,
  firstSync,
  hooks,
  scan,
  fairness,
  large,
  backlog,
  nodes,
  nodesDeath,
  nodesKill,
  nodesLook,
];

class UsageError extends Error {}

const optionLine = ([option, about]: [string, string]): string => `    --${option}`.padEnd(18) + about;

function help(): string {
  const lines = BENCHMARKS.flatMap(({ name, line, options }) => [
    `  ${name}`.padEnd(18) + line,
    ...Object.entries(options)
      .filter(([option, about]) => COMMON[option] !== about)
      .map(optionLine),
  ]);
  const common = Object.entries(commonOptions).map(optionLine);
  return ['npm run bench -- NAME [options]', '', ...lines, '', '  most of them:', ...common].join('\n');
}

const COMMON: Readonly<Record<string, string>> = commonOptions;

/** The options of the command line; throws for one that the benchmark does not have. */
function readOptions({ name, options }: Benchmark, args: readonly string[]): Set<string> {
  const given = args.map((arg) => {
    const option = arg.replace(/^--/, '');
    if (!arg.startsWith('--') || !Object.hasOwn(options, option))
      throw new UsageError(`${name} has no option ${arg}.`);
    return option;
  });
  return new Set(given);
}

async function run(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help') {
    print(help());
    return 0;
  }
  const benchmark = BENCHMARKS.find((each) => each.name === name);
  if (benchmark === undefined) throw new UsageError(`There is no benchmark ${name}.`);
  const options = readOptions(benchmark, rest);
  return withScope(benchmark.longest(options), (scope) => benchmark.run(options, scope));
}

process.exitCode = await run(process.argv.slice(2)).catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`${message}\n${error instanceof UsageError ? `\n${help()}\n` : ''}`);
  return 2;
});
