/** A way to the PostgreSQL of the tests that is encrypted, as to one on another machine. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { Pair } from './certificate.js';
import { postgresAt } from './postgres.js';

/** By this, in answer to its first message, a client knows that it is to begin with TLS. */
const YES = 'S';

/**
 * Resolves with the same address, but for the way, and without what it says of TLS.
 *
 * @param pair the certificate of each connection, as its files are then
 * @param onShown is told the name in the certificate that a client shows, where it is to show one
 */
export async function useTlsDatabase(
  url: string,
  { cert, key }: Pair,
  onShown?: (name: string) => void,
): Promise<string> {
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(YES);
      const secrets = { cert: readFileSync(cert), key: readFileSync(key) };
      const asks = { requestCert: onShown !== undefined, rejectUnauthorized: false };
      const secure = new TLSSocket(socket, { isServer: true, ...asks, ...secrets });
      secure.once('secure', () => onShown?.(String(secure.getPeerCertificate().subject?.CN)));
      const database = connect(postgresAt());
      secure.pipe(database).pipe(secure);
      secure.on('error', () => database.destroy()).on('close', () => database.destroy());
      database.on('error', () => secure.destroy());
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return url.replace(/@[^/?]*\//, `@127.0.0.1:${port}/`).replace(/(?<=[?&])host=[^&]*&?/, ''); // a socket, maybe
}
