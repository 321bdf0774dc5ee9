/** The commands of `telemed-sync`: which there are, what they print, and the exit codes: 0, 1 (failed), 2 (wrong call). */
import { misspeltOptions } from '../config.js';
import { isNearly } from '../misspelt.js';
import { VERSION } from '../package-folder.js';
import {
  type Command,
  type Environment,
  LoadError,
  loaded,
  type Outcome,
  parseCall,
  UsageError,
} from './command.js';

/** In the order in which they are listed. Each is loaded when it is called: a health check needs nothing of the server. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import('./start.js')).start,
  health: async () => (await import('./health.js')).health,
  backup: async () => (await import('./backup.js')).backup,
  restore: async () => (await import('./restore.js')).restore,
  check: async () => (await import('./check.js')).check,
  move: async () => (await import('./move.js')).move,
  keys: async () => (await import('./keys.js')).keys,
  repair: async () => (await import('./repair.js')).repair,
  user: async () => (await import('./user.js')).user,
  nodes: async () => (await import('./nodes.js')).nodes,
  audit: async () => (await import('./audit.js')).audit,
  token: async () => (await import('./token.js')).token,
};

async function overview(): Promise<string> {
  const commands = await Promise.all(Object.values(COMMANDS).map((load) => loaded(load())));
  return `telemed-sync keeps a user's records together on all devices.

Usage: telemed-sync [COMMAND] [OPTIONS]

${commands.map(({ name, summary }) => `  ${name.padEnd(8)} ${summary}`).join('\n')}

Without a command it starts the server. 'telemed-sync COMMAND --help' tells more. With --json the result is one
JSON object on standard output; --version tells the version. Exit codes: 0 done, 1 failed, 2 called in a wrong way.
`;
}

/** What it writes, and how it ends. */
export interface Ending {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

const ending = (code: number, out: string, err = ''): Ending => ({ code, out, err });

function helpOf({ name, summary, usage, details }: Command): string {
  const ways = usage.map((way) => `  telemed-sync ${way}`.trimEnd()).join('\n');
  const more = details === undefined ? '' : `\n${details()}\n`;
  return `telemed-sync ${name} ${summary}.\n\nUsage:\n${ways}\n${more}`;
}

async function find(name: string): Promise<Command> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load !== undefined) return loaded(load());
  const near = Object.keys(COMMANDS).find((each) => isNearly(name, each, 3));
  const guess = near === undefined ? '' : ` Is '${near}' meant?`;
  throw new UsageError(`There is no command '${name}'.${guess}`);
}

function endingOf({ code, said, data }: Outcome, asJson: boolean): Ending {
  if (asJson && said !== null) return ending(code, `${JSON.stringify(data)}\n`);
  return ending(code, said === null ? '' : `${said}\n`);
}

const details = (): string => "'telemed-sync start --help' lists the options.";

async function failure(error: unknown, asJson: boolean, command: Command | null): Promise<Ending> {
  const reason = error instanceof Error ? error.message : String(error);
  const code = error instanceof UsageError ? 2 : 1;
  if (asJson) return ending(code, `${JSON.stringify({ error: reason })}\n`);
  if (code === 1) return ending(code, '', `${reason}\n`);
  // A list as long as that of the options would push what is wrong off the screen.
  const shortly = command?.name === 'start' ? { ...command, details } : command;
  const help = shortly === null ? await overview() : helpOf(shortly);
  return ending(code, '', `${reason}\n\n${help}`);
}

/**
 * Null: it goes on by itself.
 *
 * @throws LoadError
 */
export async function run(args: readonly string[], env: Environment): Promise<Ending | null> {
  const [first = 'start'] = args;
  if (first === '--version') return ending(0, `${VERSION}\n`);
  if (first === '--help' || first === '-h' || first === 'help') return ending(0, await overview());
  const isNamed = !first.startsWith('-') && args.length > 0;
  let command: Command | null = null;
  const asJson = args.includes('--json');
  try {
    command = await find(isNamed ? first : 'start');
    const call = parseCall(command, isNamed ? args.slice(1) : args, env);
    if (call.values.help === true) return ending(0, helpOf(command));
    const outcome = await command.run(call);
    return outcome && warned(endingOf(outcome, asJson), env);
  } catch (error) {
    if (error instanceof LoadError) throw error;
    return warned(await failure(error, asJson, command), env);
  }
}

/** The server's log says the same; a command that looks into another folder than was meant finds nothing there. */
function warned({ code, out, err }: Ending, env: Environment): Ending {
  const warnings = misspeltOptions(env).map(
    ({ name, option }) => `There is no option ${name}, it has no effect; did you mean ${option}?\n`,
  );
  return ending(code, out, `${warnings.join('')}${err}`);
}

/** @throws LoadError */
export async function runProcess(): Promise<void> {
  // What this process makes is for nobody else.
  process.umask(0o077);
  const end = await run(process.argv.slice(2), process.env);
  if (end === null) return;
  process.stdout.write(end.out);
  process.stderr.write(end.err);
  process.exitCode = end.code;
}
