import { type Logger, pino } from 'pino';
import type { ErrorCode } from './errors.js';
import { brief, clean, describe, failureOf } from './log-cleaning.js';

export { withoutToken } from './log-cleaning.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
type Via = 'yjs' | 'json' | 'http';

interface Who {
  readonly user: string;
  readonly device: string;
}
interface Entry<Fields> {
  readonly level: LogLevel;
  readonly say: (fields: Fields) => string;
}
const event = <Fields>(level: LogLevel, say: (fields: Fields) => string): Entry<Fields> => ({ level, say });

/**
 * The one table of events: what happened, its fields and its sentence for people. A field holds names, counts
 * and codes, never what is in a record. Fields named `url`, `reason` and `error` are cleaned of tokens.
 */
const EVENTS = {
  listening: event<{ url: string; dataDir: string }>(
    'info',
    (e) => `🚀 Listening on ${e.url}, data in ${e.dataDir}`,
  ),
  onlyHere: event<Record<string, never>>(
    'info',
    () => '🏠 Only this machine gets in: HOST=0.0.0.0 lets others in, such as a phone in the same network',
  ),
  demo: event<{ url: string }>('info', (e) => `🩺 Demo: ${e.url}`),
  authNone: event<Record<string, never>>(
    'warn',
    () => '⚠️ AUTH=none: everybody who reaches this port can read and write every record',
  ),
  optionUnknown: event<{ name: string; option: string }>(
    'warn',
    (e) => `⚠️ There is no option ${e.name}, it has no effect; did you mean ${e.option}?`,
  ),
  startRefused: event<{ reason: string }>('error', (e) => `❌ Cannot start: ${e.reason}`),
  connected: event<Who & { via: Via }>(
    'info',
    (e) => `🔌 New WebSocket connection: User ${e.user}, Device ${e.device}`,
  ),
  disconnected: event<Who & { code: number; reason: string }>(
    'info',
    (e) => `👋 Connection closed: User ${e.user}, Device ${e.device}, ${e.code}${e.reason && ` ${e.reason}`}`,
  ),
  upgradeRefused: event<{ url: string; address: string; status: number; code: ErrorCode }>(
    'warn',
    (e) => `⛔ Refused connection from ${e.address} to ${e.url}: ${e.status} ${e.code}`,
  ),
  accessRefused: event<{ url: string; address: string; code: ErrorCode; reason: string }>(
    'warn',
    (e) => `⛔ Refused access from ${e.address} to ${e.url}: ${e.code}${e.reason && ` (${e.reason})`}`,
  ),
  revoked: event<{ what: string }>('warn', (e) => `🔒 Revoked ${e.what}`),
  operatorSignedIn: event<{ address: string }>(
    'warn',
    (e) => `🔑 The operator signed in on the admin page from ${e.address}`,
  ),
  auditOpened: event<{ file: string; lines: number; hash: string }>(
    'info',
    (e) => `📋 Audit trail ${e.file}: ${e.lines} lines, the last has the hash ${e.hash}`,
  ),
  initialData: event<Who & { collections: Readonly<Record<string, number>> }>(
    'info',
    (e) => `📤 Sent initial data to ${e.device}: [${counts(e.collections)}]`,
  ),
  received: event<Who & { type: string }>('debug', (e) => `📨 Received ${e.type} from ${e.device}`),
  updated: event<{ user: string; collection: string; record: string }>(
    'debug',
    (e) => `💾 Updated ${e.collection} for user ${e.user}: ${e.record}`,
  ),
  deleted: event<{ user: string; collection: string; record: string }>(
    'debug',
    (e) => `🗑️ Deleted from ${e.collection} for user ${e.user}: ${e.record}`,
  ),
  updatedMany: event<Who & { collections: Readonly<Record<string, number>> }>(
    'debug',
    (e) => `💾 Updated for user ${e.user} from ${e.device}: [${counts(e.collections)}]`,
  ),
  broadcast: event<{ user: string; devices: readonly string[] }>(
    'debug',
    (e) => `📤 Broadcasted update to ${e.devices.join(', ')}`,
  ),
  messageRefused: event<Who & { via: Via; code: ErrorCode; reason: string }>(
    'warn',
    (e) =>
      `⛔ Refused a message from ${e.device} of user ${e.user}: ${e.code}${e.reason && ` (${e.reason})`}`,
  ),
  proxyNotTrusted: event<{ address: string }>(
    'warn',
    (e) =>
      `⚠️ ${e.address} sends X-Forwarded-For and is not trusted, so all behind it count as one address: set TRUST_PROXY`,
  ),
  clusterListening: event<{ address: string }>(
    'info',
    (e) => `🔗 Other nodes lead the users of this one to ${e.address}`,
  ),
  nodeNotReached: event<{ node: string; why: string }>(
    'warn',
    (e) =>
      `🔗 The node at ${e.node} was not to be had (${e.why}): its users are put off until it is, or another node takes them`,
  ),
  hopRefused: event<{ address: string }>(
    'warn',
    (e) =>
      `⛔ Refused ${e.address} at CLUSTER_ADDRESS: only nodes with the same CLUSTER_SECRET get in there, whose clocks are less than a minute off`,
  ),
  tlsReloaded: event<{ path: string }>('info', (e) => `🔐 New certificate read from ${e.path}`),
  tlsFailed: event<{ path: string; error: unknown }>(
    'error',
    (e) => `❌ The certificate in ${e.path} can't be used, the old one stays: ${brief(e.error)}`,
  ),
  stats: event<{ connections: number; users: number; entries: number }>(
    'info',
    (e) => `📊 Stats: ${e.connections} connections, ${e.users} users, ${e.entries} data entries`,
  ),
  storeFailed: event<{ error: unknown }>(
    'error',
    (e) => `❌ The store failed and is reopened: ${brief(e.error)}`,
  ),
  storeSlow: event<{ afterMs: number }>(
    'error',
    (e) =>
      `⏳ The disk, or the PostgreSQL of STORE, has not answered for ${e.afterMs} ms, /ready fails until it does: look for a failing device, a full queue, a network disk or a database that is out of reach`,
  ),
  clockDoubted: event<{ clock: string; expected: string }>(
    'error',
    (e) =>
      `⏰ The clock says ${e.clock}; by the newest time that the store has seen it should be about ${e.expected}. Until the server has run for a day with it, nothing is pruned. If the clock is wrong, set it; if it is right, start once with CONFIRM_CLOCK=${e.clock.slice(0, 10)}`,
  ),
  clockDiffers: event<{ aheadMs: number }>(
    'warn',
    ({ aheadMs }) =>
      `⏰ The clock of this machine is ${(Math.abs(aheadMs) / 1_000).toFixed(1)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of the PostgreSQL of STORE: set both by NTP. The later of two writes is found out by them; from 30 s on /ready warns of it`,
  ),
  accessInData: event<{ file: string }>(
    'warn',
    (e) =>
      `⚠️ The revoked tokens and the audit trail (${e.file}) are in DATA_DIR, so a restored backup sets them back: stop the server, move both files to a folder outside, and name it with ACCESS_DIR`,
  ),
  accessOlder: event<{ file: string; lines: number; expected: number; cure: string }>(
    'error',
    (e) =>
      `🚨 ${e.file} is older than the database: it has ${e.lines} lines, and had ${e.expected}. ${e.cure}`,
  ),
  modesTightened: event<{ done: number }>(
    'warn',
    (e) => `🔒 ${e.done} files and folders of the server could be read by others: they are 0600 and 0700 now`,
  ),
  modesLoose: event<{ path: string }>(
    'error',
    (e) =>
      `🚨 Others may read ${e.path}, and its mode can't be changed: give it to the user that runs the server, or chmod it to 0600 (a folder to 0700)`,
  ),
  storePlain: event<Record<string, never>>(
    'warn',
    () =>
      '🔓 The connection to the PostgreSQL of STORE, on another machine, is not encrypted: add ?sslmode=verify-full to STORE, or sslmode=disable where that network is yours alone',
  ),
  storeFilesStay: event<{ error: unknown }>(
    'error',
    (e) =>
      `❌ Connections to the PostgreSQL of STORE go on with the certificates and the key that were read before, until this is mended; a start would fail: ${brief(e.error)}`,
  ),
  storeRetry: event<{ error: unknown; delayMs: number }>(
    'error',
    (e) => `❌ The store could not be opened, next try in ${e.delayMs} ms: ${brief(e.error)}`,
  ),
  overloaded: event<{ forMs: number }>(
    'error',
    (e) =>
      `🌊 More comes in than this machine gets done, for ${e.forMs} ms by now: new connections are put off (1013, HTTP 503) until that is over; who is connected stays`,
  ),
  overloadOver: event<{ afterMs: number }>(
    'info',
    (e) => `✅ The server keeps up again after ${e.afterMs} ms; new connections come in`,
  ),
  storeRecovered: event<{ afterMs: number }>('info', (e) => `✅ The store works again after ${e.afterMs} ms`),
  documentRebuilt: event<{ user: string; error: unknown }>(
    'error',
    (e) => `♻️ Document of user ${e.user} rebuilt from the store: ${brief(e.error)}`,
  ),
  documentQuarantined: event<{ user: string; reason: string }>(
    'error',
    (e) => `🚨 Stored document of user ${e.user} is damaged and was set aside: ${e.reason}`,
  ),
  historyDamaged: event<{ user: string; revision: number }>(
    'error',
    (e) => `🚨 History of user ${e.user} before revision ${e.revision} is damaged; the records are not`,
  ),
  pruningFailed: event<{ user: string; error: unknown }>(
    'error',
    (e) =>
      `🚨 What is too old of the history of user ${e.user} can't be removed and stays, which keeps nobody from working; that is tried again within a day. If it goes on, stop the server and run "telemed-sync check": ${brief(e.error)}`,
  ),
  viewDamaged: event<{ user: string }>(
    'error',
    (e) =>
      `🚨 What was noted of the records of user ${e.user} is damaged and is made anew; the records are not`,
  ),
  compacted: event<{ user: string; updates: number; bytesBefore: number; bytesAfter: number }>(
    'info',
    (e) => `🧹 Compacted user ${e.user}: ${e.updates} updates, ${e.bytesBefore} → ${e.bytesAfter} bytes`,
  ),
  rewritten: event<{
    user: string;
    clients: number;
    structsBefore: number;
    structsAfter: number;
    bytesBefore: number;
    bytesAfter: number;
  }>(
    'info',
    (e) =>
      `♻️ Rewrote the document of user ${e.user}: ${e.clients} client ids, ${e.structsBefore} → ${e.structsAfter} structs, ${e.bytesBefore} → ${e.bytesAfter} bytes`,
  ),
  migrating: event<{ done: number; total: number }>(
    'info',
    (e) => `📦 Rewriting the database: ${e.done} of ${e.total} documents`,
  ),
  leftoverStays: event<{ path: string; error: unknown }>(
    'error',
    (e) =>
      `🚨 ${e.path} may hold records of who was erased, and can't be removed (${brief(e.error)}): give it to the user that runs the server, or remove it`,
  ),
  keysInUse: event<{ keys: readonly string[] }>(
    'info',
    (e) => `🔑 Encrypted with the key ${e.keys.join(', ')}; no other one is needed`,
  ),
  keysRefused: event<{ reason: string }>(
    'error',
    (e) => `🔑 The changed keys can't be used, those from before are: ${e.reason}`,
  ),
  erased: event<{ user: string }>('warn', (e) => `🗑️ Erased all data of user ${e.user}`),
  exported: event<{ user: string }>('warn', (e) => `📦 Exported all data of user ${e.user}`),
  backedUp: event<{ folder: string; users: number; bytes: number; afterMs: number }>(
    'info',
    (e) => `💾 Backup of ${e.users} users in ${e.folder}, ${e.bytes} bytes, after ${e.afterMs} ms`,
  ),
  backupWarned: event<{ reason: string }>('warn', (e) => `⚠️ ${e.reason}`),
  backupFailed: event<{ error: unknown }>('error', (e) => `❌ No backup was made: ${describe(e.error)}`),
  shutdownBegun: event<{ signal: string }>('info', (e) => `🛑 ${e.signal}: making everything durable`),
  shutdownFinished: event<{ durable: boolean; afterMs: number }>('info', (e) =>
    e.durable
      ? `🏁 Stopped after ${e.afterMs} ms`
      : `🏁 Stopped after ${e.afterMs} ms, not everything was saved`,
  ),
  unexpected: event<{ where: string; error: unknown }>(
    'error',
    (e) => `💥 Unexpected error in ${e.where}: ${describe(e.error).stack}`,
  ),
};

