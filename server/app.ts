/** Puts the parts together. */
import { randomInt, randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { SyncError } from '../shared/errors.js';
import type { DeviceId, UserId } from '../shared/names.js';
import { Access } from './access.js';
import type { Config } from './config.js';
import { Compactions } from './documents/compactions.js';
import { exportDocument } from './documents/export.js';
import { DocumentRegistry, type RegistryOptions } from './documents/registry.js';
import { Trials } from './documents/trial.js';
import { TURN_CLOCK, Turns } from './documents/turns.js';
import { Admission } from './gateways/admission.js';
import { createHttp } from './gateways/http.js';
import { UpgradeGateway } from './gateways/upgrade.js';
import type { Log } from './log.js';
import { Metrics } from './metrics.js';
import { readKeys, watchKeyFile } from './store/key-file.js';
import type { KeyRing } from './store/key-ring.js';
import { LevelStore } from './store/level.js';
import type { Store, StoreState } from './store/store.js';
import { createListener, type Listener } from './tls.js';

/** A running server. */
export interface App {
  /** Listens on `HOST` and `PORT`; resolves with the port, which is a free one where `PORT` is 0. */
  listen(): Promise<number>;
  /**
   * Takes no new connections, makes everything that was received durable, closes all sockets with 1012 and the
   * store. Resolves with whether everything could be saved in `SHUTDOWN_TIMEOUT`.
   */
  close(): Promise<boolean>;
  /** Erases all data of a user; resolves when no byte is left (P7). */
  erase(user: UserId): Promise<void>;
  /** All that is kept of a user, as JSON. */
  export(user: UserId): AsyncIterable<string>;
}

const STATS_INTERVAL = 60_000;
const DAY = 86_400_000;

/**
 * Opens the store in `DATA_DIR` (or takes another one) and prepares the server.
 *
 * @example
 * const app = await createApp(readConfig({ PORT: '0', DATA_DIR: '/tmp/data' }), createLog({ format: 'human' }));
 * const port = await app.listen();
 */
export async function createApp(config: Config, log: Log, store?: Store): Promise<App> {
  const access = await Access.create(config, Date.now);
  const keys = store === undefined ? readKeys(config) : undefined;
  const opened = store ?? (await openStore(config, log, keys));
  try {
    const trail = await access.open(); // after the store, which owns the folder by now
    if (trail !== null) log('auditOpened', trail);
  } catch (error) {
    await opened.close();
    throw error;
  }
  const endKeys = keys && opened instanceof LevelStore ? followKeys(opened, config, keys, log) : undefined;
  return new SyncServer(config, log, access, opened, endKeys);
}

function openStore(config: Config, log: Log, keys: KeyRing | undefined): Promise<LevelStore> {
  return LevelStore.open({
    folder: config.dataDir,
    keys,
    onProgress: (done, total) => log('migrating', { done, total }),
    onRetry: (error, delayMs) => log('storeRetry', { error, delayMs }),
  });
}

/** Finishes a change of keys that was under way, and takes up each later one; returns what ends it. */
function followKeys(store: LevelStore, config: Config, keys: KeyRing, log: Log): () => void {
  const take = (ring: KeyRing): Promise<void> =>
    store.changeKeys(ring).then(() => log('keysInUse', { keys: [ring.current.id] }));
  const refused = (error: unknown): void => {
    if (store.state !== 'closed') log('keysRefused', { reason: reasonOf(error) });
  };
  void take(keys).catch(refused);
  if (config.encryptionKeyFile === '') return () => {};
  return watchKeyFile(config.encryptionKeyFile, () => {
    void Promise.resolve()
      .then(() => take(readKeys(config) ?? keys))
      .catch(refused);
  });
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

class SyncServer implements App {
  readonly #config: Config;
  readonly #log: Log;
  readonly #access: Access;
  readonly #store: Store;
  readonly #trials = new Trials();
  readonly #compactions = new Compactions();
  readonly #registry: DocumentRegistry;
  readonly #listener: Listener;
  readonly #metrics = new Metrics();
  readonly #gateway: UpgradeGateway;
  readonly #stats: NodeJS.Timeout;
  readonly #endKeys: () => void;
  #takesTraffic = false;

  constructor(config: Config, given: Log, access: Access, opened: Store, endKeys = () => {}) {
    const now = Date.now;
    const log = countRefusals(given, this.#metrics);
    const store = measureCommits(opened, this.#metrics);
    const newDeviceId = () => `device-${randomUUID()}` as DeviceId;
    this.#config = config;
    this.#log = log;
    this.#access = access;
    this.#store = store;
    this.#endKeys = endKeys;
    const admission = new Admission(config, log, now);
    const turns = new Turns({ ...config, clock: TURN_CLOCK, rateOf: (user) => admission.rateOf(user) });
    const work = { trials: this.#trials, compactions: this.#compactions, turns };
    this.#registry = createRegistry(config, log, store, work);
    const isReady = () => this.#takesTraffic && store.state === 'ready';
    const metrics = this.#metrics;
    const registry = this.#registry;
    const shared = { config, access, log, now, newDeviceId, registry, admission, metrics, turns };
    this.#listener = createListener(config, log, createHttp({ ...shared, isReady }));
    this.#gateway = new UpgradeGateway(this.#listener.server, shared);
    this.#describeState();
    this.#stats = setInterval(() => this.#logStats(), STATS_INTERVAL).unref();
    logStore(store, log, now);
  }

  async listen(): Promise<number> {
    const { host, port, dataDir, demo, auth } = this.#config;
    const { server, isSecure } = this.#listener;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, resolve);
    });
    const bound = (server.address() as AddressInfo).port;
    const scheme = isSecure ? 'https' : 'http';
    this.#takesTraffic = true;
    this.#log('listening', { url: `${scheme}://${inUrl(host)}:${bound}`, dataDir });
    if (demo && auth === 'none')
      this.#log('demo', { url: `${scheme}://${ANY_HOST.has(host) ? 'localhost' : inUrl(host)}:${bound}/` });
    return bound;
  }

  async close(): Promise<boolean> {
    this.#takesTraffic = false;
    this.#endKeys();
    clearInterval(this.#stats);
    const { server } = this.#listener;
    this.#listener.close();
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
    this.#gateway.stopReading();
    this.#trials.close();
    this.#compactions.close();
    const saved = this.#flush().then(() => this.#registry.documents.every(({ isBusy }) => !isBusy));
    const durable = await withTimeout(saved, this.#config.shutdownTimeout, false);
    await this.#gateway.close(GOODBYE_TIMEOUT);
    await withTimeout(stopped, GOODBYE_TIMEOUT, undefined);
    server.closeAllConnections();
    // What the devices had received is known only now; without it, more is taken for seen after the next start.
    await withTimeout(this.#flush(), GOODBYE_TIMEOUT, undefined);
    this.#registry.close();
    await withTimeout(this.#access.close(), GOODBYE_TIMEOUT, undefined);
    await withTimeout(this.#store.close(), GOODBYE_TIMEOUT, undefined);
    this.#metrics.close();
    return durable;
  }

  /** Resolves when what was received is done and durable, or can't be. */
  async #flush(): Promise<void> {
    await this.#gateway.idle();
    await this.#registry.flush();
  }

  erase(user: UserId): Promise<void> {
    return this.#registry.erase(user);
  }

  async *export(user: UserId): AsyncGenerator<string> {
    const lease = await this.#registry.open(user);
    try {
      yield* exportDocument(lease.document, Date.now());
    } finally {
      lease.release();
    }
  }

  #describeState(): void {
    const metrics = this.#metrics;
    const states: readonly StoreState[] = ['ready', 'reopening', 'closed'];
    metrics.gauge({ name: 'connections', help: 'Open WebSockets.', label: 'protocol' }, () => ({
      ...this.#gateway.connections,
    }));
    metrics.gauge({ name: 'documents', help: 'Documents in memory.' }, () => this.#registry.documents.length);
    metrics.gauge(
      { name: 'store_state', help: '1 for the state that the store is in.', label: 'state' },
      () => Object.fromEntries(states.map((state) => [state, state === this.#store.state ? 1 : 0])),
    );
  }

  #logStats(): void {
    const { documents } = this.#registry;
    const entries = documents.reduce((sum, document) => sum + document.countRecords(), 0);
    this.#log('stats', { connections: this.#gateway.connectionCount, users: documents.length, entries });
  }
}

/** Addresses that stand for all of the machine: no browser opens them. */
const ANY_HOST: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** Time for clients to answer the closing handshake, in ms. */
const GOODBYE_TIMEOUT = 500;

type Work = Pick<RegistryOptions, 'trials' | 'compactions' | 'turns'>;

function createRegistry(config: Config, log: Log, store: Store, work: Work): DocumentRegistry {
  return new DocumentRegistry({
    ...work,
    store,
    idleTimeout: config.idleTimeout,
    maxDepth: config.maxDepth,
    limits: config,
    maxStructs: config.maxStructs,
    maxDeleteRanges: config.maxDeleteRanges,
    compactUpdates: config.compactUpdates,
    compactBytes: config.compactBytes,
    // Late edits come hours after, so what lost is kept for a day even where no history is.
    keepFor: Math.max(config.historyDays, 1) * DAY,
    historyDays: config.historyDays,
    now: Date.now,
    randomId: () => randomInt(2 ** 32),
    onFailed: (user, error) => logFailure(log, user, error),
    onRebuilt: ({ user }, error) => log('documentRebuilt', { user, error }),
    onHistoryDamaged: ({ user }, revision) => log('historyDamaged', { user, revision }),
    onCompacted: ({ user }, sizes) => log('compacted', { user, ...sizes }),
    onUnexpected: (error) => log('unexpected', { where: 'document', error }),
  });
}

/** Every refusal of a socket is logged with its code. */
function countRefusals(log: Log, metrics: Metrics): Log {
  return (name, fields) => {
    if (name === 'messageRefused' || name === 'upgradeRefused') metrics.refused.add(codeOf(fields));
    log(name, fields);
  };
}

const codeOf = (fields: object): string => ('code' in fields ? String(fields.code) : '');

/** The same store, whose commits are counted and timed; its promises stay the same, since their order counts. */
function measureCommits(store: Store, metrics: Metrics): Store {
  const commit: Store['commit'] = (user, change) => {
    const began = performance.now();
    const committed = store.commit(user, change);
    committed.then(
      () => {
        metrics.commits.add('saved');
        metrics.commitTime.observe((performance.now() - began) / 1_000);
      },
      () => metrics.commits.add('failed'),
    );
    return committed;
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'commit') return commit;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function logFailure(log: Log, user: UserId, error: SyncError): void {
  if (error.code !== 'DOCUMENT_CORRUPT') return;
  const reason = error.cause instanceof Error ? error.cause.message : error.message;
  log('documentQuarantined', { user, reason });
}

function logStore(store: Store, log: Log, now: () => number): void {
  let failedAt = 0;
  store.onState((state, cause) => {
    if (state === 'reopening') {
      failedAt = now();
      log('storeFailed', { error: cause });
    } else if (state === 'ready' && failedAt > 0) {
      log('storeRecovered', { afterMs: now() - failedAt });
    }
  });
}

function withTimeout<T>(promise: Promise<T>, ms: number, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
