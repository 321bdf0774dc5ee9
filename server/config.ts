interface Option<Value> {
  readonly type: string;
  /** The default, as one would write it in the environment. */
  readonly fallback: string;
  /** Where production has another default; `null` if the option has to be set there. */
  readonly inProduction?: string | null;
  readonly line: string;
  /** A bad value is not shown. */
  readonly isSecret?: boolean;
  /** What is allowed, as it stands in the sentence about a bad value. */
  readonly allowed: string;
  /** `undefined` for a value that is not allowed. */
  readonly parse: (raw: string) => Value | undefined;
}

type Describe = Pick<Option<unknown>, 'fallback' | 'inProduction' | 'line' | 'isSecret'>;

/** The longest time that a Node timer can wait: setTimeout(fn, Infinity) would fire at once. */
export const NEVER = 2 ** 31 - 1;

const BYTES = { b: 1, kb: 1e3, mb: 1e6, gb: 1e9, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 } as const;
const MILLISECONDS = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86_400e3 } as const;

/** '1.5 MiB' → 1572864; a positive value never becomes 0, which would mean "no limit". */
function quantity(raw: string, units: Readonly<Record<string, number>>, plain: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(raw);
  const unit = match?.[2]?.toLowerCase() || plain;
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  if (match === null || factor === undefined) return undefined;
  const exact = Number(match[1]) * factor;
  const value = exact > 0 ? Math.max(1, Math.round(exact)) : 0;
  return Number.isSafeInteger(value) ? value : undefined;
}

const within = (value: number | undefined, from: number, to: number): number | undefined =>
  value !== undefined && value >= from && value <= to ? value : undefined;

const text = (about: Describe): Option<string> => ({
  ...about,
  type: 'text',
  allowed: 'any text',
  parse: (raw) => raw,
});

const KEY = /^([0-9a-f]{64}|[A-Za-z0-9+/_-]{43}=?)$/i;
const key = (about: Describe): Option<string> => ({
  ...about,
  type: 'key',
  isSecret: true,
  allowed: '32 bytes as base64 or hex; `npm run keys -- new` makes one',
  parse: (raw) => (raw === '' || KEY.test(raw) ? raw : undefined),
});

const integer = (from: number, to: number, about: Describe): Option<number> => ({
  ...about,
  type: 'integer',
  allowed: `a whole number from ${from} to ${to}`,
  parse: (raw) => (/^\d{1,15}$/.test(raw) ? within(Number(raw), from, to) : undefined),
});

const choice = <const Value extends string>(
  values: readonly Value[],
  about: Describe,
  hint = '',
): Option<Value> => ({
  ...about,
  type: values.map((value) => `\`${value}\``).join(' or '),
  allowed: values.join(' or ') + hint,
  parse: (raw) => values.find((value) => value === raw),
});

const flag = (about: Describe): Option<boolean> => ({
  ...about,
  type: '`true` or `false`',
  allowed: 'true or false',
  parse: (raw) => (raw === 'true' ? true : raw === 'false' ? false : undefined),
});

const unlessZero = (value: number | undefined, unlimited: number): number | undefined =>
  value === 0 ? unlimited : value;

/** A limit in bytes: 0 becomes Infinity, so that `size > limit` needs no special case. */
const bytes = (about: Describe): Option<number> => ({
  ...about,
  type: 'size',
  allowed: "a size such as '32 MiB', '500 KB' or plain bytes; 0 for no limit",
  parse: (raw) => unlessZero(quantity(raw, BYTES, 'b'), Number.POSITIVE_INFINITY),
});

/** A limit that is a count: 0 becomes Infinity. */
const count = (about: Describe): Option<number> => ({
  ...about,
  type: 'count',
  allowed: 'a whole number; 0 for no limit',
  parse: (raw) => (/^\d{1,15}$/.test(raw) ? unlessZero(Number(raw), Number.POSITIVE_INFINITY) : undefined),
});

/** A time in milliseconds, never above what a timer can wait. */
const duration = (from: number, to: number, about: Describe): Option<number> => ({
  ...about,
  type: 'time',
  allowed: `a time such as '500ms', '30s', '5m' or plain seconds, from ${from} ms to ${to / 1000} s`,
  parse: (raw) => within(quantity(raw, MILLISECONDS, 's'), from, to),
});

/** A time that 0 switches off. */
const timeout = (about: Describe): Option<number> => ({
  ...about,
  type: 'time',
  allowed: "a time such as '500ms', '30s', '5m' or plain seconds, at most 24 days; 0 for no limit",
  parse: (raw) => unlessZero(within(quantity(raw, MILLISECONDS, 's'), 0, 24 * MILLISECONDS.d), NEVER),
});

