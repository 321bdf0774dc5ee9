/** The WebSocket door: which user, which device, which protocol; from there on, a session. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { ERRORS, type ErrorCode, SyncError } from '../../shared/errors.js';
import { type DeviceId, isDeviceId, isUserId, type UserId } from '../../shared/names.js';
import type { Config } from '../config.js';
import type { DocumentRegistry, Lease } from '../documents/registry.js';
import type { Log } from '../log.js';
import { JsonSession } from './json-session.js';
import { Offences } from './offences.js';
import { Socket } from './socket.js';
import { YjsSession } from './yjs-session.js';

export interface UpgradeOptions {
  readonly config: Config;
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly now: () => number;
  readonly newDeviceId: () => DeviceId;
}

type Via = 'yjs' | 'json';
type Session = YjsSession | JsonSession;

/** Who asks to come in. */
interface Request {
  readonly via: Via;
  readonly user: UserId | null;
  /** `null` for a native device that did not name itself. */
  readonly device: DeviceId | null;
  /** What is wrong with the user or device as given. */
  readonly problem: ErrorCode | null;
  readonly address: string;
}

interface Connection {
  readonly socket: Socket;
  session: Session | null;
}

const TICK = 3_000;
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

  #refusalOf(asked: Request | null): ErrorCode | null {
    if (this.#closing) return 'RESTARTING';
    if (asked === null) return 'NOT_FOUND';
    return this.#offences.isBlocked(offenderOf(asked)) ? 'TOO_MANY_CLOSES' : null;
  }

  #admit(ws: WebSocket, asked: Request): void {
    const socket = new Socket(ws);
    ws.on('error', () => {}); // ws closes the connection by itself; 'close' follows and is logged
    const { user, problem } = asked;
    if (user === null || problem !== null) socket.end(new SyncError(problem ?? 'INVALID_IDENTITY'));
    else void this.#connect(ws, socket, asked, user, asked.device ?? this.#options.newDeviceId());
  }

  async #connect(
    ws: WebSocket,
    socket: Socket,
    asked: Request,
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
      if (code === ERRORS.MALFORMED_UPDATE.close) this.#offences.note(offenderOf(asked));
      log('disconnected', { user, device, code, reason: reason.toString() });
    });
    ws.pause(); // what the client sends before the document is loaded waits in its socket (N2)
    try {
      lease = await registry.open(user);
      if (!this.#connections.has(connection)) {
        lease.release();
        return;
      }
      connection.session = this.#start(ws, socket, asked.via, lease, device);
      if (!this.#closing) ws.resume();
    } catch (error) {
      ws.resume();
      if (!(error instanceof SyncError)) log('unexpected', { where: 'connection', error });
      socket.end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
    }
  }

  #start(ws: WebSocket, socket: Socket, via: Via, lease: Lease, device: DeviceId): Session {
    const { document } = lease;
    if (via === 'yjs') {
      const session = this.#yjsSession(document, socket, device);
      ws.on('message', (data: RawData, isBinary) => {
        socket.noteLife();
        if (isBinary) this.#guard(socket, () => session.receive(copyOf(data)));
        else socket.end(new SyncError('MALFORMED_UPDATE', 'A text message where bytes are expected.'));
      });
      session.start();
      return session;
    }
    const session = this.#jsonSession(document, socket, device);
    ws.on('message', (data: RawData, isBinary) => {
      socket.noteLife();
      this.#guard(socket, () => {
        if (isBinary)
          session.refuse(new SyncError('INVALID_JSON', 'A binary message where text is expected.'));
        else session.receive(data.toString());
      });
    });
    ws.on('pong', (payload) => session.pong(payload.toString()));
    session.start();
    return session;
  }

  #yjsSession(document: Lease['document'], socket: Socket, device: DeviceId): YjsSession {
    const { config, log, now } = this.#options;
    const outbox = {
      send: (message: Uint8Array) => socket.send(message),
      close: (error: SyncError) => {
        log('messageRefused', { user: document.user, device, via: 'yjs', code: error.code });
        socket.end(error);
      },
    };
    const { maxPending, pendingTimeout } = config;
    return new YjsSession({ document, device, outbox, now, maxPending, pendingTimeout });
  }

  #jsonSession(document: Lease['document'], socket: Socket, device: DeviceId): JsonSession {
    const { config, log, now } = this.#options;
    const outbox = {
      send: (text: string) => socket.send(text),
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
  return new Uint8Array(Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer));
}

const NATIVE_PATH = /^\/yjs\/([^/]+)$/;

/** `null` for an address where there is no WebSocket. */
function readRequest(request: IncomingMessage): Request | null {
  const url = parseUrl(request.url ?? '');
  if (url === null) return null;
  const native = NATIVE_PATH.exec(url.pathname);
  if (native === null && url.pathname !== '/sync') return null;
  const via: Via = native === null ? 'json' : 'yjs';
  const userParam = native === null ? url.searchParams.get('userId') : decode(native[1] ?? '');
  const deviceParam = url.searchParams.get('deviceId');
  return {
    via,
    user: isUserId(userParam) ? userParam : null,
    device: isDeviceId(deviceParam) ? deviceParam : null,
    problem: problemWith(via, userParam, deviceParam),
    address: addressOf(request),
  };
}

function problemWith(via: Via, user: string | null, device: string | null): ErrorCode | null {
  if (via === 'json' && (!user || !device)) return 'MISSING_IDENTITY';
  const isValid = isUserId(user) && (isDeviceId(device) || (via === 'yjs' && !device));
  return isValid ? null : 'INVALID_IDENTITY';
}

function parseUrl(path: string): URL | null {
  try {
    return new URL(path, 'http://server');
  } catch {
    return null;
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

const addressOf = (request: IncomingMessage): string => request.socket.remoteAddress ?? '';
const offenderOf = ({ user, device, address }: Request): string => JSON.stringify([user, device, address]);

function refuse(stream: Duplex, code: ErrorCode): void {
  const { status, message } = ERRORS[code];
  const body = JSON.stringify({ code, message });
  stream.end(
    `HTTP/1.1 ${status} ${code}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nRetry-After: 30\r\n\r\n${body}`,
  );
}
