/** WebSockets that are opened by a route: who may, is asked there as of any other request. */
import { type IncomingMessage, type RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { SyncError } from '../../errors.js';

interface Upgrade {
  readonly response: ServerResponse;
  readonly stream: Socket;
  readonly head: Buffer;
}

type UpgradeListener = (request: IncomingMessage, stream: Duplex, head: Buffer) => void;

const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** An upgrade to this address goes through the routes, which refuse it as they refuse a request; others do not. */
export const withRouted =
  (address: string, http: RequestListener, others: UpgradeListener): UpgradeListener =>
  (request, stream, head) => {
    const [path] = (request.url ?? '').split('?', 1);
    if (path === address) route(http, request, stream as Socket, head);
    else others(request, stream, head);
  };

function route(http: RequestListener, request: IncomingMessage, stream: Socket, head: Buffer): void {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  stream.on('error', () => stream.destroy());
  try {
    response.assignSocket(stream);
  } catch {
    // The answer to a request before it still holds the connection: no client upgrades without waiting for that.
    stream.destroy();
    return;
  }
  // One that keeps its side open is not waited for: nobody reads there any more, and no timeout of HTTP is left.
  response.once('finish', () => stream.destroySoon());
  upgrades.set(request, { response, stream, head });
  http(request, response);
}

/** The upgrade that this request is; from now on it is answered by whoever asked, and by no route. */
export function upgradeOf(request: IncomingMessage): Pick<Upgrade, 'stream' | 'head'> {
  const upgrade = upgrades.get(request);
  if (upgrade === undefined)
    throw new SyncError('INVALID_MESSAGE', 'Here is a WebSocket, and nothing else: connect with one.');
  upgrades.delete(request);
  const { response, stream, head } = upgrade;
  response.detachSocket(stream);
  return { stream, head };
}
