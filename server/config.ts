import { isNearly } from './misspelt.js';
import { parseTrust, type Trust } from './net/client-address.js';
import {
  bytes,
  choice,
  collections,
  count,
  duration,
  flag,
  hostAndPort,
  integer,
  key,
  type Option,
  origins,
  parsed,
  postgres,
  secret,
  text,
  timeout,
  unset,
  words,
} from './option-kinds.js';

export { NEVER } from './option-kinds.js';

/** The one table of options. An option that is not here does not exist. */
export const OPTIONS = {
  NODE_ENV: choice(['development', 'production', 'test'], {
    fallback: 'development',
    line: 'What the server runs for; `production` has the stricter defaults.',
  }),
  HOST: text({
    fallback: '127.0.0.1',
    inProduction: '0.0.0.0',
    line: 'Address to listen on; `127.0.0.1` keeps other machines out, `0.0.0.0` lets them in, and is what holds wherever `AUTH` is set.',
  }),
  PORT: integer(0, 65_535, { fallback: '3001', line: 'Port to listen on; 0 takes any free one.' }),
  DATA_DIR: text({ fallback: './data', line: 'Folder of the database; made if it does not exist.' }),
  STORE: postgres({
    line: 'Address of a PostgreSQL, 15 or newer, that keeps the documents in place of a LevelDB in `DATA_DIR`: `postgres://user:password@host/database`; needs the package `pg`.',
  }),
  ENCRYPTION_KEY: key({
    line: 'Encrypts what is stored (AES-256-GCM). A database without encryption is encrypted at the next start. Who loses the key loses everything.',
  }),
  ENCRYPTION_KEY_FILE: unset({
    line: 'The same from a file, one key per line, the current one first; read again when it changes.',
  }),
  AUTH: choice(['jwt', 'none'], {
    fallback: 'none',
    inProduction: null,
    line: 'Who gets in: `jwt` asks for a token, `none` lets everybody who reaches the port read and write every record.',
  }),
  JWT_SECRET: unset({ line: 'Secret of at least 32 bytes that tokens are signed with (HS256).' }),
  JWT_PUBLIC_KEY: unset({
    line: 'Public key that tokens are checked with, as PEM or as the path of a PEM file.',
  }),
  JWT_JWKS_URL: unset({ line: 'Address of the public keys of an identity provider; needs `JWT_AUDIENCE`.' }),
  JWT_ALGORITHMS: words({
    line: 'Algorithms that a token may be signed with; by default HS256 for a secret, that of the public key, or RS256, ES256 and EdDSA for a JWKS.',
  }),
  JWT_ISSUER: unset({ line: 'What `iss` of a token has to be.' }),
  JWT_AUDIENCE: unset({
    line: 'What `aud` of a token has to name; where it is not set, a token may not have an `aud`.',
  }),
  JWT_USER_CLAIM: text({ fallback: 'sub', line: 'Claim of a token that names the user.' }),
  ACCESS_URL: unset({
    line: 'Service that is asked, with the token, whether its bearer may see the user `?user=ID` where the token itself does not say so; answers `{"mode":"read"}`, `write` or `none`.',
  }),
  ACCESS_CACHE: duration(0, 3_600_000, {
    fallback: '60s',
    line: 'How long its answers hold, a no for at most 5 s; after that, open connections are asked for again.',
  }),
  CORS_ORIGINS: origins({
    fallback: '*',
    inProduction: 'none',
    line: 'Origins whose web pages may use the server: `*`, `none`, or a list. What the server serves itself always may.',
  }),
  ADMIN_TOKEN: unset({
    line: 'Token of at least 16 characters for `/admin` and `/metrics`; where it is not set, only requests from this machine get in, and in production nobody: there they do not exist.',
  }),
  ACCESS_DIR: unset({
    line: 'Folder of the revoked tokens and the audit trail with `AUTH=jwt`, outside of `DATA_DIR`, so that a restored backup does not set them back; where it is not set, beside `DATA_DIR` with `-access` behind its name, or in a `DATA_DIR` that has them already, is a volume of its own, or is in a folder that the server may not write to.',
  }),
  AUDIT_FILE: unset({
    line: 'File of the audit trail with `AUTH=jwt`; `audit.jsonl` in `ACCESS_DIR` where it is not set.',
  }),
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
    inProduction: 'info',
    line: 'The least weighty events that are logged; `info` leaves out the lines of single messages and edits.',
  }),
  MAX_NATIVE_MESSAGE: bytes({ fallback: '32 MiB', line: 'Largest message of a native device.' }),
  MAX_JSON_MESSAGE: bytes({ fallback: '1 MiB', line: 'Largest message of a JSON device.' }),
  MAX_HTTP_BODY: bytes({ fallback: '32 MiB', line: 'Largest body of an HTTP request.' }),
  MAX_DOCUMENT: bytes({
    fallback: '32 MiB',
    line: 'Largest document of a user, as far as it is alive: what was deleted does not count. What would exceed it is refused, deletions never are.',
  }),
  MAX_DOCUMENT_STRUCTS: count({
    fallback: '1000000',
    line: 'The same in structs of Yjs: about one for each field.',
  }),
  MAX_DEVICES: count({
    fallback: '100',
    line: 'JSON devices that are remembered of a user; the one that was away longest, of who has the most, is forgotten first.',
  }),
  MAX_DEPTH: count({ fallback: '64', line: 'Deepest nesting of objects and arrays in a record.' }),
  MAX_STRUCTS: count({ fallback: '500000', line: 'Most structs (single changes of Yjs) in one update.' }),
  MAX_DELETE_RANGES: count({
    fallback: '100000',
    line: 'Most ranges that one update deletes, not counting what is deleted already.',
  }),
  MAX_PENDING: bytes({
    fallback: '256 KiB',
    line: 'What a connection may send that builds on changes still missing.',
  }),
  PENDING_TIMEOUT: timeout({ fallback: '30s', line: 'How long such changes may wait for the missing ones.' }),
  PING_INTERVAL: timeout({
    fallback: '30s',
    line: 'Time between pings; a connection that misses one is closed.',
  }),
  JSON_PACE: duration(0, 1_000, {
    fallback: '25ms',
    line: 'Time from the receipt of a message by a JSON device to the next one of the same collection; 0 for none.',
  }),
  MESSAGE_RATE: count({
    fallback: '100',
    line: 'Messages a second of a connection, once `MESSAGE_BURST` is used up; requests a second of a user at an address.',
  }),
  MESSAGE_BURST: count({ fallback: '1000', line: 'Messages that may come at once.' }),
  BYTE_RATE: bytes({
    fallback: '4 MiB',
    line: 'Bytes a second of a connection, once `BYTE_BURST` is used up; whole documents that it asks for count, too.',
  }),
  BYTE_BURST: bytes({ fallback: '64 MiB', line: 'Bytes that may come at once.' }),
  USER_RATE: count({
    fallback: '2',
    line: 'How many times the rates and bursts of a connection all connections of a user have together; beyond it they are read more slowly.',
  }),
  MAX_UNSAVED: bytes({
    fallback: '64 MiB',
    line: 'What was sent and is not durable yet, of all users; beyond it nothing more is read.',
  }),
  MAX_UNSAVED_PER_USER: bytes({
    fallback: '8 MiB',
    line: 'The same of one user, who counts for no more in `MAX_UNSAVED`.',
  }),
  MAX_SOCKETS_PER_USER: count({
    fallback: '60',
    line: 'Connections to one document at a time; an app may open three a device, a browser one a tab.',
  }),
  MAX_SOCKETS_PER_ADDRESS: count({
    fallback: '1000',
    line: 'Connections and requests of one address at a time; of IPv6, one /64 network.',
  }),
  UPGRADE_TIMEOUT: timeout({
    fallback: '5s',
    line: 'Time from an upgrade to the first message of the server.',
  }),
  MAX_HEADERS: bytes({
    fallback: '128 KiB',
    line: 'Largest headers of a request, address and token included. Proxies mostly take 8 KiB a line.',
  }),
  HEADERS_TIMEOUT: timeout({ fallback: '5s', line: 'Time for a client to send the headers of a request.' }),
  KEEP_ALIVE_TIMEOUT: timeout({
    fallback: '75s',
    line: 'How long an idle HTTP connection stays open; has to be longer than that of a proxy before the server.',
  }),
  BUFFER_PAUSE: bytes({
    fallback: '1 MiB',
    line: 'What may wait for a slow reader before nothing more is read from it.',
  }),
  BUFFER_CLOSE: bytes({
    fallback: '16 MiB',
    line: 'What may wait for a slow reader before its connection is closed; the first sync does not count.',
  }),
  TRUST_PROXY: parsed<Trust>(
    {
      type: 'number or list',
      fallback: '0',
      allowed: "a number of proxies, or addresses and networks such as '127.0.0.1, 10.0.0.0/8'; 0 for none",
      line: 'Proxies whose `X-Forwarded-For` is believed: how many stand before the server, or their addresses.',
    },
    parseTrust,
  ),
  TLS_CERT: unset({
    line: 'File with the certificate chain (PEM), for https and wss without a proxy; read again when it changes.',
  }),
  TLS_KEY: unset({ line: 'File with the private key (PEM) of `TLS_CERT`.' }),
  CLUSTER_ADDRESS: hostAndPort({
    line: 'Where the other nodes of a cluster reach this one, for a store that they share; the server listens there, too, for them alone.',
  }),
  CLUSTER_SECRET: secret(32, {
    line: 'Secret of at least 32 characters by which nodes know each other; the same on all of them.',
  }),
  SHARED_COLLECTIONS: collections({
    line: 'Collections that belong to nobody and that everybody reads, such as `doctors`; a token writes to them with the claim `shared: "write"`.',
  }),
  IDLE_TIMEOUT: timeout({
    fallback: '30s',
    line: 'How long a document that nobody uses stays in memory. What is asked meanwhile, and can be told without it, puts that off only where it is just being answered at the end; so it is with a device that comes and goes, and changes nothing.',
  }),
  REST_AFTER: timeout({
    fallback: '30s',
    line: "How long after its last change, or after something was asked that can't be told without it, a document leaves the memory; who is connected stays, and it is loaded again when it is needed. 0 keeps it.",
  }),
  MEMORY_BUDGET: bytes({
    fallback: '256 MiB',
    line: 'Memory for what nobody needs right now, so that it need not be read again; what was used least recently goes first. Half of it is for documents that may be let go of, half for what is noted of those that are not in memory, about 350 bytes a user.',
  }),
  HISTORY_DAYS: integer(0, 36_500, {
    fallback: '90',
    line: 'Days for which history is kept; 0 keeps only what merges need. What lost against a concurrent creation is kept as long, at least one day. A device of plain y-websocket keeps its document from being rewritten (P10) as long, at least two days.',
  }),
  COMPACT_UPDATES: count({
    fallback: '500',
    line: 'Stored updates of a user that make a compaction due; more in a large document.',
  }),
  COMPACT_BYTES: bytes({
    fallback: '4 MiB',
    line: 'Stored bytes since the last compaction that make one due; more in a large document.',
  }),
  DISK_SLOW: timeout({
    fallback: '5s',
    line: 'Time that the disk may take to save or load something before `/ready` fails. PostgreSQL has 5 s: with `STORE`, this is for the disk of `ACCESS_DIR` alone.',
  }),
  DISK_TIMEOUT: timeout({
    fallback: '30s',
    line: 'Time after which who waits for the disk is told that it failed: `NOT_SAVED`, `STORE_UNAVAILABLE`. PostgreSQL has 10 s: with `STORE`, this is for the disk of `ACCESS_DIR` alone.',
  }),
  CONFIRM_CLOCK: parsed<string>(
    {
      type: 'date',
      fallback: '',
      allowed: "a date such as '2026-11-29'",
      line: 'The date of today, for one start, where the log doubts the clock and it is right.',
    },
    (raw) =>
      raw === '' || (/^\d{4}-\d\d-\d\d$/.test(raw) && !Number.isNaN(Date.parse(raw))) ? raw : undefined,
  ),
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
  // Who has chosen who gets in may be reached by others; nobody is by leaving everything as it is.
  const hasChosen = Boolean(env.AUTH?.trim());
  const problems: string[] = [];
  const entries = Object.entries<Option<unknown>>(OPTIONS).map(([name, option]) => {
    const value = readOption(
      name,
      option,
      env[name]?.trim() || fallbackOf(option, production || (name === 'HOST' && hasChosen)),
    );
    if (value instanceof Problem) problems.push(value.sentence);
    return [camel(name), value];
  });
  // The keys and values come from the table that `Config` is derived from.
  const config = Object.freeze(Object.fromEntries(entries)) as Config;
  if (problems.length === 0) problems.push(...contradictionsIn(config));
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** Names that are none of an option, but nearly: most likely misspelt, and so without effect. */
export function misspeltOptions(env: Environment): { name: string; option: string }[] {
  return Object.keys(env).flatMap((name) => {
    const option = name in OPTIONS ? undefined : Object.keys(OPTIONS).find((each) => isNearly(name, each));
    return option === undefined ? [] : [{ name, option }];
  });
}

