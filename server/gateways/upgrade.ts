/** The WebSocket door: which user, which device, which protocol; from there on, a session. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { ERRORS, type ErrorCode, SyncError } from '../../shared/errors.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import type { Config } from '../config.js';
import type { DocumentRegistry, Lease } from '../documents/registry.js';
import type { UserDocument } from '../documents/user-document.js';
import type { Log } from '../log.js';
import { JsonSession } from './json-session.js';
import { Offences } from './offences.js';
import { Socket } from './socket.js';
import { addressOf, offenderOf, readRequest, type UpgradeRequest, type Via } from './upgrade-request.js';
import { YjsSession } from './yjs-session.js';

export interface UpgradeOptions {
  readonly config: Config;
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly now: () => number;
  readonly newDeviceId: () => DeviceId;
}

type Session = YjsSession | JsonSession;

interface Connection {
  readonly socket: Socket;
  session: Session | null;
}

const TICK = 3_000;
/** What counts as an offence (N8): the client would send the same again. */
const OFFENCES: ReadonlySet<ErrorCode> = new Set(['MALFORMED_UPDATE', 'UPDATE_TOO_COSTLY']);
/** What a refused client is told to wait, in seconds. */
const RETRY_AFTER = 60;
/** A message of a JSON device beyond this many times the limit ends the connection (L10). */
const JSON_LIMIT_FACTOR = 16;

export class UpgradeGateway {
  readonly #options: UpgradeOptions;
  readonly #connections = new Set<Connection>();
  readonly #offences: Offences;
  readonly #timers: NodeJS.Timeout[];
  readonly #servers: Record<Via, WebSocketServer>;
  #closing = false;

