/** The WebSocket door: which user, which device, which protocol; from there on, a session. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket, WebSocketServer } from 'ws';
import { ERRORS, type ErrorCode, SyncError } from '../../shared/errors.js';
import type { DeviceId } from '../../shared/names.js';
import { type Access, expiryOf } from '../access.js';
import type { Config } from '../config.js';
import type { DocumentRegistry, Lease } from '../documents/registry.js';
import type { UserDocument } from '../documents/user-document.js';
import type { Log } from '../log.js';
import { addressOf } from './address.js';
import { JsonSession } from './json-session.js';
import { Offences } from './offences.js';
import { isForeign } from './origin.js';
import { Socket } from './socket.js';
import { endSoon, refuse, turnAway, webSocketServer } from './upgrade-answers.js';
import { offenderOf, readRequest, type UpgradeRequest, userIn, type Via } from './upgrade-request.js';
import { letIn, logRefusal, type Visitor } from './visitor.js';
import { YjsSession } from './yjs-session.js';

export interface UpgradeOptions {
  readonly config: Config;
  readonly access: Access;
  readonly registry: DocumentRegistry;
  readonly log: Log;
  readonly now: () => number;
  readonly newDeviceId: () => DeviceId;
}

type Session = YjsSession | JsonSession;

/** Somebody who came in: who, with which device, over which protocol. */
interface Guest {
  readonly visitor: Visitor;
  readonly device: DeviceId;
  readonly asked: UpgradeRequest;
}

interface Connection {
  readonly guest: Guest;
  readonly socket: Socket;
  session: Session | null;
  /** Nothing more is taken from it. */
  isShut: boolean;
  expiry: NodeJS.Timeout | undefined;
}

