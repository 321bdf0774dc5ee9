/** What a client is told whose WebSocket is refused. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { ERRORS, type SyncError } from '../../errors.js';
import { messages } from '../../protocol/yjs.js';
import { BEARER } from '../guard/authorize.js';
import type { Refusal } from '../guard/quotas.js';
import { Socket } from './socket.js';

/** A client that gets a close code instead of a session can send little, and has to go soon. */
const MAX_LAST_WORDS = 65_536;
const LAST_WORDS_TIME = 2_000;
const UNBOUNDED = { bufferPause: Number.POSITIVE_INFINITY, bufferClose: Number.POSITIVE_INFINITY };

/** Decompression stays off: what a small frame becomes would not be bounded by what came. */
export function webSocketServer(limit: number): WebSocketServer {
  const maxPayload = Number.isFinite(limit) ? limit : 0;
  return new WebSocketServer({
    noServer: true,
    maxPayload,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols,
  });
}

/** Beside `bearer` stands a token, which is not sent back (A3). */
function handleProtocols(offered: Set<string>): string | false {
  const [first = false] = offered;
  return offered.has(BEARER) ? BEARER : first;
}

/** An upgrade that is told something by a WebSocket. */
export interface Door {
  readonly request: IncomingMessage;
  readonly stream: Duplex;
  readonly head: Buffer;
  readonly challenge: string | null;
}

const doorstep = webSocketServer(MAX_LAST_WORDS);

/**
 * Opens the WebSocket only to close it: browsers can't read the status of an upgrade that failed, and y-websocket
 * takes 4400 to 4499 as final (A4). Nothing of a document is loaded.
 */
export function turnAway(
  request: IncomingMessage,
  stream: Duplex,
  head: Buffer,
  { error, challenge }: { readonly error: SyncError; readonly challenge: string | null },
): void {
  openDoor({ request, stream, head, challenge }, (socket) => {
    socket.end(error);
    endSoon(socket);
  });
}

/** Opens the WebSocket, and no session. */
export function openDoor({ request, stream, head, challenge }: Door, then: (socket: Socket) => void): void {
  doorstep.handleUpgrade(request, stream, head, (ws) => {
    ws.on('error', () => {}); // ws closes the connection by itself
    const socket = new Socket(ws, request.socket, UNBOUNDED);
    prove(socket, challenge);
    then(socket);
  });
}

/** For a stream that fails before anybody has it. */
export function destroyed(this: Duplex): void {
  this.destroy();
}

/** Says, first of all, that it is this server that speaks (C10). */
export function prove(socket: Socket, challenge: string | null): void {
  if (challenge !== null) socket.send([messages.proof(challenge)]);
}

/** A peer that does not answer the close is not waited for. */
export function endSoon(socket: Socket): void {
  setTimeout(() => socket.terminate(), LAST_WORDS_TIME).unref();
}

/** Answers an upgrade with HTTP. */
export function refuse(stream: Duplex, { code, retryAfter }: Refusal): void {
  const { status, message } = ERRORS[code];
  const body = JSON.stringify({ code, message });
  stream.once('finish', () => stream.destroy());
  const later = retryAfter === 0 ? '' : `Retry-After: ${retryAfter}\r\n`;
  stream.end(
    `HTTP/1.1 ${status} ${code}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n${later}\r\n${body}`,
  );
}