  constructor(server: Server, options: UpgradeOptions) {
    this.#options = options;
    const { maxNativeMessage, maxJsonMessage, pingInterval } = options.config;
    this.#offences = new Offences(options.now);
    this.#servers = {
      yjs: webSocketServer(maxNativeMessage),
      json: webSocketServer(maxJsonMessage * JSON_LIMIT_FACTOR),
    };
    server.on('upgrade', (request, stream, head) => this.#onUpgrade(request, stream, head));
    this.#timers = [
      setInterval(() => this.#tick(), TICK).unref(),
      setInterval(() => this.#checkLife(), pingInterval).unref(),
    ];
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Takes no new connections and reads no more from those that are open. */
  stopReading(): void {
    this.#closing = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const { socket } of this.#connections) socket.pause();
  }

  /** Tells every client to come back later (1012), and waits until they are gone or `timeout` ms have passed. */
  async close(timeout: number): Promise<void> {
    const error = new SyncError('RESTARTING');
    for (const { socket } of this.#connections) {
      socket.resume();
      socket.end(error);
    }
    const deadline = this.#options.now() + timeout;
    while (this.#connections.size > 0 && this.#options.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const { socket } of this.#connections) socket.terminate();
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on('error', () => stream.destroy());
    const asked = readRequest(request);
    const refusal = this.#refusalOf(asked);
    if (asked === null || refusal !== null) {
      const code = refusal ?? 'NOT_FOUND';
      const { status } = ERRORS[code];
      this.#options.log('upgradeRefused', {
        url: request.url ?? '',
        address: addressOf(request),
        status,
        code,
      });
      refuse(stream, code);
      return;
    }
    const server = this.#servers[asked.via];
    server.handleUpgrade(request, stream, head, (ws) => this.#admit(ws, asked));
  }

  #refusalOf(asked: UpgradeRequest | null): ErrorCode | null {
    if (this.#closing) return 'RESTARTING';
    if (asked === null) return 'NOT_FOUND';
    return this.#offences.isBlocked(offenderOf(asked)) ? 'TOO_MANY_CLOSES' : null;
  }

  #admit(ws: WebSocket, asked: UpgradeRequest): void {
    const socket = new Socket(ws);
    ws.on('error', () => {}); // ws closes the connection by itself; 'close' follows and is logged
    const { user, problem } = asked;
    if (user === null || problem !== null) {
      const code = problem ?? 'INVALID_IDENTITY';
      const { status } = ERRORS[code];
      this.#options.log('upgradeRefused', { url: asked.url, address: asked.address, status, code });
      socket.end(new SyncError(code));
    } else void this.#connect(ws, socket, asked, user, asked.device ?? this.#options.newDeviceId());
  }

  async #connect(
    ws: WebSocket,
    socket: Socket,
    asked: UpgradeRequest,
    user: UserId,
    device: DeviceId,
  ): Promise<void> {
    const { log, registry } = this.#options;
    const connection: Connection = { socket, session: null };
    let lease: Lease | null = null;
    this.#connections.add(connection);
    log('connected', { user, device, via: asked.via });
    ws.on('close', (code, reason) => {
      this.#connections.delete(connection);
      connection.session?.leave();
      lease?.release();
      const isQuote = code === ERRORS.MALFORMED_UPDATE.close;
      log('disconnected', { user, device, code, reason: isQuote ? '' : reason.toString() });
    });
    ws.pause(); // what the client sends before the document is loaded waits in its socket (N2)
    try {
      lease = await registry.open(user);
      if (!this.#connections.has(connection)) {
        lease.release();
        return;
      }
      connection.session = this.#start(ws, socket, asked, lease, device);
      if (!this.#closing) ws.resume();
    } catch (error) {
      ws.resume();
      if (!(error instanceof SyncError)) log('unexpected', { where: 'connection', error });
      socket.end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
    }
  }

  #start(ws: WebSocket, socket: Socket, asked: UpgradeRequest, lease: Lease, device: DeviceId): Session {
    const { document } = lease;
    const session =
      asked.via === 'yjs'
        ? this.#yjsSession(document, socket, device, offenderOf(asked))
        : this.#jsonSession(document, socket, device);
    ws.on('message', (data: RawData, isBinary) => {
      socket.noteLife();
      this.#guard(socket, () => {
        if (session instanceof YjsSession) session.receive(isBinary ? copyOf(data) : null);
        else session.receive(isBinary ? null : data.toString());
      });
    });
    if (session instanceof JsonSession) ws.on('pong', (payload) => session.pong(payload.toString()));
    session.start();
    return session;
  }

  #yjsSession(document: UserDocument, socket: Socket, device: DeviceId, offender: string): YjsSession {
    const { config, log, now } = this.#options;
    const outbox = {
      send: (message: Uint8Array) => socket.send(message),
      close: (error: SyncError) => {
        // The message may quote a key of the client's data, so it does not go into the log.
        log('messageRefused', { user: document.user, device, via: 'yjs', code: error.code, reason: '' });
        if (OFFENCES.has(error.code)) this.#offences.note(offender);
        socket.end(error);
      },
    };
    const { maxPending, pendingTimeout } = config;
    return new YjsSession({ document, device, outbox, now, maxPending, pendingTimeout });
  }

  #jsonSession(document: UserDocument, socket: Socket, device: DeviceId): JsonSession {
    const { config, log, now } = this.#options;
    const outbox = {
      send: (text: string | Buffer) => socket.sendText(text),
      ping: (payload: string) => socket.ping(payload),
      close: (error: SyncError) => socket.end(error),
    };
    const { maxDepth, maxJsonMessage: maxMessage } = config;
    return new JsonSession({ document, device, outbox, now, log, maxDepth, maxMessage });
  }

  /** A fault of ours ends this connection, not the process. */
  #guard(socket: Socket, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.log('unexpected', { where: 'message', error });
      socket.end(new SyncError('INTERNAL'));
    }
  }

  #tick(): void {
    for (const { session } of this.#connections) if (session instanceof YjsSession) session.tick();
  }

  #checkLife(): void {
    for (const { socket } of this.#connections) socket.checkLife();
  }
}

function webSocketServer(limit: number): WebSocketServer {
  const maxPayload = Number.isFinite(limit) ? limit : 0;
  return new WebSocketServer({ noServer: true, maxPayload, perMessageDeflate: false });
}

/** ws may use the buffer of a message again; what is kept has to be a copy of its own (S2). */
function copyOf(data: RawData): Uint8Array {
  return new Uint8Array(Array.isArray(data) ? Buffer.concat(data) : data);
}

function refuse(stream: Duplex, code: ErrorCode): void {
  const { status, message } = ERRORS[code];
  const body = JSON.stringify({ code, message });
  stream.once('finish', () => stream.destroy());
  const later = code === 'NOT_FOUND' ? '' : `Retry-After: ${RETRY_AFTER}\r\n`;
  stream.end(
    `HTTP/1.1 ${status} ${code}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n${later}\r\n${body}`,
  );
}
