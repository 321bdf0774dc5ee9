/** Puts the parts together. */
import { randomInt, randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { SyncError } from '../shared/errors.js';
import type { DeviceId, UserId } from '../shared/names.js';
import type { Config } from './config.js';
import { exportDocument } from './documents/export.js';
import { DocumentRegistry } from './documents/registry.js';
import { createHttp } from './gateways/http.js';
import { UpgradeGateway } from './gateways/upgrade.js';
import type { Log } from './log.js';
import { readKeys, watchKeyFile } from './store/key-file.js';
import type { KeyRing } from './store/key-ring.js';
import { LevelStore } from './store/level.js';
import type { Store } from './store/store.js';

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
  if (store !== undefined) return new SyncServer(config, log, store);
  const keys = readKeys(config);
  const opened = await openStore(config, log, keys);
  return new SyncServer(config, log, opened, keys && followKeys(opened, config, keys, log));
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
  readonly #store: Store;
  readonly #registry: DocumentRegistry;
  readonly #server: Server;
  readonly #gateway: UpgradeGateway;
  readonly #stats: NodeJS.Timeout;
  readonly #endKeys: () => void;
  #takesTraffic = false;

  constructor(config: Config, log: Log, store: Store, endKeys = () => {}) {
    const now = Date.now;
    const newDeviceId = () => `device-${randomUUID()}` as DeviceId;
    this.#config = config;
    this.#log = log;
    this.#store = store;
    this.#endKeys = endKeys;
    this.#registry = createRegistry(config, log, store);
    const isReady = () => this.#takesTraffic && store.state === 'ready';
    const shared = { config, log, newDeviceId, registry: this.#registry };
    const mayErase = () => config.auth === 'none';
    this.#server = createServer(createHttp({ ...shared, now, isReady, mayErase }));
    this.#gateway = new UpgradeGateway(this.#server, { ...shared, now });
    this.#stats = setInterval(() => this.#logStats(), STATS_INTERVAL).unref();
    logStore(store, log, now);
  }

  async listen(): Promise<number> {
    const { host, port, dataDir, demo } = this.#config;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    const bound = (this.#server.address() as AddressInfo).port;
    this.#takesTraffic = true;
    this.#log('listening', { url: `http://${inUrl(host)}:${bound}`, dataDir });
    if (demo)
      this.#log('demo', { url: `http://${ANY_HOST.has(host) ? 'localhost' : inUrl(host)}:${bound}/` });
    return bound;
  }

  async close(): Promise<boolean> {
    this.#takesTraffic = false;
    this.#endKeys();
    clearInterval(this.#stats);
    const stopped = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#gateway.stopReading();
    const saved = this.#registry.flush().then(() => this.#registry.documents.every(({ isBusy }) => !isBusy));
    const durable = await withTimeout(saved, this.#config.shutdownTimeout, false);
    await this.#gateway.close(GOODBYE_TIMEOUT);
    await withTimeout(stopped, GOODBYE_TIMEOUT, undefined);
    this.#server.closeAllConnections();
    // What the devices had received is known only now; without it, more is taken for seen after the next start.
    await withTimeout(this.#registry.flush(), GOODBYE_TIMEOUT, undefined);
    this.#registry.close();
    await withTimeout(this.#store.close(), GOODBYE_TIMEOUT, undefined);
    return durable;
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

function createRegistry(config: Config, log: Log, store: Store): DocumentRegistry {
  return new DocumentRegistry({
    store,
    idleTimeout: config.idleTimeout,
    maxDepth: config.maxDepth,
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
