/** WebSockets: which user, which device, which protocol; from there on, a session. */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { expiryOf } from '../../access/access.js';
import type { DocumentRegistry, Lease } from '../../documents/registry.js';
import { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { Following } from '../../documents/sleep/followed-documents.js';
import type { Backlog } from '../../documents/turns/backlog.js';
import type { UserDocument } from '../../documents/user-document.js';
import { ERRORS, SyncError } from '../../errors.js';
import { openShared, type SharedAccess } from '../guard/shared-access.js';
import { JSON_LIMIT_FACTOR } from '../json/message-reader.js';
import { JsonSession } from '../json/session.js';
import { SharedFrames } from '../yjs/line.js';
import { YjsSession } from '../yjs/session.js';
import { type HandshakeOptions, Handshakes, type Peer } from './handshake.js';
import { endSoon, prove, refuse, turnAway, webSocketServer } from './rejections.js';
import type { Socket, SocketOptions } from './socket.js';
import type { Via } from './upgrade-request.js';
import { socketOptionsOf, type Wire, type WireOptions, wire } from './wire.js';

export interface UpgradeOptions extends WireOptions, HandshakeOptions {
  readonly registry: DocumentRegistry;
  readonly backlog: Backlog;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

type Session = YjsSession | JsonSession;

interface Connection {
  readonly peer: Peer;
  readonly wire: Wire;
  session: Session | null;
  /** The user's document, and the shared one, once they are open. */
  lease: Lease | Following | null;
  shared: SharedAccess | null;
  /** Nothing more is taken from it. */
  isShut: boolean;
  expiry: NodeJS.Timeout | undefined;
  /** When its access was last asked for. */
  checkedAt: number;
}

const connectionOf = (peer: Peer, wire: Wire, checkedAt: number): Connection => ({
  peer,
  wire,
  session: null,
  lease: null,
  shared: null,
  isShut: false,
  expiry: undefined,
  checkedAt,
});

/** Lets go of the documents, as far as they are open; each may be released more than once. */
function release({ lease, shared }: Connection): void {
  lease?.release();
  shared?.release();
}

const TICK = 3_000;
const TOO_LATE = 'The document could not be loaded in time; connect again.';
const ACCESS_CHANGED = 'What this token gives access to has changed; connect again.';
/** The longest time that a Node timer can wait, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** The JSON of a record may be larger than what it takes of its document: what is escaped takes twice as much. */
const JSON_OF_DOCUMENT = 2;

export class UpgradeGateway {
  readonly #options: UpgradeOptions;
  readonly #connections = new Set<Connection>();
  readonly #handshakes: Handshakes;
  readonly #frames = new SharedFrames();
  readonly #timers: NodeJS.Timeout[];
  readonly #servers: Record<Via, WebSocketServer>;
  readonly #sockets: Readonly<Record<Via, SocketOptions>>;

  constructor(server: Server, options: UpgradeOptions) {
    this.#options = options;
    this.#sockets = { yjs: socketOptionsOf('yjs', options), json: socketOptionsOf('json', options) };
    const { maxNativeMessage, maxJsonMessage, maxDocument, pingInterval } = options.config;
    this.#handshakes = new Handshakes(options);
    this.#servers = {
      yjs: webSocketServer(maxNativeMessage),
      // How much a device may send is known once its document is loaded; none may send more than this.
      json: webSocketServer(Math.max(maxJsonMessage * JSON_LIMIT_FACTOR, maxDocument * JSON_OF_DOCUMENT)),
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

  /** Connections by their protocol. */
  get connections(): Readonly<Record<Via, number>> {
    const counts = { yjs: 0, json: 0 };
    for (const { wire } of this.#connections) counts[wire.via]++;
    return counts;
  }

  /** Takes no new connections and reads no more from those that are open; what has come in is handled. */
  stopReading(): void {
    this.#handshakes.close();
    for (const timer of this.#timers) clearInterval(timer);
    for (const { wire } of this.#connections) {
      wire.socket.hold('stopping');
      wire.flow.drain();
    }
    this.#options.turns.hurry();
  }

  /** Resolves when what has come in is handled. */
  idle = (): Promise<void> => this.#options.turns.idle();

  /** Tells every client to come back later (1012), and waits until they are gone or `timeout` ms have passed. */
  async close(timeout: number): Promise<void> {
    const error = new SyncError('RESTARTING');
    for (const { wire } of this.#connections) wire.socket.end(error);
    const { uptime } = this.#options;
    const deadline = uptime() + timeout;
    while (this.#connections.size > 0 && uptime() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    for (const { wire } of this.#connections) wire.socket.terminate();
  }

  async #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    stream.on('error', () => stream.destroy());
    const answer = await this.#handshakes.answer(request, stream);
    switch (answer.is) {
      case 'in':
        this.#open(request, stream, head, answer.peer);
        return;
      case 'turned away':
        turnAway(request, stream, head, answer);
        return;
      case 'refused':
        refuse(stream, answer.refusal);
    }
  }

  #open(request: IncomingMessage, stream: Duplex, head: Buffer, peer: Peer): void {
    const { asked, grant } = peer;
    this.#servers[asked.via].handleUpgrade(request, stream, head, (ws) => {
      const accepted = { ws, stream: request.socket, via: asked.via, caller: grant };
      const opened = wire(accepted, this.#options, this.#sockets[accepted.via]);
      void this.#connect(ws, opened, peer);
    });
  }

  async #connect(ws: WebSocket, wire: Wire, peer: Peer): Promise<void> {
    const { config, log } = this.#options;
    const { asked, grant } = peer;
    const { socket } = wire;
    const connection = connectionOf(peer, wire, this.#options.now());
    this.#connections.add(connection);
    prove(socket, asked.challenge);
    log('connected', { user: grant.user, device: peer.device, via: asked.via });
    socket.hold('loading'); // what the client sends before the document is loaded waits in its socket (N2)
    const late = setTimeout(() => socket.end(new SyncError('OVERLOADED', TOO_LATE)), config.upgradeTimeout);
    ws.on('error', () => {}); // ws closes the connection by itself; 'close' follows and is logged
    ws.on('close', (code, reason) => {
      clearTimeout(late);
      this.#closed(connection, code, reason);
    });
    try {
      this.#endAtExpiry(connection);
      const lease = await this.#openDocuments(connection);
      clearTimeout(late);
      const isOpen = this.#connections.has(connection) && !connection.isShut && ws.readyState === ws.OPEN;
      if (!isOpen) return release(connection);
      connection.session = this.#start(connection, lease, connection.shared);
      socket.release('loading');
    } catch (error) {
      release(connection); // a client that has gone meanwhile is not told of it again
      if (!(error instanceof SyncError)) log('unexpected', { where: 'connection', error });
      socket.end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
    }
  }

  async #openDocuments(connection: Connection): Promise<Lease | Following> {
    const { access, registry } = this.#options;
    const { asked, grant } = connection.peer;
    const { user, principal, address, mayWrite } = grant;
    const action = mayWrite ? 'connect-write' : 'connect-read';
    await access.enter(principal, { user, action, via: asked.via, address });
    const lease = asked.via === 'yjs' ? await registry.follow(user) : await registry.open(user);
    connection.lease = lease;
    if (asked.via === 'json') connection.shared = await openShared(this.#options, grant);
    return lease;
  }

  #closed(connection: Connection, code: number, reason: Buffer): void {
    const { device, grant } = connection.peer;
    clearTimeout(connection.expiry);
    this.#connections.delete(connection);
    this.#leave(connection);
    const isQuote = code === ERRORS.MALFORMED_UPDATE.close;
    this.#options.log('disconnected', {
      user: grant.user,
      device,
      code,
      reason: isQuote ? '' : reason.toString(),
    });
  }

  /** What came before the connection was lost counts: it leaves behind that. */
  #leave(connection: Connection): void {
    const { session, peer, wire } = connection;
    if (session === null) {
      release(connection);
      return;
    }
    const run = (settled: () => void) => {
      settled();
      wire.flow.drain();
      session.leave();
      release(connection);
    };
    this.#options.turns.enter(peer.grant.user, { messages: 0, bytes: 0, sender: null, run });
  }

  /** Ends a connection when its token does (A4). */
  #endAtExpiry(connection: Connection): void {
    const left = expiryOf(connection.peer.grant.principal) - this.#options.now();
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
      const isRevoked = this.#options.access.isRevoked(connection.peer.grant.principal);
      if (isRevoked) this.#shut(connection, new SyncError('UNAUTHORIZED', 'The token was revoked.'));
    }
  }

  /** What was received before holds; nothing that comes after it does. */
  #shut(connection: Connection, error: SyncError): void {
    const { socket } = connection.wire;
    connection.isShut = true;
    socket.end(error);
    endSoon(socket);
  }

  #start(connection: Connection, lease: Lease | Following, shared: SharedAccess | null): Session {
    const { wire, peer } = connection;
    const { document } = lease;
    const session =
      document instanceof FollowedDocument
        ? this.#yjsSession(document, wire, peer)
        : this.#jsonSession(document, shared, wire, peer);
    const receive = (message: Uint8Array | string) => {
      if (session instanceof YjsSession) session.receive(typeof message === 'string' ? null : message);
      else session.receive(message);
      // A dry run may take long, and all sockets of a user together may send a lot meanwhile.
      const { backlog } = this.#options;
      if (backlog.isFull) wire.socket.holdUntil('disk', (over) => backlog.whenRoom(over));
      if (document.isPaused) wire.socket.holdUntil('work', (over) => document.whenReady(over));
    };
    wire.follow({
      isOpen: () => !connection.isShut,
      receive: (message, settled) => {
        this.#guard(wire.socket, () => receive(message));
        document.afterDurable(settled, settled);
      },
      pong: (payload) => session instanceof JsonSession && session.pong(payload),
    });
    this.#options.turns.first(document.user, () => this.#guard(wire.socket, () => session.start()));
    return session;
  }

  #yjsSession(document: FollowedDocument, { socket, answer }: Wire, peer: Peer): YjsSession {
    const { config, log, now, uptime } = this.#options;
    const { device, grant, asked } = peer;
    const { actor, mayWrite } = grant;
    const outbox = {
      send: (all: readonly Uint8Array[]) => socket.send(all),
      answer,
      close: (error: SyncError) => {
        // The message may quote a key of the client's data, so it does not go into the log.
        log('messageRefused', { user: document.user, device, via: 'yjs', code: error.code, reason: '' });
        this.#handshakes.noteOffence(peer, error.code);
        socket.end(error);
      },
    };
    const { maxPending, pendingTimeout } = config;
    const who = { device, actor, readOnly: !mayWrite, asksForTimes: asked.asksForTimes };
    const frames = this.#frames;
    return new YjsSession({ document, ...who, outbox, frames, now, uptime, maxPending, pendingTimeout });
  }

  #jsonSession(
    document: UserDocument,
    shared: SharedAccess | null,
    { socket, answer }: Wire,
    { device, grant }: Peer,
  ): JsonSession {
    const { config, log, now } = this.#options;
    const outbox = {
      answer: (text: string, sent: () => void) => answer([text], sent),
      send: (text: string | Buffer) => socket.sendText(text),
      ping: (payload: string) => socket.ping(payload),
      together: <Result>(work: () => Result) => socket.together(work),
      close: (error: SyncError) => socket.end(error),
    };
    const { maxDepth, maxJsonMessage: maxMessage, jsonPace: gap, bufferClose: mostBytes } = config;
    const after = (ms: number, task: () => void) => {
      const timer = setTimeout(() => this.#guard(socket, task), ms).unref();
      return () => clearTimeout(timer);
    };
    const who = { device, actor: grant.actor, readOnly: !grant.mayWrite };
    const pace = { gap, mostBytes, after };
    return new JsonSession({ document, shared, ...who, outbox, now, pace, log, maxDepth, maxMessage });
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
    this.#options.quotas.sweep();
    for (const connection of this.#connections) {
      if (connection.session instanceof YjsSession) connection.session.tick();
      void this.#checkAccess(connection);
    }
  }

  /** Ends a connection whose access is another one by now; while `ACCESS_URL` does not answer, it stays. */
  async #checkAccess(connection: Connection): Promise<void> {
    const { recheck, mayWrite } = connection.peer.grant;
    const now = this.#options.now();
    if (recheck === undefined || connection.isShut || now - connection.checkedAt < recheck.every) return;
    connection.checkedAt = now;
    const mode = await recheck.ask().catch(() => undefined);
    if (connection.isShut || mode === undefined) return;
    if (mode === null) this.#shut(connection, new SyncError('FORBIDDEN'));
    else if ((mode === 'write') !== mayWrite)
      this.#shut(connection, new SyncError('RESTARTING', ACCESS_CHANGED));
  }

  #checkLife(): void {
    for (const { wire } of this.#connections) wire.socket.checkLife();
  }
}
