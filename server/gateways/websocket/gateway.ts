/** WebSockets: which user, which device, which protocol; from there on, a session. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocket, WebSocketServer } from 'ws';
import { type DeviceId, SHARED_DOCUMENT, type UserId } from '../../../shared/names.js';
import { expiryOf, type Recheck } from '../../access/access.js';
import type { Hops } from '../../cluster/hops.js';
import type { DocumentRegistry } from '../../documents/registry.js';
import type { ConnectedDevice } from '../../documents/seen-devices.js';
import type { FollowedDocument } from '../../documents/sleep/followed-document.js';
import type { Following } from '../../documents/sleep/followed-documents.js';
import type { Backlog } from '../../documents/turns/backlog.js';
import { ERRORS, type ErrorCode, SyncError } from '../../errors.js';
import type { Log } from '../../log.js';
import { openShared } from '../guard/shared-access.js';
import { JSON_LIMIT_FACTOR } from '../json/message-reader.js';
import { JsonSession } from '../json/session.js';
import { SharedFrames } from '../yjs/line.js';
import { YjsSession } from '../yjs/session.js';
import { Connection, type ConnectionHost, type Guest, release, soon } from './connection.js';
import { OpenConnections } from './connections.js';
import { type HandshakeOptions, Handshakes, type Peer } from './handshake.js';
import { WireOutbox } from './json-outbox.js';
import { PutOff } from './put-off.js';
import { destroyed, endSoon, prove, refuse, turnAway, webSocketServer } from './rejections.js';
import type { Socket } from './socket.js';
import { isOwner } from './to-owner.js';
import type { Via } from './upgrade-request.js';
import { Wire, type WireOptions, Wires } from './wire.js';
import { type YjsCommon, YjsSide } from './yjs-side.js';

export interface UpgradeOptions extends WireOptions, HandshakeOptions {
  readonly registry: DocumentRegistry;
  readonly backlog: Backlog;
  /** Other nodes; `null` for a server that is alone. */
  readonly hops: Hops | null;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
}

const ignored = (): void => {};
const TICK = 3_000;
/** How long one that is cut off may take to be gone, in ms. */
const CUT_OFF = 50;
const TOO_LATE = 'The document could not be loaded in time; connect again.';
const ACCESS_CHANGED = 'What this token gives access to has changed; connect again.';
/** The longest time that a Node timer can wait, in ms. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** The JSON of a record may be larger than what it takes of its document: what is escaped takes twice as much. */
const JSON_OF_DOCUMENT = 2;

export class UpgradeGateway implements ConnectionHost {
  readonly #options: UpgradeOptions;
  /** Those that are open. */
  readonly connections = new OpenConnections();
  readonly #handshakes: Handshakes;
  readonly #putOff: PutOff;
  readonly #yjs: YjsCommon;
  readonly #timers: NodeJS.Timeout[];
  readonly #servers: Record<Via, WebSocketServer>;
  readonly #wires: Readonly<Record<Via, Wires>>;

