/** What the address of a PostgreSQL says, with what the files hold that it names. */
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Client, ClientConfig } from 'pg';
import { noAddress, noCertificate } from './failures.js';

type ClientClass = new (config: ClientConfig) => Client;

/** What an address says of TLS. */
const TLS = /(^|&)(?:ssl\w*|uselibpqcompat)=[^&]*/g;

/** @throws SyncError with a sentence, where this is no address, or names files that can't be read or used */
export function clientOf(Class: ClientClass, config: ClientConfig): Client {
  const client = made(Class, config);
  mustBeUsable((client as unknown as { readonly ssl: SecureContextOptions | boolean }).ssl);
  return client;
}

function made(Class: ClientClass, config: ClientConfig): Client {
  try {
    return new Class(config);
  } catch (cause) {
    throw noAddress(cause);
  }
}

/** As a key that is not that of the certificate. The driver would find it out when it is connected already. */
function mustBeUsable(ssl: SecureContextOptions | boolean): void {
  if (typeof ssl !== 'object') return;
  try {
    createSecureContext(ssl);
  } catch (cause) {
    throw noCertificate(cause);
  }
}

/**
 * The driver would read the files itself, also for a connection that a pool makes by itself: where one can't be read
 * then, nobody catches that, and the process ends.
 */
function configOf(Class: ClientClass, url: string): ClientConfig {
  const client: unknown = clientOf(Class, { connectionString: url });
  const { ssl, sslNegotiation } = client as {
    readonly ssl: NonNullable<ClientConfig['ssl']>;
    readonly sslNegotiation?: ClientConfig['sslnegotiation'];
  };
  const [place = '', ...options] = url.split('?'); // a password may look like one of them
  const connectionString = [place, ...options.map((each) => each.replace(TLS, '$1'))].join('?');
  return { connectionString, ssl, sslnegotiation: sslNegotiation };
}

/**
 * The address of a PostgreSQL for as long as connections to it are made: with the files that it names as they are by
 * then, since certificates are renewed, and as they were read before where one can't be read while it is replaced, or
 * only one of certificate and key is a new one.
 */
export class Address {
  readonly #url: string;
  readonly #onStale: (why: unknown) => void;
  #last: ClientConfig | null = null;
  /** Why they could not be read the last time. */
  #why = '';

  /** @param onStale is told why what was read before counts: once, until it can be read, or for another reason can't */
  constructor(url: string, onStale: (why: unknown) => void = () => {}) {
    this.#url = url;
    this.#onStale = onStale;
  }

  /** @throws SyncError as `clientOf` does, where they were never read before */
  configNow(Class: ClientClass): ClientConfig {
    try {
      this.#last = configOf(Class, this.#url);
      this.#why = '';
    } catch (error) {
      if (this.#last === null) throw error;
      this.#tell(error);
    }
    return this.#last;
  }

  #tell(error: unknown): void {
    const why = String(error);
    if (why !== this.#why) this.#onStale(error);
    this.#why = why;
  }
}
