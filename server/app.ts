/** Puts the parts together. */
import { randomInt, randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import type { DeviceId, UserId } from '../shared/names.js';
import { type BroughtBack, restoreUser, type UserBackup } from './backup/user-restore.js';
import type { TimeSource } from './clock.js';
import type { Config } from './config.js';
import { DamagedDocuments } from './damaged-documents.js';
import { RewritingWorkers } from './documents/epochs/rewriting-workers.js';
import { exportDocument } from './documents/export.js';
import { DryRuns } from './documents/intake/dry-run.js';
import type { DocumentRegistry, RegistryOptions } from './documents/registry.js';
import { Rounds } from './documents/rounds.js';
import { Backlog } from './documents/turns/backlog.js';
import { TURN_CLOCK, Turns } from './documents/turns/turns.js';
import { Entrance } from './entrance.js';
import { closeFoundation, type Foundation, openFoundation, saveNotes } from './foundation.js';
import { Overload } from './gateways/guard/overload.js';
import { Quotas } from './gateways/guard/quotas.js';
import { OPERATOR_LIVE, type OperatorSources } from './gateways/http/admin/options.js';
import { createHttp } from './gateways/http/routes.js';
import { withRouted } from './gateways/http/upgrades.js';
import { UpgradeGateway } from './gateways/websocket/gateway.js';
import { describeState } from './gauges.js';
import { LastHour } from './last-hour.js';
import type { Log } from './log.js';
import { Metrics } from './metrics.js';
import { slowAfter } from './open-store.js';
import { type Hindrance, hindrancesOf, warningsOf } from './readiness.js';
import { registryOf } from './registry-options.js';
import { readKeys } from './store/encryption/key-file.js';
import type { Store } from './store/store.js';
import { followCommits, logStore } from './store-watch.js';

/** A running server. */
export interface App {
  /** Listens on `HOST` and `PORT`; resolves with the port, which is a free one where `PORT` is 0. */
  listen(): Promise<number>;
  /**
   * Takes no new connections, makes everything that was received durable, closes all sockets with 1012 and the
   * store. Resolves with whether everything could be saved in `SHUTDOWN_TIMEOUT`.
   */
  close(): Promise<boolean>;
  /** Resolves when what was received is done, durable or not. */
  idle(): Promise<void>;
  /** Whether `close` got to its end. If not, the disk holds on to a thread, for which an exit would wait. */
  readonly isClosed: boolean;
  /**
   * Erases all data of a user; resolves when no byte is left (P7), with whether there was anything. Rejects with
   * `STORE_UNAVAILABLE`, as the two below do, where another server of the store has the user.
   */
  erase(user: UserId): Promise<boolean>;
  /**
   * Brings back what a backup has of a user, as new changes; others of the user's records stay. Resolves with how many
   * there are, and how many that changed.
   */
  restoreUser(user: UserId, from: UserBackup): Promise<BroughtBack>;
  /** All that is kept of a user, as JSON; returns whether there was anything. */
  export(user: UserId): AsyncGenerator<string, boolean>;
}

const STATS_INTERVAL = 60_000;
const NOTE_INTERVAL = 600_000;

/**
 * Opens the store in `DATA_DIR` (or takes another one) and prepares the server.
 *
 * @example
 * const app = await createApp(readConfig({ PORT: '0', DATA_DIR: '/tmp/data' }), createLog({ format: 'human' }));
 * const port = await app.listen();
 */
export async function createApp(config: Config, log: Log, parts: AppParts = {}): Promise<App> {
  const { entrance = openEntrance(config, log), store, time } = parts;
  const onProgress = entrance.noteProgress;
  const foundation = await openFoundation(config, log, { store, time, onProgress }).catch(
    (error: unknown) => {
      void entrance.close();
      throw error;
    },
  );
  return new SyncServer(config, log, { ...foundation, entrance });
}

/** What a server would make itself. */
export interface AppParts {
  readonly store?: Store | undefined;
  readonly time?: TimeSource | undefined;
  /** One that listens already. */
  readonly entrance?: Entrance;
}

/** For a server that is to answer `/health` while its store is opened. */
export const openEntrance = (config: Config, log: Log): Entrance => new Entrance(config, log, random);

interface Ground extends Foundation {
  readonly entrance: Entrance;
}

const RANDOM_STEPS = 2 ** 32;
const random = (): number => randomInt(RANDOM_STEPS) / RANDOM_STEPS;
const newDeviceId = (): DeviceId => `device-${randomUUID()}` as DeviceId;

class SyncServer implements App {
  readonly #config: Config;
  readonly #log: Log;
  readonly #foundation: Ground;
  readonly #dryRuns = new DryRuns();
  readonly #rewritingWorkers = new RewritingWorkers();
  readonly #registry: DocumentRegistry;
  readonly #metrics = new Metrics();
  readonly #lastHour = new LastHour({
    metrics: this.#metrics,
    connections: () => this.#gateway.connections.byProtocol,
    now: () => this.#foundation.clock.now(),
  });
  readonly #damaged: DamagedDocuments;
  readonly #http: RequestListener;
  readonly #gateway: UpgradeGateway;
  readonly #overload: Overload;
  readonly #stats: NodeJS.Timeout;
  readonly #noting: NodeJS.Timeout;
  readonly #rounds: Rounds;
  #takesTraffic = false;
  #isClosed = false;

  constructor(config: Config, given: Log, foundation: Ground) {
    const { access, clock, backups, cluster } = foundation;
    const { now, uptime } = clock;
    const log = countRefusals(given, this.#metrics);
    const backlog = new Backlog();
    const store = followCommits(foundation.store, this.#metrics, backlog);
    this.#config = config;
    this.#log = log;
    this.#foundation = { ...foundation, store };
    this.#damaged = new DamagedDocuments(log, now);
    const quotas = new Quotas(config, log, uptime, cluster?.hops.clientOf);
    const turns = new Turns({ ...config, clock: TURN_CLOCK, rateOf: (user) => quotas.rateOf(user) });
    const work = { store, dryRuns: this.#dryRuns, rewritingWorkers: this.#rewritingWorkers, turns };
    this.#registry = registryOf(config, log, clock, { ...work, ...this.#follow(log) });
    store.serve?.(this.#registry);
    this.#overload = this.#watchLoad(turns, backlog);
    const shared = {
      config,
      access,
      backups,
      restoreUser: this.restoreUser.bind(this),
      log,
      now,
      uptime,
      newDeviceId,
      random,
      registry: this.#registry,
      quotas,
      overload: this.#overload,
      metrics: this.#metrics,
      backlog,
      turns,
      hops: cluster?.hops ?? null,
    };
    this.#http = createHttp({ ...shared, ...this.#readiness }, this.#sources(store));
    this.#gateway = new UpgradeGateway(shared);
    describeState(this.#metrics, this.#foundation, this.#registry, () => this.#gateway.connections);
    this.#stats = setInterval(() => this.#logStats(), STATS_INTERVAL).unref();
    this.#noting = setInterval(() => void saveNotes(this.#foundation), NOTE_INTERVAL).unref();
    this.#rounds = this.#makeRounds(store);
    logStore(store, log, slowAfter(config));
  }

  readonly #hindrances = (): readonly Hindrance[] => {
    const { access, store } = this.#foundation;
    return hindrancesOf({
      takesTraffic: this.#takesTraffic,
      storeState: store.state,
      auditWaits: access.waitsFor,
      diskSlow: this.#config.diskSlow,
    });
  };

  readonly #readiness = {
    hindrances: this.#hindrances,
    warnings: () => {
      const { backups, clock, store } = this.#foundation;
      const clockAhead = store.beat?.clockAhead ?? 0;
      return warningsOf({ lastBackup: backups.lastAt, now: clock.now(), clockAhead });
    },
  };

  #sources(store: Store): OperatorSources {
    return {
      store,
      lastHour: this.#lastHour,
      connections: () => this.#gateway.connections.byProtocol,
      unsent: () => this.#gateway.connections.unsent,
      connectedDevices: (user) => this.#gateway.devicesOf(user),
      connectedAs: (device) => this.#gateway.usersOf(device),
      damaged: this.#damaged,
      connectedBy: () => this.#gateway.connections.byUser,
    };
  }

  #follow(log: Log): Pick<RegistryOptions, 'onFailed' | 'onRewritten' | 'onPruned' | 'onLoaded'> {
    return {
      onLoaded: (user) => this.#foundation.cluster?.loaded(user),
      onFailed: (user, error) => this.#damaged.note(user, error),
      onRewritten: (user, sizes) => {
        this.#metrics.rewritten.add();
        log('rewritten', { user, ...sizes });
      },
      onPruned: (user, error) => {
        this.#metrics.pruned.add(error === null ? 'done' : 'failed');
        if (error !== null) log('pruningFailed', { user, error });
      },
    };
  }

  #watchLoad(turns: Turns, backlog: Backlog): Overload {
    const onChange = (isOver: boolean, lasted: number) => {
      const ms = Math.round(lasted);
      if (isOver) this.#log('overloaded', { forMs: ms });
      else this.#log('overloadOver', { afterMs: ms });
    };
    const unsent = () => this.#gateway.connections.unsentByUser;
    return new Overload({ clock: TURN_CLOCK, turns, backlog, unsent, onChange });
  }

  #makeRounds(store: Store): Rounds {
    const { historyDays } = this.#config;
    const { retention } = this.#foundation.clock;
    return new Rounds({
      store,
      historyDays,
      retention,
      prune: (user) => this.#registry.prune(user),
      rewrite: (user) => this.#registry.rewriteIfDue(user),
      onLooked: (user, damage) => {
        this.#metrics.checked.add(damage === null ? 'whole' : 'damaged');
        this.#damaged.note(user, damage);
      },
      onUnexpected: (error) => this.#log('unexpected', { where: 'a round', error }),
    });
  }

  async listen(): Promise<number> {
    const { host, demo, auth, nodeEnv, store } = this.#config;
    const dataDir = store === '' ? this.#config.dataDir : 'PostgreSQL';
    const { entrance, cluster } = this.#foundation;
    const bound = await entrance.listen();
    await cluster?.listen(entrance.server, this.#registry, this.#metrics);
    entrance.handOver(this.#http, withRouted(OPERATOR_LIVE, this.#http, this.#gateway.onUpgrade));
    const scheme = entrance.isSecure ? 'https' : 'http';
    this.#takesTraffic = true;
    this.#registry.plainVisitsSince().catch(() => {}); // asked again by who needs it
    void this.#rounds.run();
    this.#log('listening', { url: `${scheme}://${inUrl(host)}:${bound}`, dataDir });
    if (host === LOOPBACK && nodeEnv !== 'production') this.#log('onlyHere', {});
    if (demo && auth === 'none')
      this.#log('demo', { url: `${scheme}://${ANY_HOST.has(host) ? 'localhost' : inUrl(host)}:${bound}/` });
    return bound;
  }

  async close(): Promise<boolean> {
    const { shutdownTimeout } = this.#config;
    const latest = performance.now() + shutdownTimeout + LAST_STEPS;
    this.#takesTraffic = false;
    this.#rounds.close();
    this.#overload.close();
    this.#lastHour.close();
    this.#foundation.endKeys();
    clearInterval(this.#stats);
    clearInterval(this.#noting);
    const { entrance, cluster } = this.#foundation;
    const stopped = Promise.allSettled([entrance.close(), cluster?.stop()]);
    this.#gateway.stopReading();
    this.#dryRuns.close();
    this.#rewritingWorkers.close();
    const saved = this.#saveAll().then(() => true);
    const durable = await withTimeout(saved, shutdownTimeout, false);
    const end = performance.now() + LAST_STEPS;
    const step = () => Math.max(0, Math.min(GOODBYE_TIMEOUT, end - performance.now()));
    const left = step();
    const compacted = durable ? this.#registry.compactLast(left) : Promise.resolve();
    await Promise.all([this.#gateway.close(left), withTimeout(compacted, left, undefined)]);
    await withTimeout<unknown>(stopped, step(), undefined);
    entrance.server.closeAllConnections();
    // What the devices had received is known only now; without it, more is taken for seen after the next start.
    await withTimeout(this.#flush(), step(), undefined);
    this.#registry.close();
    const closed = closeFoundation(this.#foundation).then(() => true);
    this.#isClosed = await withTimeout(closed, Math.max(latest - performance.now(), SHORTEST_STEP), false);
    this.#metrics.close();
    return durable;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  idle(): Promise<void> {
    return this.#gateway.idle();
  }

  /** What is waited for may bring about more, as a batch does the compaction that it makes due. */
  async #saveAll(): Promise<void> {
    do await this.#flush();
    while (this.#registry.documents.some(({ isBusy }) => isBusy));
  }

  /** Resolves when what was received is done and durable, or can't be. */
  async #flush(): Promise<void> {
    await this.idle();
    await this.#registry.flush();
  }

  erase(user: UserId): Promise<boolean> {
    return this.#registry.erase(user);
  }

  restoreUser(user: UserId, from: UserBackup): Promise<BroughtBack> {
    const { store } = this.#foundation;
    return restoreUser({ store, registry: this.#registry, keys: readKeys(this.#config) }, user, from);
  }

  async *export(user: UserId): AsyncGenerator<string, boolean> {
    const lease = await this.#registry.open(user);
    try {
      const seen = await this.#registry.seen.of(user);
      return yield* exportDocument(lease.document, seen, this.#foundation.clock.now());
    } finally {
      lease.release();
    }
  }

  #logStats(): void {
    const { documents, asleep } = this.#registry;
    const entries = documents.reduce((sum, document) => sum + document.countRecords(), 0);
    this.#log('stats', {
      connections: this.#gateway.connections.size,
      users: documents.length + asleep,
      entries,
    });
  }
}

const LOOPBACK = '127.0.0.1';
/** Addresses that stand for all of the machine: no browser opens them. */
const ANY_HOST: ReadonlySet<string> = new Set(['0.0.0.0', '::']);
const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

/** Time for clients to answer the closing handshake, in ms. */
const GOODBYE_TIMEOUT = 500;
/** For all that comes after `SHUTDOWN_TIMEOUT`, which is at most 9 s of the 10 that the process has. */
const LAST_STEPS = 800;
const SHORTEST_STEP = 100;

/** Every refusal of a socket is logged with its code. */
function countRefusals(log: Log, metrics: Metrics): Log {
  return (name, fields) => {
    if (name === 'messageRefused' || name === 'upgradeRefused') metrics.refused.add(codeOf(fields));
    log(name, fields);
  };
}

const codeOf = (fields: object): string => ('code' in fields ? String(fields.code) : '');

function withTimeout<T>(promise: Promise<T>, ms: number, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