/** What is wrong with options that are right one by one. */
function contradictionsIn(config: Config): string[] {
  const { maxNativeMessage, maxDocument, tlsCert, tlsKey, clusterAddress, clusterSecret } = config;
  const isCluster = clusterAddress !== '';
  const problems: readonly [boolean, string][] = [
    [
      maxNativeMessage < maxDocument,
      'MAX_NATIVE_MESSAGE must not be smaller than MAX_DOCUMENT: y-websocket sends a document in one message.',
    ],
    [(tlsCert === '') !== (tlsKey === ''), 'TLS_CERT and TLS_KEY need each other: set both, or none.'],
    [
      isCluster !== (clusterSecret !== ''),
      'CLUSTER_ADDRESS and CLUSTER_SECRET need each other: set both, or none.',
    ],
    [
      config.store !== '' && /:0+$/.test(clusterAddress),
      'CLUSTER_ADDRESS names the port by which other nodes reach this one: it can not be 0.',
    ],
    [
      isCluster && config.sharedCollections.size > 0,
      'SHARED_COLLECTIONS can not be had with CLUSTER_ADDRESS: a JSON device is served by the node of its user, and the shared collections are at one node.',
    ],
  ];
  return problems.filter(([isOne]) => isOne).map(([, sentence]) => sentence);
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

/** The options as a Markdown table, for docs/reference/OPTIONS.md. */
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
  if (fallback === '') return 'not set';
  if (inProduction === undefined) return `\`${fallback}\``;
  return `\`${fallback}\`; in production ${inProduction === null ? 'it must be set' : `\`${inProduction}\``}`;
}
