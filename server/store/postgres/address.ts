/** What the address of a PostgreSQL says, with what the files hold that it names. */
import type { Client, ClientConfig } from 'pg';
import { noAddress } from './failures.js';

type ClientClass = new (config: ClientConfig) => Client;

/** What an address says of TLS. */
const TLS = /(^|&)(?:ssl\w*|uselibpqcompat)=[^&]*/g;

/** @throws SyncError with a sentence, where this is no address, or names a file that can't be read */
export function clientOf(Class: ClientClass, config: ClientConfig): Client {
  try {
    return new Class(config);
  } catch (cause) {
    throw noAddress(cause);
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
 * What each connection of a pool is made with: the files as they are by now, since certificates are renewed, and as they
 * were read before where one can't be read while it is replaced.
 *
 * @throws SyncError as `clientOf` does, the first time
 */
export function configsOf(Class: ClientClass, url: string): () => ClientConfig {
  let last = configOf(Class, url);
  return () => {
    try {
      last = configOf(Class, url);
    } catch {
      // It was read before.
    }
    return last;
  };
}
