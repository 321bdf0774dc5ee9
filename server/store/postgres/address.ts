/** What the address of a PostgreSQL says, with what the files hold that it names. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { Client, ClientConfig } from 'pg';
import { noAddress, noCertificate } from './failures.js';

type ClientClass = new (config: ClientConfig) => Client;

/** What the files hold that it names. */
type Files = Readonly<Partial<Record<'cert' | 'key' | 'ca', string>>>;

/** What an address says of TLS. */
const TLS = /(^|&)(?:ssl\w*|uselibpqcompat)=[^&]*/g;

/** @throws SyncError with a sentence, where this is no address, or names files that can't be read or used */
export function clientOf(Class: ClientClass, config: ClientConfig): Client {
  const client = made(Class, config);
  mustBeUsable((client as unknown as { readonly ssl: Files | boolean }).ssl);
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
function mustBeUsable(ssl: Files | boolean): void {
  if (typeof ssl !== 'object') return;
  try {
    mustBeWhole(ssl);
    createSecureContext(ssl);
  } catch (cause) {
    throw noCertificate(cause);
  }
}

/** For Node one that is empty is as one that is not named; and of those of the CAs it takes what it can read. */
function mustBeWhole({ cert, key, ca }: Files): void {
  const files = { sslcert: cert, sslkey: key, sslrootcert: ca };
  for (const [name, text] of Object.entries(files)) if (text === '') throw new Error(`${name} is empty`);
  if (ca === undefined) return;
  new X509Certificate(ca);
  const [begun, ended] = [ca.match(/-----BEGIN /g), ca.match(/-----END [^-]+-----/g)];
  if (begun?.length !== ended?.length) throw new Error('sslrootcert is cut off');
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
 * then, since certificates are renewed, and as they were read before where one can't be read, or is not whole, while it
 * is replaced, or only one of certificate and key is a new one.
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