/** The one table of options. An option that is not here does not exist. */
export const OPTIONS = {
  NODE_ENV: choice(['development', 'production', 'test'], {
    fallback: 'development',
    line: 'What the server runs for; `production` has the stricter defaults.',
  }),
  HOST: text({ fallback: '0.0.0.0', line: 'Address to listen on; `127.0.0.1` keeps other machines out.' }),
  PORT: integer(0, 65_535, { fallback: '3001', line: 'Port to listen on; 0 takes any free one.' }),
  DATA_DIR: text({ fallback: './data', line: 'Folder of the database; made if it does not exist.' }),
  ENCRYPTION_KEY: key({
    fallback: '',
    line: 'Encrypts what is stored (AES-256-GCM). A database without encryption is encrypted at the next start. Who loses the key loses everything.',
  }),
  ENCRYPTION_KEY_FILE: text({
    fallback: '',
    line: 'The same from a file, one key per line, the current one first; read again when it changes.',
  }),
  AUTH: choice(
    ['none'],
    {
      fallback: 'none',
      inProduction: null,
      line: 'Who gets in: `none` lets everybody who reaches the port read and write every record.',
    },
    ' (jwt, access by token, is not there yet)',
  ),
  DEMO: flag({
    fallback: 'true',
    inProduction: 'false',
    line: 'Serves the demo at `/`: devices to try the sync with, in a browser.',
  }),
  LOG_FORMAT: choice(['human', 'json'], {
    fallback: 'human',
    inProduction: 'json',
    line: 'Sentences for people, or one JSON object a line.',
  }),
  LOG_LEVEL: choice(['debug', 'info', 'warn', 'error'], {
    fallback: 'debug',
    line: 'The least weighty events that are logged; `info` leaves out the lines of single messages.',
  }),
  MAX_NATIVE_MESSAGE: bytes({ fallback: '32 MiB', line: 'Largest message of a native device.' }),
  MAX_JSON_MESSAGE: bytes({ fallback: '1 MiB', line: 'Largest message of a JSON device.' }),
  MAX_HTTP_BODY: bytes({ fallback: '32 MiB', line: 'Largest body of an HTTP request.' }),
  MAX_DEPTH: count({ fallback: '64', line: 'Deepest nesting of objects and arrays in a record.' }),
  MAX_PENDING: bytes({
    fallback: '256 KiB',
    line: 'What a connection may send that builds on changes still missing.',
  }),
  PENDING_TIMEOUT: timeout({ fallback: '30s', line: 'How long such changes may wait for the missing ones.' }),
  PING_INTERVAL: timeout({
    fallback: '30s',
    line: 'Time between pings; a connection that misses one is closed.',
  }),
  IDLE_TIMEOUT: timeout({ fallback: '30s', line: 'How long a document that nobody uses stays in memory.' }),
  HISTORY_DAYS: integer(0, 36_500, {
    fallback: '90',
    line: 'Days for which history is kept; 0 keeps only what merges need. What lost against a concurrent creation is kept as long, at least one day.',
  }),
  COMPACT_UPDATES: count({ fallback: '500', line: 'Stored updates of a user that make a compaction due.' }),
  COMPACT_BYTES: bytes({ fallback: '4 MiB', line: 'Stored bytes of updates that make a compaction due.' }),
  SHUTDOWN_TIMEOUT: duration(100, 9000, {
    fallback: '8s',
    line: 'Time to make everything durable after SIGTERM, 0.1 to 9 s; the process ends within 10 s.',
  }),
} as const satisfies Readonly<Record<string, Option<unknown>>>;

type Options = typeof OPTIONS;
type OptionName = keyof Options;
type Camel<Name extends string> = Name extends `${infer Head}_${infer Tail}`
  ? `${Lowercase<Head>}${Capitalize<Camel<Tail>>}`
  : Lowercase<Name>;
type ValueOf<Name extends OptionName> = Exclude<ReturnType<Options[Name]['parse']>, undefined>;

/** Every option under its camelCase name: sizes in bytes, times in milliseconds, no limit = Infinity or `NEVER`. */
export type Config = { readonly [Name in OptionName as Camel<Name>]: ValueOf<Name> };

type Environment = Readonly<Record<string, string | undefined>>;

/** All that is wrong with the environment, one sentence per option. */
export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/**
 * Reads the options; an empty value counts as not set.
 *
 * @throws ConfigError with a sentence for each bad value
 * @example readConfig({ MAX_JSON_MESSAGE: '2 MiB' }).maxJsonMessage // 2097152
 */
export function readConfig(env: Environment): Config {
  const production = env.NODE_ENV?.trim() === 'production';
  const problems: string[] = [];
  const entries = Object.entries<Option<unknown>>(OPTIONS).map(([name, option]) => {
    const value = readOption(name, option, env[name]?.trim() || fallbackOf(option, production));
    if (value instanceof Problem) problems.push(value.sentence);
    return [camel(name), value];
  });
  if (problems.length > 0) throw new ConfigError(problems);
  // The keys and values come from the table that `Config` is derived from.
  return Object.freeze(Object.fromEntries(entries)) as Config;
}

class Problem {
  constructor(readonly sentence: string) {}
}

function readOption(name: string, option: Option<unknown>, raw: string | null): unknown {
  if (raw === null) return new Problem(`${name} must be set in production. Allowed: ${option.allowed}.`);
  const shown = option.isSecret ? 'not one' : JSON.stringify(raw);
  return option.parse(raw) ?? new Problem(`${name} is ${shown}. Allowed: ${option.allowed}.`);
}

function fallbackOf(option: Option<unknown>, production: boolean): string | null {
  return production && option.inProduction !== undefined ? option.inProduction : option.fallback;
}

const camel = (name: string): string =>
  name.toLowerCase().replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());

/** The options as a Markdown table, for the README. */
export function optionTable(): string {
  const rows = Object.entries<Option<unknown>>(OPTIONS).map(
    ([name, option]) => `| \`${name}\` | ${option.type} | ${shownDefault(option)} | ${option.line} |`,
  );
  return [UNITS, '', '| Option | Type | Default | What it does |', '|---|---|---|---|', ...rows].join('\n');
}

const UNITS =
  'Sizes are plain bytes or have a unit (`500 KB`, `32 MiB`), times plain seconds or a unit (`500ms`, `30s`, `5m`). ' +
  '`0` switches a limit off.';

function shownDefault({ fallback, inProduction }: Option<unknown>): string {
  if (inProduction === undefined) return fallback === '' ? 'none' : `\`${fallback}\``;
  return `\`${fallback}\`; in production ${inProduction === null ? 'it must be set' : `\`${inProduction}\``}`;
}