  constructor(options: UpgradeOptions) {
    this.#options = options;
    this.#wires = { yjs: new Wires('yjs', options), json: new Wires('json', options) };
    const { now, uptime, config } = options;
    const { maxNativeMessage, maxJsonMessage, maxDocument, pingInterval } = config;
    const { maxPending, pendingTimeout } = config;
    this.#yjs = { frames: new SharedFrames(), now, uptime, maxPending, pendingTimeout };
    this.#handshakes = new Handshakes(options);
    this.#putOff = new PutOff(options);
    this.#servers = {
      yjs: webSocketServer(maxNativeMessage),
      // How much a device may send is known once its document is loaded; none may send more than this.
      json: webSocketServer(Math.max(maxJsonMessage * JSON_LIMIT_FACTOR, maxDocument * JSON_OF_DOCUMENT)),
    };
    options.access.onRevoked(() => this.#endRevoked());
    this.#timers = [
      setInterval(() => this.#tick(), TICK).unref(),
      setInterval(() => this.#checkLife(), pingInterval).unref(),
    ];
  }

  /** For the operator. The shared document belongs to nobody, and so do its devices. */
  #noteSeen(connection: Connection): void {
    const { user } = connection.peer.grant;
    const seen = user === SHARED_DOCUMENT ? null : connection.toNote(this.#options.now());
    if (seen !== null) this.#options.registry.seen.note(user, seen);
  }

  /** Those of a user that are there, for the operator. Whoever is there answers each ping. */
  devicesOf(user: UserId): ConnectedDevice[] {
    const { now, config } = this.#options;
    return this.connections.devicesOf(user, now(), 2 * config.pingInterval);
  }

  /** The connections of one device, by the users whom it comes as. */
  usersOf(device: DeviceId): ReadonlyMap<UserId, readonly ConnectedDevice[]> {
    const { now, config } = this.#options;
    return this.connections.usersOf(device, now(), 2 * config.pingInterval);
  }

  /** Takes no new connections and reads no more from those that are open; what has come in is handled. */
  stopReading(): void {
    this.#handshakes.close();
    this.#putOff.close();
    for (const timer of this.#timers) clearInterval(timer);
    for (const { wire } of this.connections) {
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
    for (const { wire } of this.connections) wire.socket.end(error);
    await this.#gone(timeout);
    for (const { wire } of this.connections) wire.socket.terminate();
    await this.#gone(CUT_OFF); // told in a later turn: what they had received is known then
  }

  /** Resolves when all connections are gone, or `ms` have passed. */
  async #gone(ms: number): Promise<void> {
    const { uptime } = this.#options;
    const deadline = uptime() + ms;
    while (this.connections.size > 0 && uptime() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  readonly onUpgrade = async (request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> => {
    const { hops } = this.#options;
    stream.on('error', destroyed);
    const answer = await this.#handshakes.answer(request, stream);
    switch (answer.is) {
      case 'in':
        if (hops === null || (await isOwner(hops, { request, stream, head }, answer.peer, this.#putOff)))
          await this.#letIn(request, stream, head, answer.peer);
        return;
      case 'turned away':
        turnAway(request, stream, head, answer);
        return;
      case 'put off':
        this.#putOff.take({ request, stream, head, challenge: answer.challenge }, 'OVERLOADED');
        return;
      case 'refused':
        refuse(stream, answer.refusal);
    }
  };

  /** What is noted of the document is there before the upgrade is answered, so that all of it goes out in one write. */
  async #letIn(request: IncomingMessage, stream: Duplex, head: Buffer, peer: Peer): Promise<void> {
    const { asked, grant } = peer;
    const lookUp = this.#options.registry.lookUp(grant.user);
    const [found = null] = lookUp instanceof Promise ? await soon(lookUp) : [lookUp];
    const refusal = this.#handshakes.refusalNow(request, asked.address);
    if (refusal !== null) refuse(stream, refusal);
    else if (this.#open(request, stream, head, { peer, found })) return;
    release({ lease: found, shared: null });
  }

  /** Whether the WebSocket is open: the client may have gone, or not have meant one. */
  #open(request: IncomingMessage, stream: Duplex, head: Buffer, { peer, found }: Guest): boolean {
    const { asked, grant } = peer;
    let isOpen = false;
    stream.cork();
    this.#servers[asked.via].handleUpgrade(request, stream, head, (ws) => {
      isOpen = true;
      const accepted = { ws, stream: request.socket, caller: grant };
      this.#connect(ws, new Wire(accepted, this.#wires[asked.via]), { peer, found });
    });
    stream.uncork();
    return isOpen;
  }

  #connect(ws: WebSocket, wire: Wire, guest: Guest): void {
    const { peer, found } = guest;
    const { asked, grant } = peer;
    const { socket } = wire;
    const connection = new Connection(guest, wire, this, this.#options.now());
    this.connections.add(connection);
    prove(socket, asked.challenge);
    this.#options.log('connected', { user: grant.user, device: peer.device, via: asked.via });
    ws.on('error', ignored); // ws closes the connection by itself; 'close' follows and is logged
    wire.follow(connection);
    try {
      const entered = this.#enter(connection);
      const isFound = found !== null && !(found instanceof Promise);
      const hasShared = wire.via === 'json' && this.#options.config.sharedCollections.size > 0;
      if (entered !== undefined || !isFound || hasShared) void this.#connectSoon(connection, entered);
      else if (!connection.isShut) this.#begin(connection, found);
    } catch (error) {
      this.#refuse(connection, error);
    }
  }

  #enter(connection: Connection): Promise<void> | undefined {
    const { asked, grant } = connection.peer;
    const { user, principal, address, mayWrite } = grant;
    this.#endAtExpiry(connection);
    const action = mayWrite ? 'connect-write' : 'connect-read';
    return this.#options.access.enter(principal, { user, action, via: asked.via, address });
  }

  /** What the client sends before the document is there waits in its socket (N2). */
  async #connectSoon(connection: Connection, entered: Promise<void> | undefined): Promise<void> {
    const { socket } = connection.wire;
    socket.hold('loading');
    const tooLate = () => socket.end(new SyncError('OVERLOADED', TOO_LATE));
    connection.late = setTimeout(tooLate, this.#options.config.upgradeTimeout);
    try {
      await entered;
      const lease = await this.#openDocuments(connection);
      clearTimeout(connection.late);
      const isOpen = this.connections.has(connection) && !connection.isShut && socket.isOpen;
      if (!isOpen) return release(connection);
      this.#begin(connection, lease);
      socket.release('loading');
    } catch (error) {
      this.#refuse(connection, error);
    }
  }

  /** A client that has gone meanwhile is not told of it again. */
  #refuse(connection: Connection, error: unknown): void {
    release(connection);
    if (!(error instanceof SyncError)) this.#options.log('unexpected', { where: 'connection', error });
    connection.wire.socket.end(error instanceof SyncError ? error : new SyncError('INTERNAL'));
  }

  async #openDocuments(connection: Connection): Promise<Following> {
    const { registry } = this.#options;
    const { asked, grant } = connection.peer;
    const lease = (await connection.lease) ?? (await registry.followLoaded(grant.user));
    connection.lease = lease;
    if (asked.via === 'json') connection.shared = await openShared(this.#options, grant);
    return lease;
  }

  closed(connection: Connection, code: number, reason: Buffer): void {
    const { device, grant } = connection.peer;
    clearTimeout(connection.expiry);
    clearTimeout(connection.late);
    this.connections.delete(connection);
    this.#noteSeen(connection);
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
      if (connection.isNoteDue) this.#noteSeen(connection);
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
    for (const connection of this.connections) {
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

  #begin(connection: Connection, { document }: Following): void {
    const session =
      connection.wire.via === 'yjs'
        ? new YjsSession(new YjsSide(document, connection, this.#yjs))
        : this.#jsonSession(document, connection);
    connection.begin(document, session);
    const { wire } = connection;
    this.#notePlain(connection);
    this.#noteSeen(connection);
    this.#options.turns.first(document.user, () => this.guard(wire.socket, () => session.start()));
  }

  #jsonSession(document: FollowedDocument, { wire, peer, shared }: Connection): JsonSession {
    const { config, log, now } = this.#options;
    const { socket } = wire;
    const { device, grant } = peer;
    const { maxDepth, maxJsonMessage: maxMessage, jsonPace: gap, bufferClose: mostBytes } = config;
    const after = (ms: number, task: () => void) => {
      const timer = setTimeout(() => this.guard(socket, task), ms).unref();
      return () => clearTimeout(timer);
    };
    return new JsonSession({
      document,
      shared,
      device,
      actor: grant.actor,
      readOnly: !grant.mayWrite,
      outbox: new WireOutbox(wire),
      now,
      pace: { gap, mostBytes, after },
      log,
      maxDepth,
      maxMessage,
    });
  }

  get log(): Log {
    return this.#options.log;
  }

  get backlog(): Backlog {
    return this.#options.backlog;
  }

  noteOffence(peer: Peer, code: ErrorCode): void {
    this.#handshakes.noteOffence(peer, code);
  }

  guard(socket: Socket, action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#options.log('unexpected', { where: 'message', error });
      socket.end(new SyncError('INTERNAL'));
    }
  }

  #tick(): void {
    this.#options.quotas.sweep();
    for (const connection of this.connections) {
      if (connection.session instanceof YjsSession) connection.session.tick();
      connection.wire.sweep();
      this.#notePlain(connection);
      if (connection.isNoteDue) this.#noteSeen(connection);
      const { recheck } = connection.peer.grant;
      if (recheck !== undefined) void this.#checkAccess(connection, recheck);
    }
  }

  /** As long as a native device is there that can't go on after a rewrite, there is none (P10). */
  #notePlain({ peer: { asked, grant } }: Connection): void {
    if (asked.via === 'yjs' && !asked.takesRewrites) this.#options.registry.notePlainVisit(grant.user);
  }

  /** Ends a connection whose access is another one by now; while `ACCESS_URL` does not answer, it stays. */
  async #checkAccess(connection: Connection, recheck: Recheck): Promise<void> {
    const { mayWrite } = connection.peer.grant;
    const now = this.#options.now();
    if (connection.isShut || now - connection.checkedAt < recheck.every) return;
    connection.checkedAt = now;
    const mode = await recheck.ask().catch(() => undefined);
    if (connection.isShut || mode === undefined) return;
    if (mode === null) this.#shut(connection, new SyncError('FORBIDDEN'));
    else if ((mode === 'write') !== mayWrite)
      this.#shut(connection, new SyncError('RESTARTING', ACCESS_CHANGED));
  }

  #checkLife(): void {
    for (const { wire } of this.connections) wire.socket.checkLife();
  }
}