type Events = typeof EVENTS;
export type EventName = keyof Events;
export type EventFields<Name extends EventName> = Parameters<Events[Name]['say']>[0];
/** Records that something happened. */
export type Log = <Name extends EventName>(name: Name, fields: EventFields<Name>) => void;

/** Where lines go, each with its line end. */
export interface LineStream {
  write(line: string): unknown;
}
export interface LogOptions {
  readonly format: 'human' | 'json';
  readonly level?: LogLevel;
  readonly stream?: LineStream;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const ENTRIES: { readonly [Name in EventName]: Entry<EventFields<Name>> } = EVENTS;
const WEIGHT: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A log that writes sentences, or the same events as JSON lines (O2). */
export function createLog(options: LogOptions): Log {
  const { format, level = 'debug', stream = standardOutput, now = Date.now } = options;
  const logger = format === 'json' ? jsonLogger(stream, now) : null;
  return (name, fields) => {
    const entry = ENTRIES[name];
    if (WEIGHT[entry.level] < WEIGHT[level]) return;
    const safe = clean(fields);
    if (logger) logger[entry.level]({ event: name, ...safe, ...failureOf(fields) });
    else stream.write(`${timeOf(now())} ${entry.say(safe)}\n`);
  };
}

/** Local date and time, `2026-11-29 17:49:14`, as the clock on the wall beside the terminal has it. */
function timeOf(ms: number): string {
  const at = new Date(ms);
  const local = new Date(ms - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}

export const silentLog: Log = () => {};

export interface CollectedEvent {
  readonly name: EventName;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that keeps the events in a list, for tests. */
export function collectingLog(): { readonly log: Log; readonly events: CollectedEvent[] } {
  const events: CollectedEvent[] = [];
  return { events, log: (name, fields) => void events.push({ name, fields: { ...fields } }) };
}

function jsonLogger(stream: LineStream, now: () => number): Logger {
  const options = {
    level: 'debug',
    base: null,
    timestamp: () => `,"time":"${new Date(now()).toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return pino(options, { write: (line) => void stream.write(line) });
}

/**
 * Standard output in one write per turn of the event loop, however many lines there are; one for all logs of a
 * process, which may have many servers.
 */
const standardOutput: LineStream = {
  write(line) {
    if (waiting === '') setImmediate(flush);
    waiting += line;
  },
};
let waiting = '';
function flush(): void {
  if (waiting !== '') process.stdout.write(waiting);
  waiting = '';
}
process.on('exit', flush);

function counts(collections: Readonly<Record<string, number>>): string {
  return Object.entries(collections)
    .map(([name, count]) => `${name}: ${count}`)
    .join(', ');
}
