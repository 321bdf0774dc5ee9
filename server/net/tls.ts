/** The HTTP server, with TLS where a certificate is given; a new certificate is taken without a restart. */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Config } from '../config.js';
import { SyncError } from '../errors.js';
import type { Log } from '../log.js';

export interface Listener {
  readonly server: Server | TlsServer;
  readonly isSecure: boolean;
  /** Looks whether the certificate has changed; done by itself every few seconds. */
  reload(): void;
  close(): void;
}

interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** How often connections are looked at that are late with their headers or their body, in ms. */
const CHECK_INTERVAL = 1_000;
/** For a whole request: the largest body at 110 KB/s. */
const REQUEST_TIMEOUT = 300_000;
/** What Node takes for a size, in bytes. */
const NO_LIMIT = 2 ** 30;
const RELOAD_INTERVAL = 10_000;
/** Newer versions of Node add a second, and a timer can't wait longer than 24.8 days. */
const LONGEST_KEPT = 24 * 86_400_000;

/**
 * Makes the server; it does not listen yet.
 *
 * @throws SyncError with a sentence that names `TLS_CERT` and `TLS_KEY`, when they can't be used
 */
export function createListener(config: Config, log: Log, handle: RequestListener): Listener {
  const options = serverOptions(config);
  if (config.tlsCert === '') {
    return { server: createServer(options, handle), isSecure: false, reload: () => {}, close: () => {} };
  }
  const certificate = firstCertificate(config);
  const server = withCause(config, () => createTlsServer({ ...options, ...certificate }, handle));
  const renewal = new Renewal(server, certificate, config, log);
  const timer = setInterval(() => renewal.look(), RELOAD_INTERVAL).unref();
  return { server, isSecure: true, reload: () => renewal.look(), close: () => clearInterval(timer) };
}

function serverOptions({ headersTimeout, keepAliveTimeout, maxHeaders }: Config): ServerOptions {
  return {
    // Runs while headers come, not while a kept connection waits for the next request: it may be the shorter one.
    headersTimeout,
    keepAliveTimeout: Math.min(keepAliveTimeout, LONGEST_KEPT),
    requestTimeout: Math.max(headersTimeout, REQUEST_TIMEOUT),
    connectionsCheckingInterval: CHECK_INTERVAL,
    maxHeaderSize: Math.min(maxHeaders, NO_LIMIT),
  };
}

function read({ tlsCert, tlsKey }: Config): Certificate {
  const [cert, key] = [readFileSync(tlsCert, 'utf8'), readFileSync(tlsKey, 'utf8')];
  // Node would go on without a certificate.
  if (cert === '' || key === '') throw new Error(`${cert === '' ? tlsCert : tlsKey} is empty`);
  return { cert, key };
}

const firstCertificate = (config: Config): Certificate => withCause(config, () => read(config));

function withCause<T>({ tlsCert, tlsKey }: Config, action: () => T): T {
  try {
    return action();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const sentence = `TLS_CERT (${tlsCert}) and TLS_KEY (${tlsKey}) can't be used: ${reason}.`;
    throw new SyncError('INTERNAL', sentence, { cause });
  }
}

/** Files are compared by content: a renewal may swap links, and write one file before the other. */
class Renewal {
  readonly #server: TlsServer;
  readonly #config: Config;
  readonly #log: Log;
  #seen: string;
  #complained = '';

  constructor(server: TlsServer, first: Certificate, config: Config, log: Log) {
    this.#server = server;
    this.#config = config;
    this.#log = log;
    this.#seen = JSON.stringify(first);
  }

  look(): void {
    const { tlsCert: path } = this.#config;
    try {
      const found = read(this.#config);
      const text = JSON.stringify(found);
      if (text === this.#seen) return;
      this.#seen = text;
      this.#server.setSecureContext(found);
      this.#log('tlsReloaded', { path });
    } catch (error) {
      this.#complain(path, error);
    }
  }

  /** Once for each new failure. */
  #complain(path: string, error: unknown): void {
    const about = `${this.#seen}\n${error instanceof Error ? error.message : error}`;
    if (this.#complained === about) return;
    this.#complained = about;
    this.#log('tlsFailed', { path, error });
  }
}
