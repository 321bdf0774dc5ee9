/** What a command of `telemed-sync` is, and how one is called. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

export type Environment = Readonly<Record<string, string | undefined>>;
type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** What was typed behind the name of the command. */
export interface Call {
  readonly words: readonly string[];
  readonly values: Values;
  readonly env: Environment;
}

/** What came of it. 0: it did what was asked; 1: it did not, or what it looked at is not in order. */
export interface Outcome {
  readonly code: 0 | 1;
  /** For people; null where it went to standard output by itself. */
  readonly said: string | null;
  /** For programs (`--json`). */
  readonly data: Readonly<Record<string, unknown>>;
}

export interface Command {
  readonly name: string;
  /** What it does, as half a sentence. */
  readonly summary: string;
  /** The ways to call it, a line each, without the name of the program. */
  readonly usage: readonly string[];
  /** More that `--help` says. */
  readonly details?: () => string;
  readonly options?: NonNullable<ParseArgsConfig['options']>;
  /** Null where it goes on by itself, as the server does. */
  run(call: Call): Promise<Outcome | null>;
}

/** It was called in a way that makes no sense: exit code 2, and the ways that do. */
export class UsageError extends Error {}

const COMMON = { help: { type: 'boolean', short: 'h' }, json: { type: 'boolean' } } as const;

/** Throws `UsageError` for options that the command has not. */
export function parseCall(command: Command, args: readonly string[], env: Environment): Call {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...command.options, ...COMMON },
      allowPositionals: true,
    });
    return { words: positionals, values, env };
  } catch (error) {
    throw new UsageError(error instanceof Error ? problemOf(error.message, command) : String(error));
  }
}

/** Node's sentence goes on with how to pass a word that begins with a dash, which nobody here means. */
function problemOf(sentence: string, { name }: Command): string {
  const [problem] = sentence.split(' To specify a positional argument');
  const isUnknown = problem !== sentence;
  const cure =
    isUnknown && name === 'start' ? ' Options of the server are environment variables: PORT=4000.' : '';
  return `${problem}${cure}`;
}

/** The one word that is asked for, or a `UsageError`. */
export function noMoreThan(count: number, { words }: Call): void {
  const surplus = words[count];
  if (surplus !== undefined) throw new UsageError(`'${surplus}' is one word too many.`);
}

export const textOf = ({ values }: Call, option: string): string | undefined => {
  const value = values[option];
  return typeof value === 'string' ? value : undefined;
};

export const usersSaid = (count: number): string => (count === 1 ? '1 user' : `${count} users`);

/** What begins a sentence about them. */
export const usersAre = (count: number): string => `${usersSaid(count)} ${count === 1 ? 'is' : 'are'}`;

export const done = (said: string | null, data: Outcome['data']): Outcome => ({ code: 0, said, data });

/** A part of the package can't be loaded, or one that it needs: what the command was called for does not matter then. */
export class LoadError extends Error {}

/** Rejects with a `LoadError` of which the cause is what went wrong. */
export const loaded = <Part>(part: Promise<Part>): Promise<Part> =>
  part.catch((cause: unknown) => {
    throw new LoadError('A part of the package could not be loaded.', { cause });
  });
