/** WebSockets that come before the store is open. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Config } from '../../config.js';
import { isForeign } from '../guard/origin.js';
import { PutOff } from './put-off.js';
import { destroyed, refuse } from './rejections.js';
import { readRequest } from './upgrade-request.js';

interface StartingOptions {
  readonly config: Config;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** Each opens, and is told some seconds later to come again; or at once, when the server has started or failed to. */
export class StartingGateway {
  readonly #server: Server;
  readonly #config: Config;
  readonly #putOff: PutOff;

  constructor(server: Server, { config, random }: StartingOptions) {
    this.#server = server;
    this.#config = config;
    this.#putOff = new PutOff({ metrics: null, random });
    server.on('upgrade', this.#onUpgrade);
  }

  readonly #onUpgrade = (request: IncomingMessage, stream: Duplex, head: Buffer): void => {
    stream.on('error', destroyed);
    const asked = readRequest(request, '');
    if (isForeign(this.#config.corsOrigins, request))
      refuse(stream, { code: 'ORIGIN_REFUSED', retryAfter: 0 });
    else if (asked === null) refuse(stream, { code: 'NOT_FOUND', retryAfter: 0 });
    else this.#putOff.take({ request, stream, head, challenge: asked.challenge }, 'STARTING');
  };

  close(): void {
    this.#server.off('upgrade', this.#onUpgrade);
    this.#putOff.close();
  }
}
