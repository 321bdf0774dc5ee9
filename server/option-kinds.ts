/** The kinds of options: how a value is written, what is allowed, and what it becomes. */
import { type CollectionName, isCollectionName } from '../shared/names.js';

export interface Option<Value> {
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

type Describe = Pick<Option<unknown>, 'fallback' | 'inProduction' | 'line'>;

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

export const text = (about: Describe): Option<string> => ({
  ...about,
  type: 'text',
  allowed: 'any text',
  parse: (raw) => raw,
});

export const integer = (from: number, to: number, about: Describe): Option<number> => ({
  ...about,
  type: 'integer',
  allowed: `a whole number from ${from} to ${to}`,
  parse: (raw) => (/^\d{1,15}$/.test(raw) ? within(Number(raw), from, to) : undefined),
});

export const choice = <const Value extends string>(
  values: readonly Value[],
  about: Describe,
  hint = '',
): Option<Value> => ({
  ...about,
  type: values.map((value) => `\`${value}\``).join(' or '),
  allowed: values.join(' or ') + hint,
  parse: (raw) => values.find((value) => value === raw),
});

export const flag = (about: Describe): Option<boolean> => ({
  ...about,
  type: '`true` or `false`',
  allowed: 'true or false',
  parse: (raw) => (raw === 'true' ? true : raw === 'false' ? false : undefined),
});

const unlessZero = (value: number | undefined, unlimited: number): number | undefined =>
  value === 0 ? unlimited : value;

/** A limit in bytes: 0 becomes Infinity, so that `size > limit` needs no special case. */
export const bytes = (about: Describe): Option<number> => ({
  ...about,
  type: 'size',
  allowed: "a size such as '32 MiB', '500 KB' or plain bytes; 0 for no limit",
  parse: (raw) => unlessZero(quantity(raw, BYTES, 'b'), Number.POSITIVE_INFINITY),
});

/** A limit that is a count: 0 becomes Infinity. */
export const count = (about: Describe): Option<number> => ({
  ...about,
  type: 'count',
  allowed: 'a whole number; 0 for no limit',
  parse: (raw) => (/^\d{1,15}$/.test(raw) ? unlessZero(Number(raw), Number.POSITIVE_INFINITY) : undefined),
});

/** A time in milliseconds, never above what a timer can wait. */
export const duration = (from: number, to: number, about: Describe): Option<number> => ({
  ...about,
  type: 'time',
  allowed: `a time such as '500ms', '30s', '5m' or plain seconds, from ${from} ms to ${to / 1000} s`,
  parse: (raw) => within(quantity(raw, MILLISECONDS, 's'), from, to),
});

/** A time that 0 switches off. */
export const timeout = (about: Describe): Option<number> => ({
  ...about,
  type: 'time',
  allowed: "a time such as '500ms', '30s', '5m' or plain seconds, at most 24 days; 0 for no limit",
  parse: (raw) => unlessZero(within(quantity(raw, MILLISECONDS, 's'), 0, 24 * MILLISECONDS.d), NEVER),
});

/** What a list of parts becomes; `undefined` for a part that is not allowed. */
export const parsed = <Value>(
  about: Describe & { readonly type: string; readonly allowed: string },
  parse: (raw: string) => Value | undefined,
): Option<Value> => ({ ...about, parse });

/** Text that has no default; '' where it is not set. What it holds is never shown. */
export const unset = (about: Pick<Describe, 'line'>): Option<string> => ({
  ...text({ ...about, fallback: '' }),
});

/** A secret of at least so many characters; '' where there is none. */
export const secret = (least: number, about: Pick<Describe, 'line'>): Option<string> => ({
  ...unset(about),
  isSecret: true,
  allowed: `at least ${least} characters, such as what \`openssl rand -hex 32\` makes`,
  parse: (raw) => (raw === '' || raw.length >= least ? raw : undefined),
});

const HOST_AND_PORT = /^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\]):(\d{1,5})$/i;

/** Where a server listens; '' where it does not. */
export const hostAndPort = (about: Pick<Describe, 'line'>): Option<string> => ({
  ...about,
  fallback: '',
  type: 'host and port',
  allowed: "a host and a port such as '10.0.0.5:3101' or '[fd00::5]:3101'",
  parse: (raw) => (raw === '' || Number(HOST_AND_PORT.exec(raw)?.[1] ?? 65_536) < 65_536 ? raw : undefined),
});

/** Words with commas between them; none where it is not set. */
export const words = (about: Pick<Describe, 'line'>): Option<readonly string[]> => ({
  ...about,
  fallback: '',
  type: 'list',
  allowed: 'words with commas between them',
  parse: (raw) => splitList(raw),
});

/** Names of collections with commas between them; none where it is not set. */
export const collections = (about: Pick<Describe, 'line'>): Option<ReadonlySet<CollectionName>> => ({
  ...about,
  fallback: '',
  type: 'list of collections',
  allowed: 'names of collections with commas between them',
  parse: (raw) => {
    const listed = splitList(raw);
    return listed.every(isCollectionName) ? new Set(listed) : undefined;
  },
});

const splitList = (raw: string): string[] =>
  raw
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');

/** Origins of web pages; `*` stands for all of them, `none` for no one. */
export const origins = (about: Describe): Option<readonly string[]> => ({
  ...about,
  type: 'list of origins',
  allowed: "'*', 'none', or origins such as https://app.example with commas between them",
  parse: (raw) => {
    if (raw === 'none') return [];
    const listed = splitList(raw);
    return listed.every((origin) => origin === '*' || isOrigin(origin)) ? listed : undefined;
  },
});

/** As browsers send it: apps in a web view have schemes of their own. */
const isOrigin = (text: string): boolean => /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9.:[\]-]+$/.test(text);

const KEY = /^([0-9a-f]{64}|[A-Za-z0-9+/_-]{43}=?)$/i;

/** A master key; '' where there is none. */
export const key = (about: Pick<Describe, 'line'>): Option<string> => ({
  ...about,
  fallback: '',
  type: 'key',
  isSecret: true,
  allowed: '32 bytes as base64 or hex; `telemed-sync keys new` makes one',
  parse: (raw) => (raw === '' || KEY.test(raw) ? raw : undefined),
});

/** The address of a PostgreSQL, with its password; '' where there is none. */
export const postgres = (about: Pick<Describe, 'line'>): Option<string> => ({
  ...about,
  fallback: '',
  type: 'address',
  isSecret: true,
  allowed: "an address that begins with 'postgres://'",
  parse: (raw) => (raw === '' || /^postgres(ql)?:\/\/\S+$/.test(raw) ? raw : undefined),
});
