/** This node among others: the door for them at `CLUSTER_ADDRESS`, and the way to them. */
import { type EventEmitter, once } from 'node:events';
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { UserId } from '../../shared/names.js';
import type { Config } from '../config.js';
import { SyncError } from '../errors.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import { createListener } from '../net/tls.js';
import { HOP_HEADER } from './hop-header.js';
import { HEARD, hostAndPortOf } from './hop-target.js';
import { Hops } from './hops.js';
import { type NodesStore, Parting } from './parting.js';
import { type Documents, type OwningStore, StorePlacement } from './store-placement.js';

interface ClusterOptions {
  readonly config: Config;
  readonly placement: StorePlacement;
  readonly store: NodesStore;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Milliseconds from any moment on, that never jump. */
  readonly uptime: () => number;
  readonly log: Log;
}

/** Time between two looks at which users are still this node's, in ms. */
const LOOK = 3_000;
/** A hop has one header more than what came to the other node. */
const HEADER_OF_HOP = 1_024;
const REFUSED = `HTTP/1.1 403 Forbidden\r\n${HOP_HEADER}: refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
/** By which others know that what comes by this door comes from another machine, whatever its address is. */
const VIA = '1.1 telemed-sync';

/**
 * `null` for a server that is alone.
 *
 * @throws SyncError where `CLUSTER_ADDRESS` is set, and no other server can know of what is in the store
 */
export function clusterOf(
  store: object,
  options: Omit<ClusterOptions, 'placement' | 'store'>,
): Cluster | null {
  if (options.config.clusterAddress === '') return null;
  if (isOwning(store)) {
    const placement = new StorePlacement(store, options.uptime);
    return new Cluster({ ...options, placement, store });
  }
  const sentence = 'CLUSTER_ADDRESS needs a store that several servers share: set STORE, or leave it out.';
  throw new SyncError('INTERNAL', sentence);
}

const isOwning = (store: object): store is OwningStore & NodesStore => 'owner' in store;

export class Cluster {
  readonly hops: Hops;
  readonly #options: ClusterOptions;
  readonly #parting: Parting;
  #server: Server | null = null;
  #address = '';
  #looking: NodeJS.Timeout | undefined;
  /** The answers to what other nodes led here. */
  readonly #answers = new Set<ServerResponse>();

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.hops = new Hops(options);
    this.#parting = new Parting(options.store, (node) => this.hops.isReady(node));
  }

  /** How many users are this node's. */
  get owned(): number {
    return this.#options.placement.owned;
  }

  /** The document of the user is in memory here, though nobody may have come for it. */
  loaded(user: UserId): void {
    this.#options.placement.loaded(user);
  }

  /** Opens the door; who comes in there is served as this server serves others. Then others may lead clients here. */
  async listen(own: EventEmitter, documents: Documents, metrics: Metrics): Promise<void> {
    const { log, placement } = this.#options;
    placement.serve(documents, () => metrics.usersLost.add());
    this.hops.metrics = metrics;
    this.#looking = setInterval(() => this.#look(), LOOK).unref();
    const { clusterAddress } = this.#options.config;
    const server = this.#door(own);
    const { host, port } = hostAndPortOf(clusterAddress);
    await new Promise<void>((resolve, reject) => {
      const cause = ({ message }: Error) =>
        `CLUSTER_ADDRESS (${clusterAddress}) can't be listened on: ${message}.`;
      server.once('error', (error) => reject(new SyncError('INTERNAL', cause(error), { cause: error })));
      server.listen(port, host, resolve);
    });
    const bound = (server.address() as AddressInfo).port;
    this.#server = server;
    this.#address = clusterAddress.replace(/\d+$/, String(bound));
    log('clusterListening', { address: this.#address });
  }

  /** Lets go of whom this node led on; resolves when all is answered that other nodes led here. */
  async stop(): Promise<void> {
    this.hops.close();
    while (this.#answers.size > 0)
      await Promise.allSettled([...this.#answers].map((answer) => once(answer, 'close')));
  }

  /** Once other nodes may take all users: until then they had better hear from this one that it stops. */
  close(): void {
    clearInterval(this.#looking);
    this.#server?.close();
    this.#server?.closeAllConnections();
  }

  /** Where the store can't tell, the next look does. */
  #look(): void {
    const { config, placement } = this.#options;
    void this.hops.look().catch(() => {});
    void placement.look(config.idleTimeout);
    void this.#parting.look().then((isCutOff) => {
      if (isCutOff) placement.loseAll();
    });
  }

  #door(own: EventEmitter): Server {
    const { config, log } = this.#options;
    const plain = { ...config, tlsCert: '', tlsKey: '', maxHeaders: config.maxHeaders + HEADER_OF_HOP };
    const onRequest: RequestListener = (request, response) => {
      if (!this.#letsIn(request)) {
        response.writeHead(403, { [HOP_HEADER]: 'refused', Connection: 'close' }).end();
        return;
      }
      response.writeProcessing();
      this.#answers.add(response);
      response.once('close', () => this.#answers.delete(response));
      own.emit('request', request, response);
    };
    const { server } = createListener(plain, log, onRequest);
    server.on('checkContinue', onRequest);
    server.on('upgrade', (request, stream, head) => {
      if (this.#letsIn(request)) {
        stream.write(HEARD);
        own.emit('upgrade', request, stream, head);
      } else stream.on('error', () => stream.destroy()).end(REFUSED, () => stream.destroy());
    });
    return server;
  }

  #letsIn(request: IncomingMessage): boolean {
    if (!this.hops.takes(request, this.#address)) {
      this.#options.log('hopRefused', { address: request.socket.remoteAddress ?? '' });
      return false;
    }
    request.headers.via = VIA;
    return true;
  }
}
