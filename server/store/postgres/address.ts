/** What the address of a PostgreSQL says, with what the files hold that it names. */
import type { Client, ClientConfig } from 'pg';
import { noAddress } from './failures.js';

type ClientClass = new (config: ClientConfig) => Client;

/** What an address says of TLS. */
const TLS = /([?&])(?:ssl\w*|uselibpqcompat)=[^&]*/g;

/** @throws SyncError with a sentence, where this is no address, or names a file that can't be read */
export function clientOf(Class: ClientClass, config: ClientConfig): Client {
  try {
    return new Class(config);
  } catch (cause) {
    throw noAddress(cause);
  }
}

/**
 * For each connection the driver would read the files of the address again, also for those that a pool makes by itself:
 * where one can't be read then, nobody catches that, and the process ends. So they are read here, once for many.
 *
 * @throws SyncError as `clientOf` does
 */
export function configOf(Class: ClientClass, url: string): ClientConfig {
  const client: unknown = clientOf(Class, { connectionString: url });
  const { ssl, sslNegotiation } = client as {
    readonly ssl: NonNullable<ClientConfig['ssl']>;
    readonly sslNegotiation?: ClientConfig['sslnegotiation'];
  };
  return { connectionString: url.replace(TLS, '$1'), ssl, sslnegotiation: sslNegotiation };
}
