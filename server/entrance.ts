/**
 * The door of the server. It opens before the store does: that may take long, when a large database is encrypted or
 * gets the form of this version, and who watches over the process ends it where `/health` does not answer.
 */
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Config } from './config.js';
import { createStartingHttp } from './gateways/http/starting.js';
import { StartingGateway } from './gateways/websocket/starting.js';
import type { Log } from './log.js';
import { createListener, type Listener } from './net/tls.js';
import { type Hindrance, startingBy } from './readiness.js';

type UpgradeListener = (request: IncomingMessage, stream: Duplex, head: Buffer) => void;

export class Entrance {
  readonly #config: Config;
  readonly #listener: Listener;
  readonly #starting: StartingGateway;
  readonly #startingHttp: RequestListener;
  #hindrance: Hindrance = startingBy(null);

  /** @param random from 0 to 1 */
  constructor(config: Config, log: Log, random: () => number) {
    this.#config = config;
    this.#startingHttp = createStartingHttp({ config, random, hindrances: () => [this.#hindrance] });
    this.#listener = createListener(config, log, this.#startingHttp);
    this.#starting = new StartingGateway(this.#listener.server, { config, random });
  }

  /** Whose requests and upgrades are answered. */
  get server(): Server {
    return this.#listener.server;
  }

  get isSecure(): boolean {
    return this.#listener.isSecure;
  }

  /** Listens, unless it does already; resolves with the port. */
  async listen(): Promise<number> {
    const { server } = this.#listener;
    const { host, port } = this.#config;
    if (!server.listening)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(port, host, resolve);
      });
    return (server.address() as AddressInfo).port;
  }

  /** So many documents of so many are in the form that the server needs. */
  readonly noteProgress = (done: number, total: number): void => {
    this.#hindrance = startingBy(total === 0 ? 1 : done / total);
  };

  /** From now on these answer. */
  handOver(http: RequestListener, onUpgrade: UpgradeListener): void {
    this.server.off('request', this.#startingHttp).on('request', http).on('upgrade', onUpgrade);
    this.#starting.close();
  }

  /** Takes no new connections; resolves when the last has gone. */
  close(): Promise<void> {
    this.#starting.close();
    this.#listener.close();
    return new Promise((resolve) => this.#listener.server.close(() => resolve()));
  }
}
