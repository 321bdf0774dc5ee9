/** The WebSocket door: which user, which device, which protocol; from there on, a session. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket as Stream } from 'node:net';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { ERRORS, type ErrorCode, SyncError } from '../../shared/errors.js';
import type { DeviceId, UserId } from '../../shared/names.js';
import type { DocumentRegistry, Lease } from '../documents/registry.js';
import type { UserDocument } from '../documents/user-document.js';
import type { Log } from '../log.js';
import type { Refusal } from './admission.js';
import { JsonSession } from './json-session.js';
import { Offences } from './offences.js';
import type { Socket } from './socket.js';
import { offenderOf, readRequest, type UpgradeRequest, type Via } from './upgrade-request.js';
import { type Wire, type WireOptions, webSocketServer, wire } from './upgrade-wire.js';
import { YjsSession } from './yjs-session.js';

export interface UpgradeOptions extends WireOptions {
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly newDeviceId: () => DeviceId;
}

type Session = YjsSession | JsonSession;

interface Connection {
  readonly wire: Wire;
  session: Session | null;
}

const TICK = 3_000;
/** What a refused client is told to wait, in seconds. */
const RETRY_AFTER = 60;
const NOTHING_HERE: Refusal = { code: 'NOT_FOUND', retryAfter: 0 };
const TOO_LATE = 'The document could not be loaded in time; connect again.';
/** What y-websocket would send again at once after a close. */
const OFFENCES: ReadonlySet<ErrorCode> = new Set(['MALFORMED_UPDATE', 'DOCUMENT_FULL']);
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

  /** Connections by their protocol. */
  get connections(): Readonly<Record<Via, number>> {
    const counts = { yjs: 0, json: 0 };
    for (const { wire } of this.#connections) counts[wire.via]++;
    return counts;
  }

  /** Takes no new connections and reads no more from those that are open. */
  stopReading(): void {
    this.#closing = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const { wire } of this.#connections) {
      wire.socket.hold('stopping');
      wire.flow.drain();
    }
  }

  /** Tells every client to come back later (1012), and waits until they are gone or `timeout` ms have passed. */
  async close(timeout: number): Promise<void> {
    const error = new SyncError('RESTARTING');
    for (const { wire } of this.#connections) wire.socket.end(error);
    const deadline = this.#options.now() + timeout;
    while (this.#connections.size > 0 && this.#options.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const { wire } of this.#connections) wire.socket.terminate();
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on('error', () => stream.destroy());
    const { admission } = this.#options;
    const asked = readRequest(request, admission.addressOf(request));
    const refusal = this.#refusalOf(asked);
    if (asked === null || refusal !== null) {
      this.#refuse(request, stream, refusal ?? NOTHING_HERE);
      return;
    }
    stream.once('close', admission.enterSocket(asked));
    const server = this.#servers[asked.via];
    server.handleUpgrade(request, stream, head, (ws) => this.#admit(ws, request.socket, asked));
  }

  #refuse(request: IncomingMessage, stream: Duplex, { code, retryAfter }: Refusal): void {
    const { log, admission } = this.#options;
    const address = admission.addressOf(request);
    log('upgradeRefused', { url: request.url ?? '', address, status: ERRORS[code].status, code });
    refuse(stream, code, retryAfter);
  }

  #refusalOf(asked: UpgradeRequest | null): Refusal | null {
    if (this.#closing) return { code: 'RESTARTING', retryAfter: RETRY_AFTER };
    if (asked === null) return NOTHING_HERE;
    if (this.#offences.isBlocked(offenderOf(asked)))
      return { code: 'TOO_MANY_CLOSES', retryAfter: RETRY_AFTER };
    return this.#options.admission.refuseSocket(asked);
  }

  #admit(ws: WebSocket, stream: Stream, asked: UpgradeRequest): void {
    const opened = wire(ws, stream, asked.via, asked, this.#options);
    ws.on('error', () => {}); // ws closes the connection by itself; 'close' follows and is logged
    const { user, problem } = asked;
    if (user === null || problem !== null) {
      const code = problem ?? 'INVALID_IDENTITY';
      const { status } = ERRORS[code];
      this.#options.log('upgradeRefused', { url: asked.url, address: asked.address, status, code });
      opened.socket.end(new SyncError(code));
    } else void this.#connect(ws, opened, asked, user, asked.device ?? this.#options.newDeviceId());
  }

  async #connect(
    ws: WebSocket,
    wire: Wire,
    asked: UpgradeRequest,
    user: UserId,
    device: DeviceId,
  ): Promise<void> {
    const { config, log, registry } = this.#options;
    const { socket, flow } = wire;
    const connection: Connection = { wire, session: null };
    let lease: Lease | null = null;
    this.#connections.add(connection);
    log('connected', { user, device, via: asked.via });
    socket.hold('loading'); // what the client sends before the document is loaded waits in its socket (N2)
    const late = setTimeout(() => socket.end(new SyncError('OVERLOADED', TOO_LATE)), config.upgradeTimeout);
    ws.on('close', (code, reason) => {
      clearTimeout(late);
      flow.drain();
      this.#connections.delete(connection);
      connection.session?.leave();
      lease?.release();
      const isQuote = code === ERRORS.MALFORMED_UPDATE.close;
      log('disconnected', { user, device, code, reason: isQuote ? '' : reason.toString() });
    });
    try {
      lease = await registry.open(user);
      clearTimeout(late);
      if (!this.#connections.has(connection) || ws.readyState !== ws.OPEN) {
        lease.release();
        return;
      }
      connection.session = this.#start(wire, asked, lease, device);
      socket.release('loading');
    } catch (error) {
      if (!(error instanceof SyncError)) log('unexpected', { where: 'connection', error });
      socket.end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
    }
  }

  #start(wire: Wire, asked: UpgradeRequest, lease: Lease, device: DeviceId): Session {
    const { document } = lease;
    const session =
      asked.via === 'yjs'
        ? this.#yjsSession(document, wire, device, asked)
        : this.#jsonSession(document, wire, device);
    const receive = (message: Uint8Array | string) => {
      if (session instanceof YjsSession) session.receive(typeof message === 'string' ? null : message);
      else session.receive(typeof message === 'string' ? message : null);
    };
    wire.follow(
      (message) => this.#guard(wire.socket, () => receive(message)),
      (payload) => session instanceof JsonSession && session.pong(payload),
    );
    session.start();
    return session;
  }

  #yjsSession(
    document: UserDocument,
    { socket, answer }: Wire,
    device: DeviceId,
    asked: UpgradeRequest,
  ): YjsSession {
    const { config, log, now } = this.#options;
    const outbox = {
      send: (message: Uint8Array) => socket.send(message),
      answer,
      close: (error: SyncError) => {
        // The message may quote a key of the client's data, so it does not go into the log.
        log('messageRefused', { user: document.user, device, via: 'yjs', code: error.code, reason: '' });
        if (OFFENCES.has(error.code)) this.#offences.note(offenderOf(asked));
        socket.end(error);
      },
    };
    const { maxPending, pendingTimeout } = config;
    return new YjsSession({ document, device, outbox, now, maxPending, pendingTimeout });
  }

  #jsonSession(document: UserDocument, { socket, answer }: Wire, device: DeviceId): JsonSession {
    const { config, log, now } = this.#options;
    const outbox = {
      answer,
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
    this.#options.admission.sweep();
    for (const { session } of this.#connections) if (session instanceof YjsSession) session.tick();
  }

  #checkLife(): void {
    for (const { wire } of this.#connections) wire.socket.checkLife();
  }
}

function refuse(stream: Duplex, code: ErrorCode, retryAfter: number): void {
  const { status, message } = ERRORS[code];
  const body = JSON.stringify({ code, message });
  stream.once('finish', () => stream.destroy());
  const later = retryAfter === 0 ? '' : `Retry-After: ${retryAfter}\r\n`;
  stream.end(
    `HTTP/1.1 ${status} ${code}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n${later}\r\n${body}`,
  );
}