const TICK = 3_000;
/** The longest time that a Node timer can wait, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1;
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
    server.on('upgrade', (request, stream, head) => void this.#onUpgrade(request, stream, head));
    options.access.onRevoked(() => this.#endRevoked());
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

  async #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    stream.on('error', () => stream.destroy());
    const asked = readRequest(request);
    const early = this.#refusalOf(request, null);
    if (asked === null || early !== null) {
      this.#refuse(request, stream, early ?? 'NOT_FOUND');
      return;
    }
    const guest = await this.#door(request, asked);
    const late = this.#refusalOf(request, guest instanceof SyncError ? null : asked);
    if (late !== null) this.#refuse(request, stream, late);
    else if (guest instanceof SyncError) turnAway(request, stream, head, guest);
    else this.#servers[asked.via].handleUpgrade(request, stream, head, (ws) => void this.#connect(ws, guest));
  }

  /** Who comes in, or why not; nothing of any document is looked at. */
  async #door(request: IncomingMessage, asked: UpgradeRequest): Promise<Guest | SyncError> {
    const { access, log, newDeviceId } = this.#options;
    try {
      const visitor = await letIn(access, request, () => userIn(asked));
      return { visitor, asked, device: asked.device ?? newDeviceId() };
    } catch (error) {
      if (!(error instanceof SyncError)) {
        log('unexpected', { where: 'the door', error });
        return new SyncError('INTERNAL');
      }
      if (asked.problem === error.code) this.#logRefused(request, error.code);
      else logRefusal(log, request, error);
      return error;
    }
  }

  /** @param asked once it is known that the client may come in */
  #refusalOf(request: IncomingMessage, asked: UpgradeRequest | null): ErrorCode | null {
    if (this.#closing) return 'RESTARTING';
    if (isForeign(this.#options.config.corsOrigins, request)) return 'ORIGIN_REFUSED';
    return asked !== null && this.#offences.isBlocked(offenderOf(asked)) ? 'TOO_MANY_CLOSES' : null;
  }

  #refuse(request: IncomingMessage, stream: Duplex, code: ErrorCode): void {
    this.#logRefused(request, code);
    refuse(stream, code);
  }

  #logRefused(request: IncomingMessage, code: ErrorCode): void {
    const { status } = ERRORS[code];
    this.#options.log('upgradeRefused', {
      url: request.url ?? '',
      address: addressOf(request),
      status,
      code,
    });
  }

  async #connect(ws: WebSocket, guest: Guest): Promise<void> {
    const { access, log, registry } = this.#options;
    const { device, asked, visitor } = guest;
    const { user, principal, address, mayWrite } = visitor;
    const socket = new Socket(ws);
    const connection: Connection = { guest, socket, session: null, isShut: false, expiry: undefined };
    let lease: Lease | null = null;
    this.#connections.add(connection);
    log('connected', { user, device, via: asked.via });
    ws.on('error', () => {}); // ws closes the connection by itself; 'close' follows and is logged
    ws.on('close', (code, reason) => {
      clearTimeout(connection.expiry);
      this.#connections.delete(connection);
      connection.session?.leave();
      lease?.release();
      const isQuote = code === ERRORS.MALFORMED_UPDATE.close;
      log('disconnected', { user, device, code, reason: isQuote ? '' : reason.toString() });
    });
    ws.pause(); // what the client sends before the document is loaded waits in its socket (N2)
    try {
      this.#endAtExpiry(connection);
      const action = mayWrite ? 'connect-write' : 'connect-read';
      await access.enter(principal, { user, action, via: asked.via, address });
      lease = await registry.open(user);
      if (!this.#connections.has(connection) || connection.isShut) {
        lease.release();
        return;
      }
      connection.session = this.#start(ws, connection, lease);
      if (!this.#closing) ws.resume();
    } catch (error) {
      ws.resume();
      if (!(error instanceof SyncError)) log('unexpected', { where: 'connection', error });
      socket.end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
    }
  }

  /** Ends a connection when its token does (A4). */
  #endAtExpiry(connection: Connection): void {
    const left = expiryOf(connection.guest.visitor.principal) - this.#options.now();
    if (left === Number.POSITIVE_INFINITY) return;
    if (left <= 0) this.#shut(connection, new SyncError('UNAUTHORIZED', 'The token has expired.'));
    else
      connection.expiry = setTimeout(
        () => this.#endAtExpiry(connection),
        Math.min(left, LONGEST_TIMER),
      ).unref();
  }

  #endRevoked(): void {
    for (const connection of this.#connections) {
      const isRevoked = this.#options.access.isRevoked(connection.guest.visitor.principal);
      if (isRevoked) this.#shut(connection, new SyncError('UNAUTHORIZED', 'The token was revoked.'));
    }
  }

  /** What was received before holds; nothing that comes after it does. */
  #shut(connection: Connection, error: SyncError): void {
    connection.isShut = true;
    connection.socket.resume();
    connection.socket.end(error);
    endSoon(connection.socket);
  }

  #start(ws: WebSocket, connection: Connection, lease: Lease): Session {
    const { socket, guest } = connection;
    const { document } = lease;
    const session =
      guest.asked.via === 'yjs'
        ? this.#yjsSession(document, socket, guest)
        : this.#jsonSession(document, socket, guest);
    ws.on('message', (data: RawData, isBinary) => {
      if (connection.isShut) return;
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

  #yjsSession(document: UserDocument, socket: Socket, { device, asked, visitor }: Guest): YjsSession {
    const { config, log, now } = this.#options;
    const { actor, mayWrite } = visitor;
    const outbox = {
      send: (message: Uint8Array) => socket.send(message),
      close: (error: SyncError) => {
        // The message may quote a key of the client's data, so it does not go into the log.
        log('messageRefused', { user: document.user, device, via: 'yjs', code: error.code, reason: '' });
        if (error.code === 'MALFORMED_UPDATE') this.#offences.note(offenderOf(asked));
        socket.end(error);
      },
    };
    const { maxPending, pendingTimeout } = config;
    const who = { device, actor, readOnly: !mayWrite };
    return new YjsSession({ document, ...who, outbox, now, maxPending, pendingTimeout });
  }

  #jsonSession(document: UserDocument, socket: Socket, { device, visitor }: Guest): JsonSession {
    const { config, log, now } = this.#options;
    const outbox = {
      send: (text: string | Buffer) => socket.sendText(text),
      ping: (payload: string) => socket.ping(payload),
      close: (error: SyncError) => socket.end(error),
    };
    const { maxDepth, maxJsonMessage: maxMessage } = config;
    const who = { device, actor: visitor.actor, readOnly: !visitor.mayWrite };
    return new JsonSession({ document, ...who, outbox, now, log, maxDepth, maxMessage });
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

/** ws may use the buffer of a message again; what is kept has to be a copy of its own (S2). */
function copyOf(data: RawData): Uint8Array {
  return new Uint8Array(Array.isArray(data) ? Buffer.concat(data) : data);
}
