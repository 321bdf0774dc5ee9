import type { Socket } from 'node:net';

/** Bytes go both ways, and each ends with the other. */
export function joinSockets(client: Socket, server: Socket): void {
  client.pipe(server).pipe(client);
  for (const [one, other] of [
    [client, server],
    [server, client],
  ] as const)
    one.on('error', () => other.destroy()).on('close', () => other.destroy());
}
